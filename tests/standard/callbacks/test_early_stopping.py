from __future__ import annotations

import numpy as np
import pytest

from microframe import Model, TrainingDivergedError, UsageError
from microframe.standard.callbacks import EarlyStopping, ReduceOnPlateau, TimeLimit
from microframe.standard.optimizers import Adam


def test_training_stops_when_patience_is_over(follow, reasons):
    model = follow(EarlyStopping(2, monitor="scripted"), [3, 2, 5, 1, 1, 1.5, 0.5])
    assert model.history["scripted"].tolist() == [3, 2, 5, 1, 1, 1.5]
    assert reasons == ["no improvement of scripted for 2 epochs (best 1 at epoch 4)"]


def test_training_goes_on_while_there_is_improvement(follow, reasons):
    model = follow(EarlyStopping(1, monitor="scripted"), [5, 4, 3, 2, 1])
    assert model.history.epochs == 5
    assert reasons == [None]


def test_a_value_that_never_is_a_number_ends_training(follow, reasons):
    assert follow(EarlyStopping(1, monitor="scripted"), [np.nan, 1]).history.epochs == 1
    assert reasons == ["no improvement of scripted for 1 epoch (it was never a finite number)"]


@pytest.mark.parametrize("optimizer", [Adam(0.01), Adam(0.01, average=0.9)])
def test_the_weights_and_the_state_of_the_best_epoch_are_restored(optimizer, follow, weights):
    values = [3, 2, 1, 2, 2, 3]
    best = follow(TimeLimit(60), values[:3], optimizer=optimizer)
    stopped = follow(EarlyStopping(2, monitor="scripted"), values, optimizer=optimizer)
    assert stopped.history.epochs == 5
    assert weights(stopped) == weights(best)
    last = follow(EarlyStopping(2, restore_best=False, monitor="scripted"), values, optimizer=optimizer)
    assert weights(last) != weights(best)


def test_the_best_weights_are_restored_when_training_runs_out_of_epochs(follow, weights):
    best = follow(TimeLimit(60), [1])
    assert weights(follow(EarlyStopping(monitor="scripted"), [1, 2, 3])) == weights(best)


def test_the_test_part_is_measured_with_the_restored_weights(script):
    script[:] = [1, 2, 3, 0]
    model = Model.from_config(
        {
            "layers": [{"type": "dense", "units": 1}],
            "dtype": "float64",
            "data": {"source": "diabetes", "test": 0.2},
            "training": {
                "loss": "mean_squared_error",
                "optimizer": {"type": "sgd", "average": 0.5},
                "metrics": ["local.scripted"],
                "epochs": 3,
                "callbacks": [{"type": "early_stopping", "monitor": "scripted"}],
            },
        }
    )
    model.fit()
    assert model.parts is not None
    assert model.configuration.data is not None
    data, rows = model.configuration.data.source.load(), model.parts.test
    expected = model.evaluate(data.inputs[rows], data.target[rows], metrics=[])["loss"]
    assert model.results["test"]["loss"] == pytest.approx(expected, rel=1e-12)


def test_a_stopped_training_can_go_on_from_its_last_weights(follow, everything):
    values, callback = [3, 1, 2, 2, 2, 0.5, 0.4], EarlyStopping(5, monitor="scripted")
    whole = follow(callback, values)
    model = follow(callback, values[:4])
    follow(callback, values[4:], model=model, epochs=7, resume=True)
    assert everything(model) == everything(whole)


def test_to_resume_a_training_that_was_stopped_early_does_nothing_unless_it_gets_more_epochs(follow, everything):
    callback = EarlyStopping(2, monitor="scripted")
    model = follow(callback, [1, 2, 3, 4, 5, 6])
    before = everything(model)
    follow(callback, [4, 5, 6], model=model, epochs=6, resume=True)
    assert everything(model) == before
    follow(callback, [0.5, 0.4, 0.3, 0.2], model=model, epochs=7, resume=True)
    assert model.history["scripted"].tolist() == [1, 2, 3, 0.5, 0.4, 0.3, 0.2]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("parameters", lambda array: array[:1]),
        ("parameters", lambda array: array.astype(np.float64)),
        ("state/batch_norm_1/moving_mean", lambda array: array[:1]),
        ("state/batch_norm_1/moving_mean", lambda array: None),
    ],
    ids=["shape", "dtype", "shape of state", "no state"],
)
def test_weights_that_do_not_fit_are_refused_and_not_spread_over_the_network(name, change, follow):
    callback = EarlyStopping(monitor="scripted")
    model = follow(callback, [2, 1, 3])
    array = change(model.checkpoint.arrays.pop(f"callbacks/0/{name}"))
    if array is not None:
        model.checkpoint.arrays[f"callbacks/0/{name}"] = array
    with pytest.raises(UsageError, match=rf"^training\.callbacks\[0\]: .* 'early_stopping' .* as '{name}', received"):
        follow(callback, [4, 5], model=model, epochs=5, resume=True)


@pytest.mark.parametrize("callback", [EarlyStopping(monitor="scripted"), ReduceOnPlateau(monitor="scripted")])
@pytest.mark.parametrize(
    ("name", "value"), [("wait", "x"), ("wait", True), ("wait", -1), ("best", []), ("best_epoch", 0.5), ("best", None)]
)
def test_what_was_never_remembered_is_refused(callback, name, value, follow):
    model = follow(callback, [2, 1, 3])
    model.checkpoint.progress["memories"][0][name] = value
    with pytest.raises(UsageError, match=rf"^training\.callbacks\[0\]: .* '{callback.type}' remembers: .*{name}"):
        follow(callback, [4, 5], model=model, epochs=5, resume=True)


@pytest.mark.parametrize("optimizer", [Adam(0.01), Adam(0.01, average=0.9)])
def test_the_best_weights_are_restored_after_a_divergence_too(
    follow, weights, everything, noisy_model, diverge_in, optimizer
):
    callback, values = EarlyStopping(monitor="scripted"), [2, 1, 3, 4, 5]
    best = follow(TimeLimit(60), values[:2], optimizer=optimizer)
    model = noisy_model()
    with pytest.raises(TrainingDivergedError, match="epoch 4"):
        follow(callback, values, model=model, optimizer=optimizer, listeners=[diverge_in(4)])
    assert weights(model) == weights(best)
    follow(callback, values[3:], model=model, optimizer=optimizer, epochs=5, resume=True)
    assert everything(model) == everything(follow(callback, values, optimizer=optimizer))
