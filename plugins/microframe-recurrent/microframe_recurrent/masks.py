"""Masks: which steps of a sequence are real, and which are padding."""

from __future__ import annotations

import numpy as np

import microframe
from microframe import Array

REAL = 0.5
"""A step is real where the mask is above this, and padding elsewhere."""


def example_mask() -> Array:
    """Masks of the kinds that an author thinks of last, (samples, 4): padded, whole, empty, and with a gap."""
    return np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1]])


def without_padding(ctx: microframe.Context, x: Array, is_padding: Array) -> Array:
    """A copy of `x`, (batch, time, features), with 0 at the steps that are padding: they may hold anything, also NaN.

    Args:
        is_padding: bool, (batch, time).
    """
    y = ctx.empty(x.shape)
    np.copyto(y, x)
    np.copyto(y, 0, where=is_padding[..., None])
    return y


def find_padding(ctx: microframe.Context, mask: Array) -> Array:
    """Where a mask says that a step is padding: bool, of its shape (batch, time)."""
    is_real = np.greater(mask, REAL, out=ctx.empty(mask.shape, dtype=np.bool_))
    return np.logical_not(is_real, out=is_real)
