"""What every initializer must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.interfaces import Initializer
from microframe.testing.checks.guards import (
    assert_same,
    assert_within,
    drawing_from_no_global_generator,
    keeping_nothing,
    same,
)

_SHAPES: tuple[Shape, ...] = (
    (),
    (1,),
    (2,),
    (3,),
    (1, 4),
    (4, 1),
    (4, 4),
    (5, 3),
    (3, 5),
    (2, 2),
    (2, 3, 4),
    (2, 3, 4, 5),
    (0,),
    (0, 3),
    (3, 0),
    (40, 50),
)
"""A number, vectors, matrices and kernels; some with axes of one element or none, and one that is large."""
_MARGIN = 7
"""How many elements stand before and after an array that lies in a larger one."""
_MANY = 1000
"""From how many elements on their typical size hardly depends on the draw."""
_ROUNDING = 1e-6
"""By what share of itself a number may change when it is rounded to float32."""


def fills_all(example: Example) -> None:
    """Every element of an array is written, whatever its shape; a shape that cannot be is refused with a ValueError."""
    initializer = _initializer(example)
    for shape in _fitting(example):
        out = _filled(initializer, shape)
        unwritten = int(np.isnan(out).sum())
        assert not unwritten, (
            f"expected every element of an array of shape {shape} to be written, as out[...] = values does, but "
            f"{unwritten} of {out.size} were not, or with NaN"
        )
        other = np.full(shape, 7.0)
        initializer.fill(other, np.random.default_rng(0))
        assert_same(other, out, f"the values for shape {shape} not to depend on what was there")


def dtype_kept(example: Example) -> None:
    """An array of float32 is filled as one of float64 is: wholly, within the bounds, and with values as large."""
    initializer = _initializer(example)
    for shape in _fitting(example):
        double, single = (_filled(initializer, shape, dtype) for dtype in ("float64", "float32"))
        finite = np.isfinite(single).all()
        assert finite, f"expected finite values in every element of a float32 array of shape {shape}, received {single}"
        low, high = initializer.bounds(shape)
        rounded = low - _ROUNDING * abs(low), high + _ROUNDING * abs(high)
        assert_within(single, rounded, f"values for a float32 array of shape {shape}")
        if single.size >= _MANY:
            _assert_as_large(single, double, shape)


def deterministic(example: Example) -> None:
    """The same state of the generator gives the same values."""
    for shape in _fitting(example):
        once, again = (_filled(_initializer(example), shape) for _ in range(2))
        assert_same(again, once, f"the same values from the same state of the generator, for shape {shape}")


def within_bounds(example: Example) -> None:
    """Values are finite and lie within the declared bounds."""
    initializer = _initializer(example)
    for shape in _fitting(example):
        for seed in range(3):
            values = _filled(initializer, shape, seed=seed)
            assert np.isfinite(values).all(), f"expected finite values for shape {shape}, received {values}"
            assert_within(values, initializer.bounds(shape), f"values for shape {shape}")


def no_global_random_state(example: Example) -> None:
    """Random values come from the generator that is handed over."""
    with drawing_from_no_global_generator():
        for shape in _fitting(example):
            _filled(_initializer(example), shape)


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the initializer or its class."""
    with keeping_nothing(example.component):
        for shape in _fitting(example):
            _filled(_initializer(example), shape)


def only_out_changes(example: Example) -> None:
    """An array that lies within a larger one is filled as any other, and nothing around it changes."""
    initializer = _initializer(example)
    for shape in _fitting(example):
        alone = _filled(initializer, shape)
        vector = np.full(alone.size + 2 * _MARGIN, np.nan)
        inside = vector[_MARGIN : _MARGIN + alone.size].reshape(shape)
        initializer.fill(inside, np.random.default_rng(0))
        assert_same(inside, alone, f"an array of shape {shape} within a larger one to be filled as any other")
        margins = (vector[:_MARGIN], vector[-_MARGIN:])
        untouched = all(same(margin, np.full(_MARGIN, np.nan)) for margin in margins)
        assert untouched, f"expected only the array of shape {shape} to change, but what stands beside it did"


CHECKS: tuple[Callable[[Example], None], ...] = (
    keeps_nothing,  # before the others could fill a cache
    fills_all,
    dtype_kept,
    deterministic,
    within_bounds,
    no_global_random_state,
    only_out_changes,
)


def _initializer(example: Example) -> Initializer:
    assert isinstance(example.component, Initializer)
    return example.component


def _filled(initializer: Initializer, shape: Shape, dtype: str = "float64", seed: int = 0) -> Array:
    out = np.full(shape, np.nan, dtype)
    initializer.fill(out, np.random.default_rng(seed))
    return out


def _assert_as_large(single: Array, double: Array, shape: Shape) -> None:
    """Assert that values are about as large in both; they may be drawn anew for each dtype."""
    # The root keeps the few largest of a heavy-tailed distribution from counting most.
    received, expected = (float(np.mean(np.sqrt(np.abs(array)))) ** 2 for array in (single, double))
    assert expected / 3 <= received <= 3 * expected, (
        f"expected values about as large in float32 as in float64 for shape {shape}, received values of about "
        f"{received:.3g} and {expected:.3g}"
    )


def _fitting(example: Example) -> Iterator[Shape]:
    """The shapes of the example, or of those tried the ones that the rule applies to."""
    refusals: dict[Shape, str] = {}
    filled = 0
    for shape in map(tuple, example.inputs or _SHAPES):
        try:
            size = _filled(_initializer(example), shape).size
        except ValueError as error:
            refusals[shape] = str(error)
            continue
        except Exception as error:
            received = f"{type(error).__name__}: {error}"
            raise AssertionError(f"expected a ValueError, if any, for shape {shape}, received {received}") from error
        filled += size
        yield shape
    for shape, message in refusals.items():
        assert message, f"expected a ValueError that says what is expected in place of shape {shape}, received no word"
    assert filled, f"expected an initializer for some of the shapes, received ValueErrors: {refusals}"
