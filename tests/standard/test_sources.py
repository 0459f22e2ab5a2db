from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from microframe import ConfigError
from microframe.registry import registry
from microframe.standard.sources import (
    CSV,
    HDF5,
    IDX,
    NPY,
    NPZ,
    BitInversion,
    Diabetes,
    Digits,
    Kink,
    Line,
    Spirals,
)


def test_every_source_is_registered_under_its_name():
    files = ["csv", "hdf5", "idx", "npy", "npz"]
    others = ["bit_inversion", "diabetes", "digits", "kink", "line", "spirals"]
    assert registry.standard_names("source") == sorted(files + others)


@pytest.mark.parametrize("rows", [(3, 3), (-1, 2), (5, 4)])
@pytest.mark.parametrize("kind", [CSV, NPY, NPZ, IDX, lambda path, rows: HDF5(path, "x", rows=rows)])
def test_a_range_must_hold_a_row(kind, rows):
    with pytest.raises(ConfigError, match="0 <= start < stop"):
        kind("file", rows=rows)


def test_digits_are_those_of_scikit_learn():
    expected, data = load_digits(), Digits().load()
    np.testing.assert_array_equal(data.inputs, expected.data)
    np.testing.assert_array_equal(data.target, expected.target)
    assert data.target.dtype == np.int64
    assert list(data.feature_names) == expected.feature_names


def test_diabetes_is_that_of_scikit_learn_unscaled():
    expected, data = load_diabetes(scaled=False), Diabetes().load()
    np.testing.assert_array_equal(data.inputs, expected.data)
    np.testing.assert_array_equal(data.target, expected.target)
    assert list(data.feature_names) == expected.feature_names
    assert data.target_names == ("progression",)


def test_a_line_without_noise_is_exact():
    data = Line().load()
    np.testing.assert_array_equal(data.inputs[:, 0], np.linspace(0, 1, 100))
    np.testing.assert_array_equal(data.target, 2 * np.linspace(0, 1, 100) + 1)


def test_a_line_with_noise_scatters_by_its_standard_deviation():
    data = Line(samples=800, stop=100.0, slope=9.0, intercept=0.0, noise=200.0, seed=1).load()
    residual = data.target - 9 * data.inputs[:, 0]
    assert data.inputs.shape == (800, 1)
    assert residual.std() == pytest.approx(200, rel=0.1)
    assert abs(residual.mean()) < 25


def test_a_kink_bends_where_it_should():
    data = Kink(noise=0.0, at=1.0).load()
    x = data.inputs[:, 0]
    np.testing.assert_allclose(data.target[x <= 1], 0.2 * x[x <= 1] - 2)
    np.testing.assert_allclose(data.target[x > 1], 2.2 * x[x > 1] - 4)


@pytest.mark.parametrize("source", [Line, Kink])
def test_a_range_goes_forward(source):
    with pytest.raises(ConfigError, match="expected start < stop"):
        source(start=6.0, stop=5.0)


def test_spirals_wind_about_each_other():
    data = Spirals(samples=9, classes=3, turns=0.5, noise=0.0).load()
    assert data.target.tolist() == [0, 1, 2] * 3
    np.testing.assert_allclose(np.hypot(*data.inputs.T), np.repeat([1 / 3, 2 / 3, 1], 3))
    np.testing.assert_allclose(data.inputs[6], [-1, 0], atol=1e-12)
    np.testing.assert_allclose(data.inputs[7], [np.cos(5 * np.pi / 3), np.sin(5 * np.pi / 3)])


@pytest.mark.parametrize("source", [Line, Kink, Spirals])
def test_noise_follows_the_seed_and_leaves_the_global_generator_alone(source):
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is tested
    first, again, other = (source(noise=1.0, seed=seed).load() for seed in (3, 3, 4))
    for name in ("inputs", "target"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(np.c_[first.inputs, first.target], np.c_[other.inputs, other.target])
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002 - the global state is what is tested


def test_bit_inversion_turns_every_bit():
    data = BitInversion(samples=50, bits=4, seed=5).load()
    assert data.inputs.shape == (50, 4)
    assert set(np.unique(data.inputs)) == {0, 1}
    np.testing.assert_array_equal(data.inputs + data.target, 1)


def test_bit_inversion_holds_the_bits_of_the_exercise():
    """The known mean loss of the first epoch of a 10-10-10 network, trained bit row by bit row with momentum."""
    rng = np.random.RandomState(0)
    weights = [rng.normal(0, 0.1, (10, 10)), rng.normal(0, 0.1, (10, 10)), np.zeros(10), np.zeros(10)]
    velocity = [np.zeros_like(weight) for weight in weights]
    data = BitInversion().load()
    losses = []
    for x, t in zip(data.inputs, data.target, strict=True):
        v, w, a, b = weights
        h = np.tanh(x @ v + a)
        y = 1 / (1 + np.exp(-(h @ w + b)))
        losses.append(-np.mean(t * np.log(y) + (1 - t) * np.log(1 - y)))
        dz = (y - t) @ w.T * (1 - h**2)
        gradients = [np.outer(x, dz), np.outer(h, y - t), dz, y - t]
        velocity = [0.9 * u + 0.01 * g for u, g in zip(velocity, gradients, strict=True)]
        weights = [weight - u for weight, u in zip(weights, velocity, strict=True)]
    assert np.mean(losses) == pytest.approx(0.44937397, abs=5e-9)
