"""What the conformance suite asks of callbacks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from microframe import Callback, ConfigError, Example
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks
from microframe.testing.checks.callbacks import overrides_a_method

STANDARD = [registry.get("callback", name) for name in registry.standard_names("callback")]


@parametrize_with_checks(*STANDARD)
def test_every_standard_callback_conforms(check):
    check()


class Halving(Callback):
    """Halves the learning rate every few batches."""

    every: int = 4

    def batch_end(self, run, memory):
        memory["batches"] = memory.get("batches", 0) + 1
        if memory["batches"] % self.every == 0:
            run.learning_rate_factor /= 2


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def outcomes(subject):
    return {result.check: result for result in check_component(subject)}


def test_a_right_callback_fails_nothing():
    assert failed(Halving) == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_epoch_end", "epoch_end"),
        ("on_train_begin", "training_begin"),
        ("on_train_start", "training_begin"),
        ("on_batch", "batch_end"),
        ("epoch_begin", "epoch_end"),
        ("epochs_end", "epoch_end"),
        ("batch_ended", "batch_end"),
        ("end_batch", "batch_end"),
        ("after_training", "training_end"),
        ("train_end", "training_end"),
        ("training_finish", "training_end"),
    ],
)
def test_a_method_that_nobody_calls_is_told_what_it_may_be_meant_for(name, meant):
    named = type("Named", (Halving,), {name: lambda self, run, memory: None, "__module__": __name__})
    with pytest.raises(AssertionError, match=f"received Named.{name}, which nobody calls: did you mean '{meant}'"):
        overrides_a_method(Example(named()))


@pytest.mark.parametrize("name", ["_epoch_begin", "improves", "stop_training", "describe_epoch", "training_loss"])
def test_methods_of_its_own_are_let_be(name):
    named = type("Named", (Halving,), {name: lambda self: None, "__module__": __name__})
    overrides_a_method(Example(named()))


def test_a_callback_that_listens_to_nothing():
    class Deaf(Callback):
        pass

    with pytest.raises(
        AssertionError, match="one of training_begin, batch_end, epoch_end, training_end to be overridd"
    ):
        overrides_a_method(Example(Deaf()))


def test_what_a_resumed_training_does_otherwise_is_told_with_the_place_of_the_stop():
    class Afresh(Halving):
        def training_begin(self, run, memory):
            memory.clear()

    reason = failed(Afresh)["exact_resume"]
    assert "the weights of a resumed training, after a stop at batch 2 of epoch 2, as without the stop" in reason


def test_a_training_that_ends_at_once_cannot_be_resumed():
    class AtOnce(Callback):
        def batch_end(self, run, memory):
            run.stop("enough")

    assert failed(AtOnce) == {}
    assert outcomes(AtOnce)["exact_resume"].reason == "it ends training before it can be stopped"


def test_records_and_columns_that_are_times_may_differ():
    class Clock(Callback):
        def training_begin(self, run, memory):
            run.model.records["seconds"] = np.array([time.perf_counter()])

    assert failed(Clock) == {}


def test_records_must_not_differ():
    class Clock(Callback):
        def epoch_end(self, run, memory):
            run.model.records["ticks"] = np.array([time.perf_counter()])

    assert "the record ticks" in failed(Clock)["deterministic"]


def test_a_record_that_one_training_alone_has():
    drawn = iter("abcdefghijklmnopqrstuvwxyz" * 10)

    class Varying(Callback):
        def training_end(self, run, memory):
            run.model.records[next(drawn)] = np.zeros(1)

    assert "but only one of the two has the record" in failed(Varying)["deterministic"]


def test_a_callback_may_refuse_to_do_without_validation_samples():
    class Needing(Callback):
        def training_begin(self, run, memory):
            if "validation_loss" not in run.measured:
                raise ConfigError(self.message)

        def epoch_end(self, run, memory):
            if run.history["validation_loss"][-1] < 1e-9:
                run.stop("enough")

        message: str = "expected validation samples"

    assert failed(Needing()) == {}
    reason = failed(Needing("no"))["without_validation"]
    assert "with a MicroframeError that says that they are needed, received ConfigError: no" in reason


class Log(Callback):
    """Writes the loss of each epoch into a file."""

    path = "log.txt"

    def epoch_end(self, run, memory):
        with open(self.path, "a") as file:
            file.write(f"{run.history['loss'][-1]}\n")


def test_files_of_a_resumed_training_have_all_lines_and_no_others():
    class Truncated(Log):
        def training_begin(self, run, memory):
            open(self.path, "w").close()

    class WithTitles(Log):
        def training_begin(self, run, memory):
            with open(self.path, "a") as file:
                file.write("loss\n")

    assert failed(Log) == {}
    place = "of a resumed training, after a stop at batch 2 of epoch 2, to be as without the stop"
    expected = f"{place}: log.txt of 4 lines, received log.txt of 3 lines"
    assert expected in failed(Truncated)["exact_resume"]
    assert f"{place}: log.txt of 5 lines, received log.txt of 6 lines" in failed(WithTitles)["exact_resume"]


def test_a_file_that_a_resumed_training_alone_writes():
    class Marked(Log):
        def training_begin(self, run, memory):
            if run.epoch:
                Path("resumed").write_bytes(b"\xff")

    assert "as without the stop: none, received resumed" in failed(Marked)["exact_resume"]


def test_files_whose_names_tell_the_time_may_be_others():
    class Timed(Log):
        def epoch_end(self, run, memory):
            memory["path"] = memory.get("path", f"{time.perf_counter_ns()}.txt")
            with open(memory["path"], "a") as file:
                file.write("x\n")

    class Unlike(Log):
        def epoch_end(self, run, memory):
            Path(np.random.default_rng().bytes(8).hex()).touch()

    assert failed(Timed) == {}
    assert failed(Unlike) == {}


def test_a_memory_that_no_file_can_hold_is_told_with_what_is_in_it():
    class Remembering(Callback):
        def epoch_end(self, run, memory):
            memory["model"] = run.model

    reason = failed(Remembering)["memory_is_plain"]
    assert "expected a memory that a file can hold, but training.callbacks[0]: memory['model']" in reason
