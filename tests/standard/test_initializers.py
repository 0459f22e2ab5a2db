from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from microframe import ConfigError
from microframe.standard import initializers
from microframe.standard.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    LegacyNormal,
    Normal,
    Ones,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Zeros,
)

RANDOM = [
    Normal(),
    Uniform(),
    TruncatedNormal(),
    GlorotUniform(),
    GlorotNormal(),
    HeUniform(),
    HeNormal(),
    LecunUniform(),
    LecunNormal(),
    Orthogonal(),
]
EVERY = [*RANDOM, Zeros(), Ones(), Constant(2.5), Identity(), LegacyNormal(0)]

SCALED = [
    (GlorotUniform(), GlorotNormal(), lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    (HeUniform(), HeNormal(), lambda fan_in, fan_out: 2 / fan_in),
    (LecunUniform(), LecunNormal(), lambda fan_in, fan_out: 1 / fan_in),
]


def filled(initializer, shape, dtype=np.float64, seed=0):
    out = np.full(shape, np.nan, dtype)
    initializer.fill(out, np.random.default_rng(seed))
    return out


def test_every_standard_initializer_is_provided_by_the_hook():
    assert {type(initializer) for initializer in EVERY} == set(initializers.microframe_components())


@pytest.mark.parametrize("initializer", EVERY, ids=lambda initializer: initializer.type)
@given(shape=st.tuples(st.integers(1, 6), st.integers(1, 6)), seed=st.integers(0, 2**32))
def test_filling_depends_on_the_seed_alone_and_float32_is_float64_rounded(initializer, shape, seed):
    double = filled(initializer, shape, np.float64, seed)
    assert np.isfinite(double).all()
    np.testing.assert_array_equal(double, filled(initializer, shape, np.float64, seed))
    np.testing.assert_array_equal(double.astype(np.float32), filled(initializer, shape, np.float32, seed))


@pytest.mark.parametrize("initializer", RANDOM, ids=lambda initializer: initializer.type)
def test_another_seed_gives_other_values(initializer):
    assert not np.array_equal(filled(initializer, (4, 4), seed=1), filled(initializer, (4, 4), seed=2))


def test_zeros_and_ones():
    np.testing.assert_array_equal(filled(Zeros(), (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(filled(Ones(), (3,)), np.ones(3))


def test_constant_broadcasts_to_the_parameter():
    np.testing.assert_array_equal(filled(Constant(2), (2, 2)), [[2, 2], [2, 2]])
    np.testing.assert_array_equal(filled(Constant([1, 2]), (3, 2)), [[1, 2], [1, 2], [1, 2]])
    np.testing.assert_array_equal(filled(Constant([[1, 2], [3, 4]]), (2, 2)), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(filled(Constant([[1], [3]]), (2, 2)), [[1, 1], [3, 3]])


def test_constant_says_which_shape_it_should_have():
    with pytest.raises(ValueError, match=r"expected a value that broadcasts to shape \(2, 2\), received shape \(3,\)"):
        filled(Constant([1, 2, 3]), (2, 2))
    with pytest.raises(ValueError, match=r"received shape \(1, 2\)"):
        filled(Constant([[1, 2]]), (2,))


@pytest.mark.parametrize("value", [[[1, 2], [3]], [[1], 2], [1, [2]]])
def test_constant_refuses_ragged_values(value):
    with pytest.raises(ConfigError, match="rows of one length"):
        Constant(value)


def test_normal_has_its_mean_and_deviation():
    values = filled(Normal(mean=1.0, standard_deviation=0.2), 20_000)
    assert stats.kstest(values, stats.norm(1.0, 0.2).cdf).pvalue > 0.01


def test_uniform_has_its_bounds():
    values = filled(Uniform(low=-1.0, high=3.0), 20_000)
    assert stats.kstest(values, stats.uniform(-1.0, 4.0).cdf).pvalue > 0.01
    with pytest.raises(ConfigError, match="low to be less than high"):
        Uniform(low=1.0, high=1.0)


def test_truncated_normal_is_the_normal_distribution_cut_at_two_deviations():
    values = filled(TruncatedNormal(mean=1.0, standard_deviation=0.2), 20_000)
    assert np.abs(values - 1.0).max() <= 0.4
    assert stats.kstest(values, stats.truncnorm(-2, 2, 1.0, 0.2).cdf).pvalue > 0.01


def test_the_deviation_of_the_cut_distribution_is_exact():
    assert pytest.approx(stats.truncnorm(-2, 2).std(), rel=1e-12) == initializers.TRUNCATED_DEVIATION


@pytest.mark.parametrize("shape", [(100, 300), (3, 3, 40, 60)])
@pytest.mark.parametrize(("uniform", "normal", "variance"), SCALED, ids=["glorot", "he", "lecun"])
def test_scaled_initializers_have_the_variance_of_their_fans(uniform, normal, variance, shape):
    field = math.prod(shape[:-2])
    expected = variance(field * shape[-2], field * shape[-1])
    for initializer in (uniform, normal):
        assert initializer.bounds(shape)[1] == -initializer.bounds(shape)[0]
        values = filled(initializer, shape)
        assert abs(values.mean()) < 4 * math.sqrt(expected / values.size)
        assert values.var() == pytest.approx(expected, rel=0.03)
    limit = math.sqrt(3 * expected)
    assert uniform.bounds(shape)[1] == pytest.approx(limit)
    assert 0.99 * limit < np.abs(filled(uniform, shape)).max() <= limit
    cut = 2 * math.sqrt(expected) / initializers.TRUNCATED_DEVIATION
    assert normal.bounds(shape)[1] == pytest.approx(cut)
    assert 0.99 * cut < np.abs(filled(normal, shape)).max() <= cut


@given(rows=st.integers(1, 8), columns=st.integers(1, 8), gain=st.floats(0.1, 10))
def test_orthogonal_has_orthonormal_rows_or_columns_times_its_gain(rows, columns, gain):
    matrix = filled(Orthogonal(gain=gain), (rows, columns)) / gain
    gram = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_takes_a_kernel_as_a_matrix_of_its_last_axis():
    kernel = filled(Orthogonal(), (3, 3, 2, 5)).reshape(18, 5)
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(5), atol=1e-12)


def test_orthogonal_draws_either_sign():
    draws = {float(filled(Orthogonal(), (1, 1), seed=seed)[0, 0]) for seed in range(20)}
    assert draws == {-1.0, 1.0}


def test_orthogonal_needs_two_axes():
    with pytest.raises(ValueError, match=r"expected an array with at least two axes, received shape \(3,\)"):
        filled(Orthogonal(), (3,))


def test_identity_is_a_multiple_of_the_identity_matrix():
    np.testing.assert_array_equal(filled(Identity(gain=2.0), (3, 3)), 2 * np.eye(3))
    np.testing.assert_array_equal(filled(Identity(), (4, 2)), np.eye(4, 2))
    np.testing.assert_array_equal(filled(Identity(), (2, 4)), np.eye(2, 4))
    with pytest.raises(ValueError, match=r"expected an array with two axes, received shape \(2, 2, 2\)"):
        filled(Identity(), (2, 2, 2))


def test_legacy_normal_starts_as_the_notebook_does():
    assert filled(LegacyNormal(44, standard_deviation=0.1), (1, 1))[0, 0] == pytest.approx(-0.07506147, abs=5e-9)


@given(seed=st.integers(0, 2**32 - 1), skip=st.integers(0, 9))
def test_legacy_normal_continues_the_stream_of_the_legacy_generator(seed, skip):
    expected = np.random.RandomState(seed).normal(0.5, 0.1, skip + 6)[skip:].reshape(2, 3)
    received = filled(LegacyNormal(seed, mean=0.5, standard_deviation=0.1, skip=skip), (2, 3))
    np.testing.assert_array_equal(received, expected)


def test_legacy_normal_leaves_every_other_generator_alone():
    rng = np.random.default_rng(7)
    before, own = np.random.get_state()[1].copy(), rng.bit_generator.state  # noqa: NPY002 - read, to see it unchanged
    LegacyNormal(1).fill(np.empty(5), rng)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002 - the global state is what is tested
    assert rng.bit_generator.state == own


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_legacy_normal_refuses_a_seed_that_the_generator_does_not_take(seed):
    with pytest.raises(ConfigError, match="seed"):
        LegacyNormal(seed)
