from __future__ import annotations

import numpy as np
import pytest

from microframe.errors import ConfigError
from microframe.interfaces import Activation
from microframe.network import Network
from microframe.standard.layers import ActivationLayer, Dense
from microframe.testing import assert_layer_gradients
from microframe.training_pass import TrainingPass


class Quadratic(Activation):
    """x^2, whose derivative needs the input."""

    needs_input = True

    def forward(self, x, out):
        np.multiply(x, x, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, 2 * x, out=out)


class Exponential(Activation):
    """e^x, whose derivative is its output; it runs in place."""

    def forward(self, x, out):
        np.exp(x, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, y, out=out)


class Share(Activation):
    """x / sum of x over the last axis, with the shift that keeps the sum away from 0."""

    needs_input = True

    def forward(self, x, out):
        np.divide(x, (x + 9).sum(axis=-1, keepdims=True), out=out)

    def backward(self, dy, x, y, out):
        total = (x + 9).sum(axis=-1, keepdims=True)
        np.divide(dy - (dy * y).sum(axis=-1, keepdims=True), total, out=out)


@pytest.mark.parametrize("activation", [Quadratic(), Exponential(), Share()])
@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_gradients_are_right_with_every_kind_of_activation(activation, shape):
    assert_layer_gradients(Dense(5, activation), shape)
    assert_layer_gradients(Dense(5, activation, use_bias=False), shape)
    assert_layer_gradients(ActivationLayer(activation), shape)


def test_the_output_is_the_affine_function_then_the_activation():
    network = Network([Dense(2, Quadratic())], (2,), "float64")
    network.weights["dense_1"]["kernel"][...] = [[1, 2], [3, 4]]
    network.weights["dense_1"]["bias"][...] = [10, -20]
    np.testing.assert_array_equal(network.forward(np.array([[1.0, -1.0]])), [[8.0**2, (-22.0) ** 2]])


def test_the_last_axis_is_mapped_alike_at_every_position():
    network = Network([Dense(4)], (5, 3), "float64", np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((2, 5, 3))
    kernel = network.weights["dense_1"]["kernel"]
    np.testing.assert_allclose(network.forward(x), np.einsum("bti,io->bto", x, kernel), rtol=1e-12)


def test_an_input_that_is_not_contiguous_gives_the_same():
    network = Network([Dense(4)], (5, 3), "float64", np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((3, 5, 2)).T
    training = TrainingPass(network, np.random.default_rng(0))
    dy = np.ones((4, 5, 2)).T
    training.forward(x)
    training.backward(dy)
    expected = np.einsum("bti,bto->io", x, dy)
    np.testing.assert_allclose(network.views(network.gradients)["dense_1"]["kernel"], expected, rtol=1e-12)
    np.testing.assert_allclose(network.forward(x), network.forward(np.ascontiguousarray(x)), rtol=1e-12)


def test_weight_decay_applies_to_the_kernel_and_not_to_the_bias():
    network = Network([Dense(4)], (3,))
    assert [(piece.name, piece.decay) for piece in network.layout] == [
        ("dense_1/kernel", True),
        ("dense_1/bias", False),
    ]


def test_without_bias_there_is_a_kernel_alone():
    assert Network([Dense(4, use_bias=False)], (3,)).weights["dense_1"].keys() == {"kernel"}


@pytest.mark.parametrize("units", [0, -1, 2.5, "four"])
def test_units_must_be_a_positive_whole_number(units):
    with pytest.raises(ConfigError, match=r"Dense\.units: expected a whole number of at least 1"):
        Dense(units)


def test_an_activation_layer_changes_its_own_output_only():
    network = Network([ActivationLayer(Exponential())], (2,), "float64")
    x = np.array([[0.0, 1.0]])
    np.testing.assert_allclose(network.forward(x), [[1, np.e]])
    np.testing.assert_array_equal(x, [[0, 1]])
