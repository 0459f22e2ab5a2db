from __future__ import annotations

import numpy as np
import pytest

from microframe import UsageError, load
from microframe.history import History
from microframe.standard.callbacks import EarlyStopping, ReduceOnPlateau, WeightRecorder
from microframe.standard.optimizers import SGD, Adam

PLATEAU = ReduceOnPlateau(0.9, patience=1, monitor="loss", direction="max")


MOMENTS = {"end of an epoch": (3, 5), "within an epoch": (3, 2), "first batch": (1, 1), "last batch but one": (6, 4)}


OPTIMIZERS = {
    "adam": Adam(0.01),
    "averaged": Adam(0.01, average=0.9),
    "scheduled momentum": SGD(0.05, momentum=0.9, schedule={"type": "cosine"}, clip_norm=1.0),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_interrupted_and_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path, moment, optimizer, fit_noisy, everything, three_classes, stop_at
):
    settings = {
        "optimizer": OPTIMIZERS[optimizer],
        "callbacks": [EarlyStopping(patience=9), PLATEAU, WeightRecorder("batch", initial=True)],
    }
    whole = fit_noisy(**settings)
    interrupted = fit_noisy(**settings, listeners=[stop_at(*MOMENTS[moment])])
    assert everything(interrupted) != everything(whole)
    interrupted.save(tmp_path / "interrupted.h5")
    resumed = load(tmp_path / "interrupted.h5")
    resumed.fit(*three_classes(), resume=True)
    assert everything(resumed) == everything(whole)


def test_a_training_can_be_interrupted_many_times(tmp_path, fit_noisy, everything, three_classes, stop_at):
    path = tmp_path / "model.h5"
    fit_noisy(listeners=[stop_at(1, 3)]).save(path)
    for moment in [(1, 4), (2, 5), (5, 1)]:
        model = load(path)
        model.fit(*three_classes(), resume=True, listeners=[stop_at(*moment)])
        model.save(path)
    model.fit(*three_classes(), resume=True)
    assert everything(model) == everything(fit_noisy())


def test_training_in_order_with_weights_is_resumed_too(tmp_path, fit_noisy, everything, three_classes, stop_at):
    x, y = three_classes()
    settings = {"shuffle": False, "sample_weight": np.linspace(0.5, 1.5, 50), "validation": 0.2}
    interrupted = fit_noisy(**settings, listeners=[stop_at(2, 3)])
    interrupted.save(tmp_path / "model.h5")
    resumed = load(tmp_path / "model.h5")
    resumed.fit(x, y, resume=True, sample_weight=settings["sample_weight"])
    assert everything(resumed) == everything(fit_noisy(**settings))


def test_a_finished_training_can_be_continued_for_more_epochs(fit_noisy, everything, three_classes):
    model = fit_noisy(epochs=4)
    model.fit(*three_classes(), resume=True, epochs=6)
    assert everything(model) == everything(fit_noisy())


def test_resuming_a_finished_training_changes_nothing(fit_noisy, everything, three_classes):
    model = fit_noisy(optimizer=Adam(0.01, average=0.9))
    before = everything(model)
    model.fit(*three_classes(), resume=True)
    assert everything(model) == before


def test_the_callbacks_may_be_others_after_a_resume(fit_noisy, three_classes):
    callbacks = [EarlyStopping(patience=9), WeightRecorder()]
    model = fit_noisy(epochs=2, callbacks=callbacks)
    model.fit(*three_classes(), resume=True, epochs=3, callbacks=[WeightRecorder()])
    np.testing.assert_array_equal(model.records["epoch"], [1, 2, 3])
    model.fit(*three_classes(), resume=True, epochs=4, callbacks=callbacks)
    np.testing.assert_array_equal(model.records["epoch"], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": SGD(0.1, momentum=0.9)}, "slots"),
        ({"batch_size": 7}, "within an epoch with batches of 8"),
    ],
)
def test_what_cannot_be_continued_is_refused(settings, message, fit_noisy, three_classes, stop_at):
    model = fit_noisy(listeners=[stop_at(2, 2)])
    with pytest.raises(UsageError, match=message):
        model.fit(*three_classes(), resume=True, **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.history.truncate(1), "did 2 epochs, of which its history lacks some or a part"),
        (lambda model: setattr(model, "history", History({"loss": [1.0, 2.0]})), "its history lacks some or a part"),
        (lambda model: model.checkpoint.arrays.pop("progress/outputs"), "the outputs so far are not in the file"),
    ],
    ids=["fewer epochs", "a column less", "no outputs"],
)
def test_a_checkpoint_that_lacks_something_is_not_continued_with_what_happens_to_be_there(
    change, message, fit_noisy, three_classes, stop_at
):
    model = fit_noisy(listeners=[stop_at(3, 2)])
    change(model)
    with pytest.raises(UsageError, match=message):
        model.fit(*three_classes(), resume=True)


def test_there_must_be_something_to_resume(fit_line):
    with pytest.raises(UsageError, match="nothing to resume"):
        fit_line(resume=True)
