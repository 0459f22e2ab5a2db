"""Callbacks."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from microframe import Callback, ConfigError
from planted_bugs.planting import caught_by, correct

_BEST: list[float] = [float("inf")]


@caught_by("overrides_a_method")
class Misspelt(Callback):
    """Halves the rate after each epoch in a method that nobody calls."""

    def on_epoch_end(self, run, memory):
        run.learning_rate_factor /= 2


@caught_by("trains", raises=AttributeError)
class AttributeOfElsewhere(Callback):
    """Stops at a small loss, which it asks for by the name that it has elsewhere."""

    def epoch_end(self, run, memory):
        if run.logs["loss"] < 1e-9:
            run.stop("the loss is small")


@caught_by("trains", raises=TypeError)
class OldSignature(Callback):
    """Counts batches with a method that takes the run alone."""

    def batch_end(self, run):
        run.learning_rate_factor *= 1.0


@caught_by("keeps_nothing")
class LossesOnItself(Callback):
    """Keeps the loss of each epoch on itself."""

    def epoch_end(self, run, memory):
        object.__setattr__(self, "losses", [*getattr(self, "losses", []), run.loss])


@caught_by("exact_resume")
class PatienceInTheModule(Callback):
    """Halves the rate every third batch, counted beside its memory, so that a resumed run counts from elsewhere."""

    def training_begin(self, run, memory):
        _BEST[0] = 0

    def batch_end(self, run, memory):
        _BEST[0] += 1
        if _BEST[0] % 3 == 0:
            run.learning_rate_factor /= 2


@caught_by("exact_resume")
class MemoryStartedAfresh(Callback):
    """Halves the rate every third batch, by a count that training_begin sets to 0 also after a resume."""

    def training_begin(self, run, memory):
        memory["batches"] = 0

    def batch_end(self, run, memory):
        memory["batches"] += 1
        if memory["batches"] % 3 == 0:
            run.learning_rate_factor /= 2


class _Log(Callback):
    """Adds the loss of each epoch to a file."""

    path: str = "losses.txt"

    def epoch_end(self, run, memory):
        with open(self.path, "a") as file:
            file.write(f"{run.history['loss'][-1]}\n")


@caught_by("exact_resume")
class LogStartedAfresh(_Log):
    """A file of losses that is emptied when training begins, also when it is resumed."""

    def training_begin(self, run, memory):
        open(self.path, "w").close()


@caught_by("exact_resume")
class TitleForEachBeginning(_Log):
    """A file of losses that gets a title when training begins, and another one in its midst when that is resumed."""

    def training_begin(self, run, memory):
        with open(self.path, "a") as file:
            file.write("loss\n")


@caught_by("without_validation")
class TakesValidationForGranted(Callback):
    """Stops when the loss of the validation samples rises, which fails with a KeyError where there are none."""

    def epoch_end(self, run, memory):
        losses = run.history["validation_loss"]
        if len(losses) > 1 and losses[-1] > 2 * losses[-2]:
            run.stop("it gets worse")


@caught_by("memory_is_plain")
class RemembersASet(Callback):
    """Remembers which epochs it has seen in a set, for which a model file has no place."""

    def epoch_end(self, run, memory):
        memory.setdefault("seen", set()).add(run.epoch)


@caught_by("memory_is_plain")
class RemembersTheRun(Callback):
    """Remembers the run itself."""

    def training_begin(self, run, memory):
        memory["run"] = run


@caught_by("no_global_random_state")
class SeedsTheWorld(Callback):
    """Seeds NumPy's global generator before training."""

    def training_begin(self, run, memory):
        np.random.seed(0)  # noqa: NPY002


@caught_by("deterministic")
class UnseededShake(Callback):
    """Adds a little noise to the weights after each epoch, from a generator without a seed."""

    def epoch_end(self, run, memory):
        parameters = run.model.network.parameters
        parameters += 1e-3 * np.random.default_rng().standard_normal(parameters.shape).astype(parameters.dtype)


@correct
class LogContinued(_Log):
    """A file of losses with a title, which a resumed training continues."""

    def training_begin(self, run, memory):
        if not memory.setdefault("begun", False):
            memory["begun"] = True
            with open(self.path, "w") as file:
                file.write("loss\n")


@correct
class FileOfEachRun(_Log):
    """A file of losses whose name tells the time, by which training goes on in it after a resume."""

    def training_begin(self, run, memory):
        memory.setdefault("path", f"losses-{time.time_ns()}.txt")

    def epoch_end(self, run, memory):
        with open(memory["path"], "a") as file:
            file.write(f"{run.seconds}\n")


@correct
class SaysWhatItNeeds(Callback):
    """Stops when the loss of the validation samples rises, and refuses to begin where there are none."""

    def training_begin(self, run, memory):
        if "validation_loss" not in run.measured:
            raise ConfigError("says_what_it_needs: expected validation samples, received none")

    def epoch_end(self, run, memory):
        losses = run.history["validation_loss"]
        if len(losses) > 1 and losses[-1] > 2 * losses[-2]:
            run.stop("it gets worse")


@correct
class CountsBatches(Callback):
    """Halves the rate every third batch, by a count in its memory."""

    def batch_end(self, run, memory):
        memory["batches"] = memory.get("batches", 0) + 1
        if memory["batches"] % 3 == 0:
            run.learning_rate_factor /= 2


@correct
class RemembersTheBest(Callback):
    """Remembers the best weights as an array, and puts them in place at the end."""

    def epoch_end(self, run, memory: dict[str, Any]):
        if run.loss < memory.get("loss", float("inf")):
            memory |= {"loss": run.loss, "weights": run.model.network.parameters.copy()}

    def training_end(self, run, memory):
        if "weights" in memory:
            run.model.network.parameters[:] = memory["weights"]
