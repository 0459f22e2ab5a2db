from __future__ import annotations

import numpy as np
import pytest

from microframe import Callback, TrainingDivergedError, load, register
from microframe.standard.callbacks import WeightRecorder


class Counter(Callback):
    """Counts batches and epochs, in a list that changes in place."""

    def training_begin(self, run, memory):
        memory.setdefault("seen", [0, 0])
        memory.setdefault("sum", np.zeros(1))

    def batch_end(self, run, memory):
        memory["seen"][0] += 1
        memory["sum"] += run.loss

    def epoch_end(self, run, memory):
        memory["seen"][1] += 1


def test_what_callbacks_remember_in_place_is_rolled_back_and_saved(
    tmp_path, fit_noisy, everything, noisy_model, three_classes, disturb
):
    register(Counter)
    model = noisy_model()
    with pytest.raises(TrainingDivergedError):
        fit_noisy(model, callbacks=[Counter()], listeners=[disturb(3, 1, 1e300)])
    assert model.checkpoint is not None
    assert model.checkpoint.progress["memories"] == [{"seen": [10, 2]}]
    model.save(tmp_path / "model.h5")
    resumed = load(tmp_path / "model.h5")
    resumed.fit(*three_classes(), resume=True)
    assert everything(resumed) == everything(fit_noisy(callbacks=[Counter()]))


def test_what_callbacks_begin_with_is_in_the_checkpoint_of_a_first_epoch_that_diverged(fit_noisy, noisy_model, disturb):
    register(Counter)
    model = noisy_model()
    with pytest.raises(TrainingDivergedError):
        fit_noisy(model, callbacks=[Counter()], listeners=[disturb(1, 1, 1e300)])
    assert model.checkpoint is not None
    assert model.checkpoint.progress["memories"] == [{"seen": [0, 0]}]


def test_a_resumed_training_that_crashes_can_be_resumed_again(fit_noisy, everything, three_classes, stop_at):
    class Crash(Callback):
        def batch_end(self, run, memory):
            if run.epoch == 3:
                raise ZeroDivisionError

    register(Counter)
    callbacks = [Counter(), WeightRecorder("batch")]
    model = fit_noisy(callbacks=callbacks, listeners=[stop_at(2, 2)])
    with pytest.raises(ZeroDivisionError):
        model.fit(*three_classes(), resume=True, listeners=[Crash()])
    model.fit(*three_classes(), resume=True)
    assert everything(model) == everything(fit_noisy(callbacks=callbacks))
