from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from microframe.errors import ConfigError, DataError
from microframe.network import Network
from microframe.standard.layers import Dense, Flatten, MinMax, Standardize


def fitted(layer, batches, dtype="float64"):
    network = Network([layer], batches[0].shape[1:], dtype)
    network.fit_preprocessing(lambda: iter(batches))
    return network


@st.composite
def batched(draw):
    """A table, and the same table in batches of unequal size, empty ones among them."""
    rows = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 2**32))
    offset = draw(st.sampled_from([0.0, -3.0, 1e4, -1e7]))
    table = offset + np.random.default_rng(seed).normal(0, [1, 0.01, 1000], (rows, 3))
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=5)))
    return table, np.split(table, cuts)


@settings(max_examples=50)
@given(batched())
def test_standardize_equals_scikit_learn_in_whatever_batches_the_data_comes(case):
    table, batches = case
    scaler = StandardScaler().fit(table)
    network = fitted(Standardize(), batches)
    state = network.state["standardize_1"]
    np.testing.assert_allclose(state["mean"], scaler.mean_, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(state["scale"], scaler.scale_, rtol=1e-6)
    np.testing.assert_allclose(network.forward(table), scaler.transform(table), rtol=1e-6, atol=1e-6)


@settings(max_examples=50)
@given(batched(), st.sampled_from([(0, 1), (-1, 1), (2, 7)]))
def test_min_max_equals_scikit_learn_in_whatever_batches_the_data_comes(case, limits):
    table, batches = case
    scaler = MinMaxScaler(limits).fit(table)
    network = fitted(MinMax(*limits), batches)
    np.testing.assert_allclose(network.forward(table), scaler.transform(table), rtol=1e-6, atol=1e-5)


@settings(max_examples=50)
@given(batched())
def test_min_max_puts_the_extremes_on_the_limits(case):
    table, batches = case
    y = fitted(MinMax(-1, 1), batches).forward(table)
    np.testing.assert_allclose(y.min(axis=0), -1, atol=1e-12)
    if len(table) > 1:
        np.testing.assert_allclose(y.max(axis=0), 1, atol=1e-12)


@pytest.mark.parametrize("offset", [0, 2**30, 2**45, -(2**45)])
@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_a_huge_offset_does_not_spoil_the_standard_deviation(offset, size):
    values = np.random.default_rng(0).integers(0, 32, (1000, 2)) / 16  # exact, also with the offset
    batches = [values[start : start + size] + offset for start in range(0, 1000, size)]
    state = fitted(Standardize(), batches).state["standardize_1"]
    rounding = np.spacing(float(abs(offset)))
    np.testing.assert_allclose(state["mean"] - offset, values.mean(axis=0), atol=rounding + 1e-14)
    np.testing.assert_allclose(state["scale"], values.std(axis=0), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0, 0.1, -1 / 3, 1e7 / 3, 1e-12])
def test_a_constant_feature_is_only_shifted(value, dtype):
    batches = [np.full((n, 2), value, dtype) for n in (3, 5, 1)]
    standardize, min_max = fitted(Standardize(), batches, dtype), fitted(MinMax(-1, 1), batches, dtype)
    np.testing.assert_array_equal(standardize.state["standardize_1"]["scale"], 1)
    np.testing.assert_array_equal(standardize.forward(batches[0]), 0)
    np.testing.assert_array_equal(min_max.state["min_max_1"]["range"], 1)
    np.testing.assert_array_equal(min_max.forward(batches[0]), -1)


@pytest.mark.parametrize("layer", [Standardize(), MinMax()])
def test_rounding_errors_are_not_blown_up_to_a_feature(layer):
    x = np.array([[0.1 + 0.2], [0.3], [0.3]])  # 0.1 + 0.2 is one bit above 0.3
    assert np.abs(fitted(layer, [x]).forward(x)).max() < 1e-15


def test_a_small_but_real_variation_counts():
    x = np.array([[1e-30], [3e-30]])
    np.testing.assert_allclose(fitted(Standardize(), [x]).forward(x), [[-1], [1]])
    np.testing.assert_allclose(fitted(MinMax(), [x]).forward(x), [[0], [1]])


