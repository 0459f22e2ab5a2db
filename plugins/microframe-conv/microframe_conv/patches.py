"""What lies under windows, copied side by side, so that one matrix product applies a kernel to all of them (im2col).

The idea is that of Chellapilla, Puri & Simard (2006). Here the copies are made for a block of windows at a time, one
that fits the processor's cache, which takes less memory and is faster than to copy everything first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import as_strided

from microframe_conv.arrays import Array, Empty
from microframe_conv.windows import Plane

BLOCK_BYTES = 2**19
"""About what the copies for a block take."""
FEWEST_WINDOWS = 512
"""In a block, even where each is large: a matrix product takes that many rows to be worth its call."""


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


def gathered(x: Array, plane: Plane, empty: Empty) -> Iterator[tuple[slice, slice, Array]]:
    """The patches of `x`, (batch, height, width, channels), under the windows, block by block.

    Yields:
        The samples and the rows of windows that make the block, and its patches, (windows, taps * channels), which
        are overwritten by those of the next.
    """
    batch, channels = len(x), x.shape[-1]
    if plane.is_pointwise:
        yield slice(0, batch), slice(0, plane.rows.count), x.reshape(-1, channels)
        return
    rows, columns = plane.counts
    size = plane.rows.kernel * plane.columns.kernel * channels
    extents = block_extents(batch, rows, columns, size * x.itemsize)
    memory = empty((extents[0] * extents[1] * columns * size,))
    padded_shape = plane.rows.padded_size, plane.columns.padded_size
    padded = None
    if padded_shape != x.shape[1:3]:
        padded = empty((extents[0], *padded_shape, channels))
        padded.fill(0)
    for samples in slices(batch, extents[0]):
        windows = _windows(x[samples] if padded is None else pad(x[samples], plane, padded), plane)
        for part in slices(rows, extents[1]):
            yield samples, part, _copy(windows[:, part], memory)


def pad(x: Array, plane: Plane, padded: Array) -> Array:
    """`x` in its place in `padded`, whose border is zero."""
    top, left = plane.rows.before, plane.columns.before
    padded = padded[: len(x)]
    np.copyto(padded[:, top : top + x.shape[1], left : left + x.shape[2]], x)
    return padded


def _windows(x: Array, plane: Plane) -> Array:
    """A view of `x`: (batch, rows, columns, kernel height, kernel width, channels)."""
    rows, columns = plane.rows, plane.columns
    batch, height, width, channel = x.strides
    shape = (len(x), rows.count, columns.count, rows.kernel, columns.kernel, x.shape[-1])
    starts = (batch, height * rows.stride, width * columns.stride)
    taps = (height * rows.dilation, width * columns.dilation, channel)
    return as_strided(x, shape, starts + taps, writeable=False)


def _copy(windows: Array, memory: Array) -> Array:
    """The windows as a matrix, one in a row, in `memory`."""
    memory = memory[: windows.size]
    count = windows.shape[0] * windows.shape[1] * windows.shape[2]
    if windows.shape[-1] > 1:
        np.copyto(memory.reshape(windows.shape), windows)
        return memory.reshape(count, -1)
    # With one channel what lies side by side in x and in a row of the matrix is no longer than the kernel is wide. The
    # columns of the matrix share as much with x as there are windows in a row, so they are what is made contiguous.
    by_tap = windows.transpose(3, 4, 5, 0, 1, 2)
    np.copyto(memory.reshape(by_tap.shape), by_tap)
    return memory.reshape(-1, count).T
