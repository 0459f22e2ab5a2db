from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from microframe import Model

FULL_BATCH = {
    "batch_size": "all",
    "optimizer": {"type": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "epochs": 1000,
}
X, Y = load_diabetes(return_X_y=True, scaled=False)


@pytest.fixture(scope="module")
def by_batches(run_model):
    return run_model("regression")


@pytest.fixture(scope="module")
def full_batch(run_model):
    settings = ("batch_size=all", "optimizer.learning_rate=0.1", "optimizer.momentum=0.9", "epochs=1000")
    return run_model("regression", *itertools.chain.from_iterable(("--set", setting) for setting in settings))


@pytest.fixture(scope="module")
def line(run_model):
    return run_model("regression-line")


def scales(model):
    """What the preprocessing has learnt: mean and scale of each input column."""
    state = model.network.state["standardize_1"]
    return state["mean"], state["scale"]


def coefficients(model):
    """The coefficients and the intercept for standardized inputs."""
    weights = model.network.weights["dense_1"]
    return weights["kernel"][:, 0], weights["bias"].item()


def coefficients_of_raw_inputs(model):
    """c / scale and b - sum of c mean / scale, as c (x - mean) / scale + b is a function of x."""
    (mean, scale), (slopes, intercept) = scales(model), coefficients(model)
    return slopes / scale, intercept - np.sum(slopes * mean / scale)


def mean_squared_error(model, x, y):
    return np.mean((model.predict(x) - y) ** 2)


def test_preprocessing_is_fitted_on_the_training_part_only(by_batches):
    mean, scale = scales(by_batches)
    part = X[by_batches.parts.train]
    np.testing.assert_allclose(mean, part.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale, part.std(axis=0), rtol=1e-12)
    assert (mean != X.mean(axis=0)).all()


def test_full_batches_lead_to_the_least_squares_coefficients_of_standardized_inputs(full_batch):
    rows = full_batch.parts.train
    mean, scale = scales(full_batch)
    expected = LinearRegression().fit((X[rows] - mean) / scale, Y[rows])
    slopes, intercept = coefficients(full_batch)
    np.testing.assert_allclose(slopes, expected.coef_, rtol=1e-3)
    assert intercept == pytest.approx(expected.intercept_, rel=1e-3)


def test_full_batches_lead_to_the_least_squares_coefficients_of_raw_inputs(full_batch):
    rows = full_batch.parts.train
    expected = LinearRegression().fit(X[rows], Y[rows])
    slopes, intercept = coefficients_of_raw_inputs(full_batch)
    np.testing.assert_allclose(slopes, expected.coef_, rtol=1e-3)
    assert intercept == pytest.approx(expected.intercept_, rel=1e-3)


def test_a_saved_model_predicts_raw_rows_as_least_squares_does(full_batch):
    rows, held_out = full_batch.parts.train, X[full_batch.parts.test]
    expected = LinearRegression().fit(X[rows], Y[rows]).predict(held_out)
    np.testing.assert_allclose(full_batch.predict(held_out), expected, rtol=1e-3)


def test_the_record_of_full_batches_is_gradient_descent_with_momentum_step_by_step(full_batch, configuration):
    rows = full_batch.parts.train
    mean, scale = scales(full_batch)
    x = np.column_stack([(X[rows] - mean) / scale, np.ones(len(rows))])
    weights = Model.from_config(configuration("regression")).build((10,)).network.parameters.copy()
    velocity = np.zeros_like(weights)
    for recorded, loss in zip(full_batch.records["weights"], full_batch.records["loss"], strict=True):
        error = x @ weights - Y[rows]
        assert loss == pytest.approx(np.mean(error**2), rel=1e-10)
        velocity = 0.9 * velocity + 0.1 * 2 / len(rows) * (x.T @ error)
        weights -= velocity
        np.testing.assert_allclose(recorded, weights, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["by_batches", "line"])
def test_weights_are_recorded_after_every_batch_by_epoch_and_batch(name, request):
    model = request.getfixturevalue(name)
    records = model.records
    keys = list(zip(records["epoch"].tolist(), records["batch"].tolist(), strict=True))
    assert keys == list(itertools.product(range(1, 101), range(1, 6)))
    assert len(np.unique(records["weights"], axis=0)) == 500
    np.testing.assert_array_equal(records["weights"][-1], model.network.parameters)


def test_the_recorded_losses_of_the_batches_average_to_the_loss_of_their_epoch(line):
    losses = line.records["loss"].reshape(100, 5)
    np.testing.assert_allclose(losses.mean(axis=1), line.history["loss"], rtol=1e-12)


def test_the_history_follows_training_and_validation(by_batches):
    assert {"loss", "r2", "validation_loss", "validation_r2"} <= by_batches.history.keys()
    assert all(values.shape == (100,) for values in by_batches.history.values())
    rows = by_batches.parts.validation
    last = by_batches.history["validation_loss"][-1]
    assert last == pytest.approx(mean_squared_error(by_batches, X[rows], Y[rows]), rel=1e-12)
    assert last < by_batches.history["validation_loss"][0] / 5


def test_training_validation_and_test_rows_divide_the_table(by_batches):
    parts = by_batches.parts
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [288, 44, 110]
    together = np.concatenate([parts.train, parts.validation, parts.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(442))


def test_mini_batches_lead_close_to_the_least_squares_line(line):
    dataset = line.configuration.data.source.load()
    rows = line.parts.train
    expected = LinearRegression().fit(dataset.inputs[rows], dataset.target[rows])
    (slope,), intercept = coefficients_of_raw_inputs(line)
    assert len(rows) == 600
    assert slope == pytest.approx(expected.coef_[0], rel=1e-3)
    assert intercept == pytest.approx(expected.intercept_, abs=0.1)


def test_weights_of_every_epoch_are_recorded_with_validation_data_of_ones_own(configuration):
    model = Model.from_config(configuration("regression", **FULL_BATCH, callbacks=["weight_recorder"]))
    history = model.fit(X[:300], Y[:300], validation=(X[300:], Y[300:]), epochs=20)
    assert model.records["weights"].shape == (20, 11)
    assert model.records["epoch"].tolist() == list(range(1, 21))
    assert history["validation_loss"][-1] == pytest.approx(mean_squared_error(model, X[300:], Y[300:]), rel=1e-12)