@pytest.mark.parametrize("layer", [Standardize(), MinMax()])
def test_float32_gets_statistics_computed_in_float64(layer):
    x = np.random.default_rng(0).normal(1000, 1, (100_000, 2)).astype(np.float32)
    batches = np.split(x, 100)
    single, double = fitted(layer, batches, "float32"), fitted(layer, [x.astype(np.float64)])
    for name, array in single.state[f"{layer.type}_1"].items():
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, double.state[f"{layer.type}_1"][name], rtol=1e-12)


@pytest.mark.parametrize("layer", [Standardize(), MinMax(-1, 1)])
def test_a_large_offset_costs_a_float32_network_no_digits(layer):
    x = np.random.default_rng(0).normal(0, 1, (50, 3))
    network, plain = fitted(layer, [x + 1e8], "float32"), fitted(layer, [x])
    y = network.forward(x + 1e8)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, plain.forward(x), atol=1e-6)


@pytest.mark.parametrize("layer", [Standardize(), MinMax(-1, 1)])
def test_below_other_layers_a_float32_network_gives_it_float32(layer):
    x = np.random.default_rng(0).normal(5, 2, (50, 3)).astype(np.float32)
    network = Network([Dense(3), layer], (3,), "float32", np.random.default_rng(0))
    assert network.input_dtype == np.float32
    network.fit_preprocessing(lambda: iter([x]))
    dense, y = (output for _, output in network.activations(x))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, fitted(layer, [dense.astype(float)]).forward(dense.astype(float)), atol=1e-6)


@pytest.mark.parametrize("layer", [Standardize(), MinMax()])
def test_what_varies_by_rounding_errors_of_float32_is_constant_where_float32_comes(layer):
    x = np.array([[0.1], [np.nextafter(np.float32(0.1), np.float32(1))]], np.float32)
    single, double = fitted(layer, [x], "float32"), fitted(layer, [x.astype(float)], "float32")
    name = "scale" if layer.type == "standardize" else "range"
    assert single.state[f"{layer.type}_1"][name] == 1
    assert double.state[f"{layer.type}_1"][name] < 1e-8


def test_a_feature_is_an_element_of_the_last_axis():
    images = np.random.default_rng(0).normal([1, 2, 3], [4, 5, 6], (50, 4, 4, 3))
    y = fitted(Standardize(), [images[:7], images[7:]]).forward(images)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1, rtol=1e-12)


@pytest.mark.parametrize("layer", [Standardize(), MinMax()])
def test_until_it_is_fitted_a_layer_changes_nothing(layer):
    x = np.random.default_rng(0).normal(0, 1, (5, 3))
    np.testing.assert_array_equal(Network([layer], (3,), "float64").forward(x), x)


@pytest.mark.parametrize("layer", [Standardize(), MinMax()])
@pytest.mark.parametrize("batches", [[], [np.zeros((0, 3))]])
def test_there_must_be_samples_to_be_fitted_on(layer, batches):
    network = Network([layer], (3,), "float64")
    with pytest.raises(DataError, match=f"{layer.type}: expected samples"):
        network.fit_preprocessing(lambda: iter(batches))


def test_layers_are_fitted_in_order_each_on_what_the_one_above_gives():
    x = np.random.default_rng(0).normal(5, 2, (60, 2, 3))
    network = Network([MinMax(0, 2), Flatten(), Standardize(), Dense(1)], (2, 3), "float64", np.random.default_rng(0))
    network.fit_preprocessing(lambda: iter(np.split(x, 4)))
    outputs = [y for _, y in network.activations(x)]
    np.testing.assert_allclose(outputs[0].max(axis=(0, 1)), 2)
    np.testing.assert_allclose(outputs[2].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(outputs[2].std(axis=0), 1)


@pytest.mark.parametrize("limits", [(1, 1), (2, -1)])
def test_low_must_be_below_high(limits):
    with pytest.raises(ConfigError, match="low to be less than high"):
        MinMax(*limits)
