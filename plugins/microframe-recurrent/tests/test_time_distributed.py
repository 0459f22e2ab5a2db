from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import LSTM, SimpleRNN, TimeDistributed

import microframe
from microframe.standard.layers import Add, BatchNorm, Dense, Dropout, Flatten, Multiply, Standardize


def test_every_step_goes_through_the_layer_by_itself(built):
    model = built(TimeDistributed(LSTM(4)), shape=(3, 5, 2))
    inner = microframe.Model([LSTM(4)], dtype="float64").build((5, 2))
    for name, array in inner.weights["lstm_1"].items():
        array[...] = model.weights["time_distributed_1"][f"layer_{name}"]
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 2))
    expected = np.stack([inner(x[:, step]) for step in range(3)], axis=1)
    np.testing.assert_allclose(model(x), expected, rtol=1e-12)


def test_one_wrapper_may_stand_in_another(built):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    model = built(TimeDistributed(TimeDistributed(Dense(6))), shape=(3, 4, 5))
    kernel = model.weights["time_distributed_1"]["layer_layer_kernel"]
    bias = model.weights["time_distributed_1"]["layer_layer_bias"]
    np.testing.assert_allclose(model(x), x @ kernel + bias, rtol=1e-12)


def test_a_layer_that_changes_shapes_changes_those_of_the_steps(built):
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(built(TimeDistributed(Flatten()), shape=(3, 2, 2))(x), x.reshape(2, 3, 4))


def test_the_mean_that_a_batch_norm_follows_is_that_of_all_steps():
    x = np.random.default_rng(0).normal([5, -5], 1, (8, 3, 2))
    model = microframe.Model([TimeDistributed(BatchNorm(momentum=0.0)), Flatten(), Dense(1)], dtype="float64")
    model.fit(x, np.zeros(8), loss="mean_squared_error", epochs=1, batch_size="all")
    mean = model.network.state["time_distributed_1"]["layer_moving_mean"]
    np.testing.assert_allclose(mean, x.mean(axis=(0, 1)), rtol=1e-9)


def test_it_differs_in_training_where_the_layer_inside_does():
    assert TimeDistributed(Dropout(0.5)).differs_in_training
    assert not TimeDistributed(Dense(2)).differs_in_training


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Dense(2, name="inner"), "expected a layer inside without name and inputs"),
        (Dense(2, inputs=("input",)), "expected a layer inside without name and inputs"),
        (Standardize(), "expected a layer inside that needs no fitting before training, not 'standardize'"),
    ],
    ids=["name", "inputs", "fitted"],
)
def test_a_layer_that_makes_no_sense_inside_is_refused(layer, expected):
    with pytest.raises(microframe.ConfigError, match=expected):
        TimeDistributed(layer)


class Pair(Add):
    def build(self, scope, one_shape, other_shape):
        return super().build(scope, one_shape, other_shape)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(Pair(), "reads one input, which 'pair' does not"), (Multiply(), "at least two inputs")],
    ids=["two", "any number"],
)
def test_a_layer_that_needs_several_inputs_is_refused(layer, expected):
    with pytest.raises(microframe.ConfigError, match=expected):
        microframe.Model([TimeDistributed(layer)]).build((4, 3))


def test_the_shape_of_a_step_must_suit_the_layer():
    with pytest.raises(microframe.ConfigError, match=r"expected an input of shape \(time, features\)"):
        microframe.Model([TimeDistributed(SimpleRNN(2))]).build((4, 3))
    with pytest.raises(microframe.ConfigError, match=r"expected an input of shape \(time, \.\.\.\)"):
        microframe.Model([TimeDistributed(Dense(2))]).build(())
    with pytest.raises(microframe.ConfigError, match="with at least one step"):
        microframe.Model([TimeDistributed(Dense(2))]).build((0, 3))
