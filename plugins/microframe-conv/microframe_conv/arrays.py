"""How arrays of sequences and of images are looked at, and what a bias takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from microframe import Array, Shape

Empty: TypeAlias = Callable[..., Array]
"""What gives an array with unspecified content: the `empty` of a layer's context."""


def require_axes(input_shape: Shape, axes: int) -> None:
    """Raise ValueError unless `input_shape` is that of a sequence (`axes` = 1) or of an image (2), neither empty."""
    if len(input_shape) != axes + 1:
        raise ValueError("sequences (time, features)" if axes == 1 else "images (height, width, channels)")
    if not all(input_shape):
        raise ValueError(f"at least one {'time step and one feature' if axes == 1 else 'pixel and one channel'}")


def as_images(x: Array) -> Array:
    """Sequences (batch, time, features) as images (batch, time, 1, features); images as they are."""
    return x if x.ndim == 4 else x[:, :, None]


def shaped_like(x: Array, images: Array) -> Array:
    """`images` as sequences where `x` holds sequences."""
    return images if x.ndim == 4 else images[:, :, 0]


def as_matrix(array: Array) -> Array:
    """`array`, (..., n), with two axes; a view of one that is contiguous, or of some channels of one."""
    return array.reshape(-1, array.shape[-1])


def by_group(array: Array, groups: int) -> Array:
    """`array`, (..., channels), as a matrix for each group of channels: (groups, rows, channels / groups).

    A view where `as_matrix` gives one.
    """
    return array.reshape(-1, groups, array.shape[-1] // groups).swapaxes(0, 1)


def by_channel(array: Array, channels: int) -> Array:
    """`array`, (..., filters), as (..., channels, filters / channels); a view."""
    return array.reshape(*array.shape[:-1], channels, array.shape[-1] // channels)


def bits(array: Array) -> Array:
    """A view of `array` with the bits of each number as a whole number.

    Times 1 or 0 they are those of the number or of 0, whatever the number is: infinity times 0 would be NaN.
    """
    return array.view(f"i{array.itemsize}")


def add_bias(z: Array, bias: Array, empty: Empty) -> None:
    """Add `bias`, (channels,), in place to every pixel of `z`, (batch, height, width, channels), contiguous."""
    # NumPy adds long rows much faster than short ones, so the bias is laid out for many pixels.
    repeated = empty((_side(z), len(bias)))
    np.copyto(repeated, bias)
    rows = z.reshape(-1, repeated.size)
    rows += repeated.reshape(-1)


def sum_pixels(dz: Array, out: Array, empty: Empty) -> None:
    """Write the sum over all pixels of `dz`, (batch, height, width, channels), into `out`, (channels,)."""
    # The product with ones takes less time than np.sum, and like any it is faster for long rows.
    side = _side(dz)
    rows = dz.reshape(-1, side * len(out))
    ones, sums = empty((len(rows),)), empty((side, len(out)))
    ones.fill(1)
    np.matmul(ones, rows, out=sums.reshape(-1))
    np.add.reduce(sums, axis=0, out=out)


def _side(images: Array) -> int:
    """The longer extent of an image."""
    side: int = max(images.shape[1:3])
    return side
