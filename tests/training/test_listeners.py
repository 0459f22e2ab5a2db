from __future__ import annotations

import numpy as np

from microframe import Callback
from microframe.interfaces.callback import Listener
from microframe.standard.callbacks import EarlyStopping
from microframe.standard.metrics import MeanAbsoluteError
from microframe.training import Run


def test_stopping_ends_training_after_the_batch(fit_line, stop_at):
    model = fit_line(batch_size=5, shuffle=False, epochs=9, listeners=[stop_at(3, 2)])
    assert model.history.epochs == 2
    assert model.checkpoint is not None
    assert (model.checkpoint.progress["epoch"], model.checkpoint.progress["batch"]) == (2, 2)
    assert model.checkpoint.progress["step"] == 10


def test_stopping_at_the_last_batch_of_an_epoch_ends_the_epoch(fit_line, stop_at):
    model = fit_line(batch_size=5, epochs=9, listeners=[stop_at(3, 4)])
    assert model.history.epochs == 3


def test_nothing_is_called_for_a_batch_when_no_callback_listens(monkeypatch, fit_line):
    class Idle(Callback):
        def epoch_end(self, run, memory):
            epochs.append(run.epoch)

    def fail(*_):
        raise AssertionError("called for a batch")

    epochs: list[int] = []
    monkeypatch.setattr(Listener, "batch_end", fail)
    fit_line(listeners=[Idle()], callbacks=[EarlyStopping(monitor="loss")])
    assert epochs == [1, 2, 3, 4]


def test_callbacks_are_told_of_everything_in_order(fit_line):
    class Witness(Callback):
        def training_begin(self, run, memory):
            seen.append("begin")

        def batch_end(self, run, memory):
            seen.append((run.epoch, run.batch, run.step))

        def epoch_end(self, run, memory):
            seen.append(("epoch", run.epoch, run.history.epochs))

        def training_end(self, run, memory):
            seen.append("end")

    seen: list[object] = []
    fit_line(batch_size=10, epochs=2, listeners=[Witness()])
    first, second = [(0, 1, 1), (0, 2, 2), ("epoch", 1, 1)], [(1, 1, 3), (1, 2, 4), ("epoch", 2, 2)]
    assert seen == ["begin", *first, *second, "end"]


def test_callbacks_see_the_run(fit_line, straight_line):
    class Look(Callback):
        def epoch_end(self, run, memory):
            runs.append(run)

    runs: list[Run] = []
    x, y = straight_line()
    model = fit_line(epochs=1, batch_size=6, metrics=[MeanAbsoluteError()], validation=(x, y), listeners=[Look()])
    (run,) = runs
    assert run.model is model
    assert (run.samples, run.batch_size, run.batches) == (20, 6, 4)
    assert run.measured == ("loss", "mean_absolute_error", "validation_loss", "validation_mean_absolute_error")
    assert 0 < run.seconds < 60


def test_a_rehearsal_gives_the_loss_and_changes_no_parameter(fit_line):
    class Rehearse(Callback):
        def training_begin(self, run, memory):
            before = run.model.network.parameters.copy()
            losses.append(run.rehearse())
            np.testing.assert_array_equal(run.model.network.parameters, before)

    losses: list[float] = []
    model = fit_line(epochs=1, shuffle=False, listeners=[Rehearse()])
    assert losses == model.history["loss"].tolist()
