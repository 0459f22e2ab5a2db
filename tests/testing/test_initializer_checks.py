"""What the conformance suite asks of initializers."""

from __future__ import annotations

import numpy as np
import pytest

from microframe import Example, Initializer
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks

STANDARD = [registry.get("initializer", name) for name in registry.standard_names("initializer")]


@parametrize_with_checks(*STANDARD)
def test_every_standard_initializer_conforms(check):
    check()


class Small(Initializer):
    """Uniform draws up to a tenth."""

    def bounds(self, shape):
        return 0.0, 0.1

    def fill(self, out, rng):
        out[...] = rng.uniform(0, 0.1, out.shape)


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def test_a_right_initializer_fails_nothing():
    assert failed(Small) == {}


def test_values_beyond_the_declared_bounds():
    class Loose(Small):
        def bounds(self, shape):
            return 0.0, 0.05

    assert "within the declared bounds, 0 to 0.05, received 0.0" in failed(Loose)["within_bounds"]


@pytest.mark.parametrize("bounds", [(1.0, 0.0), (0.0,), 0.1, None])
def test_bounds_that_are_none(bounds):
    class Odd(Small):
        def bounds(self, shape):
            return bounds

    assert "expected bounds" in failed(Odd)["within_bounds"]


def test_what_was_there_must_not_matter():
    class Adding(Small):
        def fill(self, out, rng):
            out[...] = np.where(np.isnan(out), 0, out) + 1

    assert "not to depend on what was there" in failed(Adding)["fills_all"]


def test_a_shape_is_refused_with_a_value_error_that_says_why():
    class Vectors(Small):
        def fill(self, out, rng):
            if out.ndim != 1:
                raise ValueError(f"expected one axis, received shape {out.shape}" if self.says_why else "")
            super().fill(out, rng)

        says_why: bool = True

    assert failed(Vectors()) == {}
    assert "received no word" in failed(Vectors(says_why=False))["fills_all"]


def test_another_error_for_a_shape_is_told_with_the_shape():
    class Fans(Small):
        def fill(self, out, rng):
            out[...] = rng.uniform(0, 0.1 / (1 + out.shape[0]), out.shape)

    assert "a ValueError, if any, for shape (), received IndexError" in failed(Fans)["fills_all"]


def test_some_shape_must_fit():
    class Never(Small):
        def fill(self, out, rng):
            raise ValueError("expected five axes")

    assert "expected an initializer for some of the shapes" in failed(Never)["fills_all"]


def test_an_example_says_which_shapes_fit():
    class FiveAxes(Small):
        def fill(self, out, rng):
            if out.ndim != 5:
                raise ValueError("expected five axes")
            super().fill(out, rng)

    assert failed(Example(FiveAxes(), inputs=((1, 2, 1, 2, 3),))) == {}


def test_draws_in_the_dtype_of_the_parameter():
    class InItsDtype(Small):
        def fill(self, out, rng):
            out[...] = rng.random(out.shape, dtype=out.dtype) / 10

    assert failed(InItsDtype) == {}


def test_float32_arrays_are_filled_like_others():
    class Gaps(Small):
        def fill(self, out, rng):
            super().fill(out, rng)
            if out.dtype == np.float32:
                out[...] = np.nan

    class Larger(Initializer):
        def fill(self, out, rng):
            out[...] = rng.standard_normal(out.shape) * (100 if out.dtype == np.float32 else 1)

    assert "finite values in every element of a float32 array of shape ()" in failed(Gaps)["dtype_kept"]
    assert "values about as large in float32 as in float64 for shape (40, 50)" in failed(Larger)["dtype_kept"]


def test_heavy_tails_and_rounded_bounds_are_right():
    class Cauchy(Initializer):
        def fill(self, out, rng):
            out[...] = rng.standard_cauchy(out.shape)

    class Tenths(Initializer):
        def bounds(self, shape):
            return 0.1, 0.1

        def fill(self, out, rng):
            out[...] = 0.1

    assert failed(Cauchy) == {}
    assert failed(Tenths) == {}
