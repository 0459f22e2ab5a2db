from __future__ import annotations

import numpy as np
import pytest

from microframe import Callback, ConfigError, Model
from microframe.standard.callbacks import Checkpoint, EarlyStopping, ReduceOnPlateau, TimeLimit
from microframe.standard.layers import Dense
from microframe.standard.metrics import Accuracy, Recall
from microframe.standard.optimizers import SGD

MONITORING = [EarlyStopping(), ReduceOnPlateau(), Checkpoint(best="best.h5")]


@pytest.mark.parametrize("callback", MONITORING, ids=repr)
def test_without_validation_samples_validation_loss_cannot_be_followed(callback, fit):
    with pytest.raises(ConfigError) as error:
        fit([callback], validation=None, metrics=[Accuracy()])
    assert str(error.value) == (
        "training.callbacks[0].monitor: expected one of 'loss', 'accuracy', received 'validation_loss', but there are "
        "no validation samples (did you mean 'loss'?)"
    )


def test_a_misspelt_column_is_refused_before_the_first_epoch_with_the_nearest_one(fit):
    class Fail(Callback):
        def batch_end(self, run, memory):
            raise AssertionError("a batch was trained on")

    with pytest.raises(ConfigError) as error:
        fit([TimeLimit(9), EarlyStopping(monitor="validation_acuracy")], metrics=[Accuracy()], listeners=[Fail()])
    assert str(error.value) == (
        "training.callbacks[1].monitor: expected one of 'loss', 'accuracy', 'validation_loss', 'validation_accuracy', "
        "received 'validation_acuracy' (did you mean 'validation_accuracy'?)"
    )


def test_a_listener_goes_by_its_type_in_an_error(fit):
    with pytest.raises(ConfigError, match=r"^early_stopping\.monitor: expected"):
        fit([], listeners=[EarlyStopping(monitor="accuracy")])


def test_a_metric_with_a_number_for_each_class_cannot_be_followed(fit):
    with pytest.raises(ConfigError, match="a single number, received 'recall', which has one for each class"):
        fit([EarlyStopping(monitor="recall")], metrics=[Recall(average="none")])


@pytest.mark.parametrize(
    ("metric", "direction", "name", "epochs"),
    [
        ("local.scripted", "auto", "scripted", 4),
        ("local.scripted_higher", "auto", "scripted_higher", 2),
        ("local.scripted", "max", "scripted", 2),
        ("local.scripted_higher", "min", "scripted_higher", 4),
    ],
)
def test_the_direction_is_the_metrics_own_unless_given(metric, direction, name, epochs, follow):
    callback = EarlyStopping(1, monitor=name, direction=direction)
    assert follow(callback, [4, 3, 2, 1], metric).history.epochs == epochs


def test_the_direction_holds_for_validation_too(fit, script):
    script[:] = [1, 5, 2, 4, 3, 3, 4, 2]  # for training and validation in turn
    callback = EarlyStopping(1, monitor="validation_scripted_higher")
    assert fit([callback], metrics=["local.scripted_higher"], epochs=4).history.epochs == 2


@pytest.mark.parametrize(("direction", "epochs"), [("auto", 6), ("min", 6), ("max", 2)])
@pytest.mark.parametrize("monitor", ["loss", "validation_loss"])
def test_a_smaller_loss_is_better(monitor, direction, epochs, fit):
    model = Model([Dense(3, activation="softmax")])  # whose loss falls with every full batch
    fit([EarlyStopping(1, monitor=monitor, direction=direction)], model, optimizer=SGD(0.01), batch_size="all")
    assert model.history.epochs == epochs


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 5), (0.5, 3), (0.49, 5)])
def test_an_improvement_must_surpass_min_delta(min_delta, epochs, follow):
    callback = EarlyStopping(2, monitor="scripted", min_delta=min_delta)
    assert follow(callback, [3, 2.5, 2.5, 2, 1.5]).history.epochs == epochs


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_no_improvement(strange, follow, reasons):
    model = follow(EarlyStopping(2, monitor="scripted"), [strange, 3, strange, 2, strange, strange, 1])
    assert model.history.epochs == 6
    assert reasons == ["no improvement of scripted for 2 epochs (best 2 at epoch 4)"]
