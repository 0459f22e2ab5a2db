"""Arrays as matrices whose rows are the last axis, and sums over them."""

from __future__ import annotations

import functools

import numpy as np

from microframe.arrays import Array


def rows(x: Array) -> Array:
    """`x` as a matrix whose rows are its last axis: what one matrix product can take.

    Args:
        x: (..., n), at least one axis.

    Returns:
        (product of the other extents, n), a view where the memory layout allows it.
    """
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def add_to_rows(x: Array, row: Array) -> None:
    """Add `row`, (n,), to each row of `x`, (m, n), in place."""
    if len(x) == 1:
        x = x[0]  # NumPy adds arrays of one shape in half the time that broadcasting takes it
    x += row


def sum_rows(x: Array, out: Array) -> Array:
    """Write the sum of all rows of `x`, (m, n), into `out`, (n,), and return it."""
    if len(x) == 1:
        out[:] = x[0]
    else:
        # The product with ones takes half the time of np.sum, and as little memory: the ones are kept.
        _ones(x.shape[0], x.dtype).dot(x, out)
    return out


def sum_each_row(x: Array, out: Array) -> Array:
    """Write the sum of the elements of each row of `x`, (m, n), into `out`, (m,), and return it."""
    x.dot(_ones(x.shape[1], x.dtype), out)
    return out


@functools.lru_cache(maxsize=8)
def _ones(count: int, dtype: np.dtype[np.floating]) -> Array:
    return np.ones(count, dtype)
