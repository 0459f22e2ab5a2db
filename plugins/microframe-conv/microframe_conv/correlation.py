"""The sum that every convolution is made of, and its two gradients.

    z[n, i, j, f] = sum over p, q, c of x[n, i s + p d - b, j s + q d - b, c] kernel[p, q, c, f]

with stride s, dilation d, and b zeros before the input along either axis. (What networks call convolution is the
cross-correlation of mathematics: the kernel isn't flipped.)

All arrays are (batch, height, width, channels) but the kernel, (height, width, channels of x, channels of z). They may
be views of some channels of larger arrays.
"""

from __future__ import annotations

import numpy as np

from microframe_conv.arrays import Array, Empty, as_matrix
from microframe_conv.patches import block_extents, gathered, slices
from microframe_conv.windows import Axis, Plane


def correlate(x: Array, kernel: Array, plane: Plane, out: Array, empty: Empty) -> None:
    """Write z into `out`."""
    matrix = as_matrix(kernel)
    for samples, rows, patches in gathered(x, plane, empty):
        np.matmul(patches, matrix, out=as_matrix(out[samples, rows]))


def kernel_gradient(x: Array, dz: Array, plane: Plane, out: Array, empty: Empty) -> None:
    """Write the gradient with respect to the kernel into `out`, for the gradient `dz` with respect to z."""
    # z = P kernel, with the patches of all windows as the rows of P and the taps of the kernel as its rows. Hence
    # dkernel = P^T dz, the sum over blocks of the products for each.
    gradient = as_matrix(out)
    partial = empty(gradient.shape)
    if not len(x):
        out.fill(0)
    for samples, rows, patches in gathered(x, plane, empty):
        is_first = samples.start == rows.start == 0
        np.matmul(patches.T, as_matrix(dz[samples, rows]), out=gradient if is_first else partial)
        if not is_first:
            gradient += partial


def input_gradient(dz: Array, kernel: Array, plane: Plane, out: Array, empty: Empty) -> None:
    """Write the gradient with respect to x into `out`, for the gradient `dz` with respect to z."""
    # With a in the place of i s + p d - b, and e in that of j s + q d - b,
    #   dx[n, a, e, c] = sum over p, i: i s + p d - b = a, of
    #                      sum over q, j, f: j s + q d - b = e, of dz[n, i, j, f] kernel[p, q, c, f].
    # The inner sum is a product of the dz in a row, those of all q side by side, with kernel[p]. Which q there are
    # depends on the remainder of e by s alone, so each remainder has its own. The outer sum adds whole rows. To lay out
    # one axis only takes a fraction of the copies of both  (as Cho & Brand, 2017, arXiv:1706.06873, do forward).
    out.fill(0)
    if plane.is_pointwise:
        np.matmul(as_matrix(dz), as_matrix(kernel).T, out=as_matrix(out))
        return
    stride = plane.columns.stride
    for remainder in range(min(stride, plane.columns.size)):
        taps = plane.columns.phase(remainder)
        if taps:
            _add_row_products(dz, kernel, taps, plane.rows, out[:, :, remainder::stride], empty)


def _add_row_products(
    dz: Array, kernel: Array, taps: list[tuple[int, int]], rows: Axis, out: Array, empty: Empty
) -> None:
    """Add to `out`, every s-th column of dx, what `input_gradient` derives for it.

    Args:
        taps: the q of these columns, and how far the window that q leads to is from the column; see `Axis.phase`.
    """
    columns, (height, _, channels, filters) = out.shape[2], kernel.shape
    transposed = empty((height, len(taps), filters, channels))
    for index, (tap, _) in enumerate(taps):
        np.copyto(transposed[:, index], kernel[:, tap].swapaxes(1, 2))
    matrices = transposed.reshape(height, -1, channels)
    extents = block_extents(len(dz), rows.count, columns, len(taps) * filters * dz.itemsize)
    memory = empty((*extents, columns, len(taps), filters))
    products = empty((*extents, columns, channels))
    for samples in slices(len(dz), extents[0]):
        for part in slices(rows.count, extents[1]):
            block = dz[samples, part]
            beside, product = memory[: len(block), : block.shape[1]], products[: len(block), : block.shape[1]]
            _copy_side_by_side(block, taps, beside)
            for tap, matrix in enumerate(matrices):
                np.matmul(beside.reshape(-1, len(matrix)), matrix, out=as_matrix(product))
                windows, inputs = rows.overlap(tap, part.start, part.stop)
                target = out[samples, inputs]
                target += product[:, windows.start - part.start : windows.stop - part.start]


def _copy_side_by_side(dz: Array, taps: list[tuple[int, int]], out: Array) -> None:
    """Write ``dz[:, :, t + distance]`` into ``out[:, :, t, index]`` for each of the taps, zero where it is none."""
    for index, (_, distance) in enumerate(taps):
        first = min(max(-distance, 0), out.shape[2])
        last = max(min(dz.shape[2] - distance, out.shape[2]), first)
        out[:, :, :first, index] = 0
        out[:, :, last:, index] = 0
        np.copyto(out[:, :, first:last, index], dz[:, :, first + distance : last + distance])
