from __future__ import annotations

import numpy as np
import pytest

from microframe.errors import ConfigError
from microframe.network import Network
from microframe.standard.layers import Dense, Dropout, GaussianNoise
from microframe.training_pass import TrainingPass


def in_training(layer, x, seed=0):
    network = Network([layer], x.shape[1:], x.dtype)
    return TrainingPass(network, np.random.default_rng(seed)).forward(x).copy()


@pytest.mark.parametrize("layer", [Dropout(0.3), GaussianNoise(2.0)])
def test_inference_adds_nothing(layer):
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    np.testing.assert_array_equal(Network([layer], (4,)).forward(x), x)


@pytest.mark.parametrize("layer", [Dropout(0.3), GaussianNoise(2.0)])
def test_the_same_random_state_draws_the_same_noise(layer):
    x = np.ones((50, 4), np.float32)
    np.testing.assert_array_equal(in_training(layer, x), in_training(layer, x))
    assert not np.array_equal(in_training(layer, x), in_training(layer, x, seed=1))


@pytest.mark.parametrize("layer", [Dropout(0.3), GaussianNoise(2.0)])
def test_each_step_draws_anew(layer):
    training = TrainingPass(Network([layer], (4,)), np.random.default_rng(0))
    x = np.ones((50, 4), np.float32)
    assert not np.array_equal(training.forward(x).copy(), training.forward(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_a_share_and_keeps_the_expectation(rate, dtype):
    x = np.full((400, 500), 3, dtype)
    y = in_training(Dropout(rate), x)
    survivors = y[y != 0]
    np.testing.assert_allclose(survivors, 3 / (1 - rate), rtol=1e-6)
    deviation = np.sqrt(rate * (1 - rate) / x.size)
    assert abs(survivors.size / x.size - (1 - rate)) < 5 * deviation
    assert abs(y.mean() - 3) < 5 * 3 * deviation / (1 - rate)


def test_dropout_lets_the_gradient_through_where_it_let_the_value_through():
    x = np.ones((20, 30))
    training = TrainingPass(Network([Dropout(0.5)], (30,), "float64"), np.random.default_rng(0), input_gradient=True)
    y = training.forward(x)
    np.testing.assert_array_equal(training.backward(np.ones_like(y)), y)


def test_dropout_at_rate_zero_is_the_identity_in_training_too():
    x = np.random.default_rng(0).standard_normal((5, 4))
    np.testing.assert_array_equal(in_training(Dropout(0), x), x)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_a_rate_that_leaves_nothing_is_an_error(rate):
    with pytest.raises(ConfigError, match=r"Dropout\.rate"):
        Dropout(rate)


def test_gaussian_noise_has_mean_zero_and_the_deviation_given():
    x = np.full((400, 500), 3.0)
    noise = in_training(GaussianNoise(0.5), x) - x
    assert abs(noise.mean()) < 5 * 0.5 / np.sqrt(x.size)
    assert abs(noise.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * x.size)


def test_the_layers_above_train_through_noise():
    network = Network([Dense(3), Dropout(0.5), GaussianNoise(1.0)], (2,), "float64", np.random.default_rng(0))
    training = TrainingPass(network, np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((8, 2))
    mask = (np.random.default_rng(0).random((8, 3)) >= 0.5) / 0.5
    training.forward(x)
    training.backward(np.ones((8, 3)))
    np.testing.assert_allclose(network.views(network.gradients)["dense_1"]["kernel"], x.T @ mask)
