"""Masks: which steps of a sequence are real, and which are padding."""

from __future__ import annotations

import numpy as np

import microframe
from microframe_recurrent.arrays import Array, Shape

REAL = 0.5
"""A step is real where the mask is above this, and padding elsewhere."""


def check_mask(mask_shape: Shape | None, steps: int) -> None:
    """Raise ValueError unless a mask, where there is one, has a number for each step.

    Args:
        mask_shape: the shape of one sample of the mask, or None.
        steps: how many there are in a sequence.
    """
    if mask_shape is not None and tuple(mask_shape) != (steps,):
        raise ValueError(f"a mask of shape ({steps},), a number for each step of the sequence")


def example_mask() -> Array:
    """Masks of the kinds that an author thinks of last, (samples, 4): padded, whole, empty, and with a gap."""
    return np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 0, 1]])


def find_padding(ctx: microframe.Context, mask: Array) -> Array:
    """Where a mask says that a step is padding: bool, of its shape (batch, time)."""
    is_real = np.greater(mask, REAL, out=ctx.empty(mask.shape, dtype=np.bool_))
    return np.logical_not(is_real, out=is_real)
