"""The sum that every convolution is made of, and its two gradients.

    z[n, i, j, f] = sum over p, q, c of x[n, i s + p d - b, j s + q d - b, c] kernel[p, q, c, f]

with stride s, dilation d, and b zeros before the input along either axis. (What networks call convolution is the
cross-correlation of mathematics: the kernel isn't flipped.)

With groups, that is what happens in each of them: the channels and the filters are divided evenly, and the filters of a
group read the channels of that group alone. The matrix products of all groups are one call. Where each group has a
single channel, and hardly more filters, there is nothing for a matrix product to win, and the work is done by
`microframe_conv.depthwise_correlation`.

All arrays are (batch, height, width, channels) but the kernel, (height, width, channels of a group, filters).
"""

from __future__ import annotations

import numpy as np

from microframe import Array
from microframe_conv.arrays import Empty, by_channel, by_group
from microframe_conv.depthwise_correlation import (
    correlate_channels,
    input_gradient_of_channels,
    kernel_gradient_of_channels,
)
from microframe_conv.patches import as_matrices, block_extents, gathered, slices
from microframe_conv.windows import Axis, Plane

MOST_FILTERS = 4
"""How many filters read each channel where the input gradient takes less time without matrices than with them."""


def correlate(x: Array, kernel: Array, plane: Plane, out: Array, empty: Empty, groups: int = 1) -> None:
    """Write z into `out`."""
    if _reads_single_channels(kernel, groups, most_filters=1):
        correlate_channels(x, by_channel(kernel[:, :, 0], groups), plane, by_channel(out, groups), empty)
        return
    matrices = by_group(kernel, groups)
    for samples, rows, patches in gathered(x, plane, empty, groups):
        np.matmul(patches, matrices, out=by_group(out[samples, rows], groups))


def kernel_gradient(x: Array, dz: Array, plane: Plane, out: Array, empty: Empty, groups: int = 1) -> None:
    """Write the gradient with respect to the kernel into `out`, for the gradient `dz` with respect to z."""
    if _reads_single_channels(out, groups, most_filters=1):
        kernel_gradient_of_channels(x, by_channel(dz, groups), plane, by_channel(out[:, :, 0], groups), empty)
        return
    # z = P kernel, with the patches of all windows as the rows of P and the taps of the kernel as its rows. Hence
    # dkernel = P^T dz, the sum over blocks of the products for each.
    gradient = by_group(out, groups)
    partial = empty(gradient.shape)
    if not len(x):
        out.fill(0)
    for samples, rows, patches in gathered(x, plane, empty, groups):
        is_first = samples.start == rows.start == 0
        beside = by_group(dz[samples, rows], groups)
        np.matmul(patches.swapaxes(1, 2), beside, out=gradient if is_first else partial)
        if not is_first:
            gradient += partial


def input_gradient(dz: Array, kernel: Array, plane: Plane, out: Array, empty: Empty, groups: int = 1) -> None:
    """Write the gradient with respect to x into `out`, for the gradient `dz` with respect to z."""
    if _reads_single_channels(kernel, groups, MOST_FILTERS):
        input_gradient_of_channels(by_channel(dz, groups), by_channel(kernel[:, :, 0], groups), plane, out, empty)
        return
    # With a in the place of i s + p d - b, and e in that of j s + q d - b,
    #   dx[n, a, e, c] = sum over p, i: i s + p d - b = a, of
    #                      sum over q, j, f: j s + q d - b = e, of dz[n, i, j, f] kernel[p, q, c, f].
    # The inner sum is a product of the dz in a row, those of all q side by side, with kernel[p]. Which q there are
    # depends on the remainder of e by s alone, so each remainder has its own. The outer sum adds whole rows. To lay out
    # one axis only takes a fraction of the copies of both  (as Cho & Brand, 2017, arXiv:1706.06873, do forward).
    out.fill(0)
    if plane.is_pointwise:
        np.matmul(by_group(dz, groups), by_group(kernel, groups).swapaxes(1, 2), out=by_group(out, groups))
        return
    stride = plane.columns.stride
    for remainder in range(min(stride, plane.columns.size)):
        taps = plane.columns.phase(remainder)
        if taps:
            _add_row_products(dz, kernel, taps, plane.rows, out[:, :, remainder::stride], empty, groups)


def _reads_single_channels(kernel: Array, groups: int, most_filters: int) -> bool:
    """Whether there are several groups, each of one channel and at most so many filters."""
    return groups > 1 and kernel.shape[2] == 1 and kernel.shape[3] <= most_filters * groups


def _add_row_products(
    dz: Array, kernel: Array, taps: list[tuple[int, int]], rows: Axis, out: Array, empty: Empty, groups: int
) -> None:
    """Add to `out`, every s-th column of dx, what `input_gradient` derives for it.

    Args:
        taps: the q of these columns, and how far the window that q leads to is from the column; see `Axis.phase`.
    """
    columns, channels = out.shape[2:]
    filters = dz.shape[3] // groups
    matrices = _matrices_of_rows(kernel, taps, groups, empty)
    extents = block_extents(len(dz), rows.count, columns, len(taps) * dz.shape[3] * dz.itemsize)
    memory = empty((groups * extents[0] * extents[1] * columns * len(taps) * filters,))
    products = empty((*extents, columns, channels))
    for samples in slices(len(dz), extents[0]):
        for part in slices(rows.count, extents[1]):
            block = dz[samples, part]
            product = products[: len(block), : block.shape[1]]
            beside, by_window = as_matrices(memory, (groups, *product.shape[:3]), (len(taps), filters))
            _copy_side_by_side(block, taps, beside)
            for tap, matrix in enumerate(matrices):
                np.matmul(by_window, matrix, out=by_group(product, groups))
                windows, inputs = rows.overlap(tap, part.start, part.stop)
                target = out[samples, inputs]
                target += product[:, windows.start - part.start : windows.stop - part.start]


def _matrices_of_rows(kernel: Array, taps: list[tuple[int, int]], groups: int, empty: Empty) -> Array:
    """For each row of the kernel the taps as a matrix: (height, groups, taps * filters, channels), of a group each."""
    height, _, channels, filters = kernel.shape
    transposed = empty((height, groups, len(taps), filters // groups, channels))
    for index, (tap, _) in enumerate(taps):
        of_groups = kernel[:, tap].reshape(height, channels, groups, filters // groups)
        np.copyto(transposed[:, :, index], of_groups.transpose(0, 2, 3, 1))
    return transposed.reshape(height, groups, -1, channels)


def _copy_side_by_side(dz: Array, taps: list[tuple[int, int]], out: Array) -> None:
    """Write the t + distance-th column of each group of `dz` into ``out[:, :, :, t, index]`` for each of the taps.

    Zero where there is none. `out` is (groups, batch, rows, columns, taps, filters of a group).
    """
    columns = out.shape[3]
    apart = dz.reshape(*dz.shape[:3], len(out), out.shape[-1])
    out = out.transpose(1, 2, 3, 4, 0, 5)
    for index, (_, distance) in enumerate(taps):
        first = min(max(-distance, 0), columns)
        last = max(min(dz.shape[2] - distance, columns), first)
        out[:, :, :first, index] = 0
        out[:, :, last:, index] = 0
        np.copyto(out[:, :, first:last, index], apart[:, :, first + distance : last + distance])
