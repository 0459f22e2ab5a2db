from __future__ import annotations

import numpy as np
import pytest

from microframe.network import Network
from microframe.standard.layers import BatchNorm, LayerNorm
from microframe.training_pass import TrainingPass


def network_of(layer, shape, dtype="float64"):
    return Network([layer], shape, dtype, np.random.default_rng(0))


def batches(count, shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(4, 3, shape) for _ in range(count)]


@pytest.mark.parametrize("shape", [(64, 3), (16, 5, 4, 3)])
def test_batch_norm_in_training_gives_every_feature_mean_0_and_variance_1(shape):
    network = network_of(BatchNorm(epsilon=1e-12), shape[1:])
    y = TrainingPass(network, np.random.default_rng(0)).forward(batches(1, shape)[0])
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, rtol=1e-9)


def test_batch_norm_follows_mean_and_variance_with_its_momentum():
    network = network_of(BatchNorm(momentum=0.9), (3,))
    training = TrainingPass(network, np.random.default_rng(0))
    mean, variance = np.zeros(3), np.ones(3)
    for x in batches(5, (8, 3)):
        training.forward(x)
        mean = 0.9 * mean + 0.1 * x.mean(axis=0)
        variance = 0.9 * variance + 0.1 * x.var(axis=0)
    np.testing.assert_allclose(network.state["batch_norm_1"]["moving_mean"], mean)
    np.testing.assert_allclose(network.state["batch_norm_1"]["moving_variance"], variance)


def test_batch_norm_in_inference_uses_the_moving_statistics_and_leaves_them():
    network = network_of(BatchNorm(), (3,))
    state, weights = network.state["batch_norm_1"], network.weights["batch_norm_1"]
    state["moving_mean"][...], state["moving_variance"][...] = [1, 2, 3], [4, 9, 16]
    weights["gamma"][...], weights["beta"][...] = [1, -1, 2], [0, 5, 0]
    x = batches(1, (8, 3))[0]
    before = {name: array.copy() for name, array in state.items()}
    expected = (x - [1, 2, 3]) / np.sqrt(np.array([4, 9, 16]) + 1e-3) * [1, -1, 2] + [0, 5, 0]
    np.testing.assert_allclose(network.forward(x), expected)
    for name, array in state.items():
        np.testing.assert_array_equal(array, before[name])


def test_batch_norm_trained_on_one_distribution_normalises_it_in_inference():
    network = network_of(BatchNorm(momentum=0.9), (3,))
    training = TrainingPass(network, np.random.default_rng(0))
    for x in batches(200, (64, 3)):
        training.forward(x)
    y = network.forward(batches(1, (4000, 3), seed=9)[0])
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(y.std(axis=0), 1, atol=0.1)


def test_batch_norm_of_a_single_sample_gives_the_shift():
    y = TrainingPass(network_of(BatchNorm(), (3,)), np.random.default_rng(0)).forward(np.array([[5.0, -3.0, 1e4]]))
    np.testing.assert_array_equal(y, np.zeros((1, 3)))


@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_batch_norm_in_float32_has_no_cancellation_far_from_zero(shape):
    x = np.random.default_rng(0).normal(1e4, 1, (256, *shape)).astype(np.float32)
    y = TrainingPass(network_of(BatchNorm(), shape, "float32"), np.random.default_rng(0)).forward(x)
    axes = tuple(range(x.ndim - 1))
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(axis=axes)) / np.sqrt(exact.var(axis=axes) + 1e-3)
    np.testing.assert_allclose(y, exact, atol=5e-3)


@pytest.mark.parametrize("shape", [(4,), (2, 5, 4)])
def test_layer_norm_normalises_every_row_by_itself(shape):
    x = batches(1, (8, *shape))[0]
    expected = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(network_of(LayerNorm(), shape).forward(x), expected)


def test_layer_norm_is_the_same_in_training_and_in_inference():
    network = network_of(LayerNorm(), (4,))
    x = batches(1, (8, 4))[0]
    np.testing.assert_array_equal(TrainingPass(network, np.random.default_rng(0)).forward(x), network.forward(x))


def test_layer_norm_scales_and_shifts_each_feature():
    network = network_of(LayerNorm(), (4,))
    x = batches(1, (8, 4))[0]
    plain = network.forward(x)
    network.weights["layer_norm_1"]["gamma"][...] = [1, 2, 3, 4]
    network.weights["layer_norm_1"]["beta"][...] = [5, 6, 7, 8]
    np.testing.assert_allclose(network.forward(x), plain * [1, 2, 3, 4] + [5, 6, 7, 8])


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()])
def test_weight_decay_leaves_scale_and_shift_alone(layer):
    assert [piece.decay for piece in network_of(layer, (3,)).layout] == [False, False]


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()])
def test_the_start_is_scale_1_and_shift_0(layer):
    weights = network_of(layer, (3,)).weights[f"{layer.type}_1"]
    np.testing.assert_array_equal(weights["gamma"], [1, 1, 1])
    np.testing.assert_array_equal(weights["beta"], [0, 0, 0])
