"""What lies under windows, copied side by side, so that one matrix product applies a kernel to all of them (im2col).

The idea is that of Chellapilla, Puri & Simard (2006). Here the copies are made for a block of windows at a time, one
that fits the processor's cache, which takes less memory and is faster than to copy everything first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from microframe import Array, Shape
from microframe_conv.arrays import Empty, by_group
from microframe_conv.windows import Plane

BLOCK_BYTES = 2**19
"""About what the copies for a block take."""
FEWEST_WINDOWS = 512
"""In a block, even where each is large: a matrix product takes that many rows to be worth its call."""
FEW_CHANNELS = 4
"""Up to so many the copies are made tap by tap, and with more window by window."""


def block_extents(samples: int, rows: int, columns: int, window_bytes: int) -> tuple[int, int]:
    """How many samples, and how many rows of windows of each, make a block: several whole samples, or a part of one.

    Args:
        samples: the batch.
        rows: of windows, in each sample.
        columns: windows in each row.
        window_bytes: what the copy of one takes.
    """
    most = max(max(BLOCK_BYTES // window_bytes, FEWEST_WINDOWS) // max(columns, 1), 1)
    if most >= rows:
        return max(min(samples, most // max(rows, 1)), 1), max(rows, 1)
    parts = -(-rows // most)
    return 1, -(-rows // parts)


def samples_in_block(batch: int, sample_bytes: int) -> int:
    """How many whole samples make a block, at least one."""
    return max(min(batch, BLOCK_BYTES // sample_bytes), 1)


def slices(length: int, step: int) -> Iterator[slice]:
    """``slice(0, step)``, ``slice(step, 2 * step)``, ..., up to `length`."""
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def gathered(x: Array, plane: Plane, empty: Empty, groups: int = 1) -> Iterator[tuple[slice, slice, Array]]:
    """The patches of `x`, (batch, height, width, channels), under the windows, block by block.

    Yields:
        The samples and the rows of windows that make the block, and its patches, (groups, windows, taps * channels of
        the group), which are overwritten by those of the next.
    """
    batch, channels = len(x), x.shape[-1]
    if plane.is_pointwise:
        yield slice(0, batch), slice(0, plane.rows.count), by_group(x, groups)
        return
    rows, columns = plane.counts
    size = plane.rows.kernel * plane.columns.kernel * channels
    extents = block_extents(batch, rows, columns, size * x.itemsize)
    memory = empty((extents[0] * extents[1] * columns * size,))
    padded_shape = plane.rows.padded_size, plane.columns.padded_size
    apart = x.reshape(*x.shape[:3], groups, channels // groups).transpose(3, 0, 1, 2, 4)
    padded = None
    if groups > 1 or padded_shape != x.shape[1:3]:
        padded = empty((groups, extents[0], *padded_shape, channels // groups))
        padded.fill(0)
    for samples in slices(batch, extents[0]):
        block = apart[:, samples]
        windows = _windows(block if padded is None else pad(block, plane, padded), plane)
        for part in slices(rows, extents[1]):
            yield samples, part, _copy(windows[:, :, part], memory)


def pad(x: Array, plane: Plane, padded: Array) -> Array:
    """`x`, (..., batch, height, width, channels), in its place in the first of `padded`, whose borders are zero."""
    top, left = plane.rows.before, plane.columns.before
    padded = padded[..., : x.shape[-4], :, :, :]
    np.copyto(padded[..., top : top + x.shape[-3], left : left + x.shape[-2], :], x)
    return padded


def _windows(x: Array, plane: Plane) -> Array:
    """A view of `x`: (groups, batch, rows, columns, kernel height, kernel width, channels)."""
    rows, columns = plane.rows, plane.columns
    group, batch, height, width, channel = x.strides
    shape = (*x.shape[:2], rows.count, columns.count, rows.kernel, columns.kernel, x.shape[-1])
    starts = (group, batch, height * rows.stride, width * columns.stride)
    taps = (height * rows.dilation, width * columns.dilation, channel)
    return as_strided(x, shape, starts + taps, writeable=False)


def _copy(windows: Array, memory: Array) -> Array:
    """The windows as a matrix for each group, one window in a row, in `memory`."""
    apart, matrices = as_matrices(memory, windows.shape[:4], windows.shape[4:])
    np.copyto(apart, windows)
    return matrices


def as_matrices(memory: Array, windows: Shape, taps: Shape) -> tuple[Array, Array]:
    """The first elements of `memory` as what lies under windows, and as a matrix for each group with a window in a row.

    Args:
        windows: (groups, batch, rows, columns).
        taps: (..., channels): what a window holds.

    Returns:
        Two views of the same: (*windows, *taps) and (groups, batch * rows * columns, size of a window).
    """
    groups, count, size = windows[0], math.prod(windows[1:]), math.prod(taps)
    memory = memory[: groups * count * size]
    if taps[-1] > FEW_CHANNELS:
        return memory.reshape(*windows, *taps), memory.reshape(groups, count, size)
    # What lies side by side in an image and in a row of the matrix is then hardly longer than the kernel is wide. The
    # columns of the matrix share as much with the image as there are windows in a row, so they are made contiguous.
    by_tap = memory.reshape(groups, *taps, *windows[1:])
    axes = range(by_tap.ndim)
    apart = by_tap.transpose(0, *axes[1 + len(taps) :], *axes[1 : 1 + len(taps)])
    return apart, memory.reshape(groups, size, count).swapaxes(1, 2)
