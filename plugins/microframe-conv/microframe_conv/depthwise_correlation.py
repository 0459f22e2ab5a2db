"""The correlation of each channel on its own, and its two gradients.

    z[n, i, j, c, m] = sum over p, q of x[n, i s + p d - b, j s + q d - b, c] kernel[p, q, c, m]

with stride s, dilation d, and b zeros before the input along either axis. There is no matrix product in this. What
makes it fast is to take all pixels of a row and their channels as one axis: for one tap, z and x are then long rows
that run side by side. They do where the stride is 1. Where it is more, z is worked out for every column and thinned.

Arrays are (batch, height, width, channels), but z and its gradient (batch, rows, columns, channels, multiplier), both
contiguous, and the kernel (height, width, channels, multiplier).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from microframe import Array
from microframe_conv.arrays import Empty
from microframe_conv.patches import pad, samples_in_block, slices
from microframe_conv.windows import Plane


def correlate_channels(x: Array, kernel: Array, plane: Plane, out: Array, empty: Empty) -> None:
    """Write z into `out`."""
    rows, columns, stride = plane.rows.count, _columns(plane), plane.columns.stride
    padded = _zeros(x, plane.rows.padded_size, plane.columns.padded_size, empty)
    taps = _repeat(kernel, columns, empty)
    every = empty((len(padded), rows, taps.shape[-1])) if stride > 1 else None
    for samples in slices(len(x), len(padded)):
        under = _under_taps(pad(x[samples], plane, padded), plane, rows, columns, plane.rows.stride)
        for index, tap in enumerate(taps):
            z = out[samples, ..., index]
            if every is None:
                np.einsum("nipqw,pqw->niw", under, tap, out=z.reshape(len(z), rows, -1))
            else:
                unthinned = np.einsum("nipqw,pqw->niw", under, tap, out=every[: len(z)])
                np.copyto(z, unthinned.reshape(len(z), rows, columns, -1)[:, :, ::stride])


def kernel_gradient_of_channels(x: Array, dz: Array, plane: Plane, out: Array, empty: Empty) -> None:
    """Write the gradient with respect to the kernel into `out`, for the gradient `dz` with respect to z."""
    # dkernel[p, q, c, m] = sum over n, i, j of x[n, i s + p d - b, j s + q d - b, c] dz[n, i, j, c, m]. With s - 1
    # zeros between its columns dz runs side by side with the x under a tap.
    height, width, channels, multiplier = out.shape
    rows, columns = plane.rows.count, _columns(plane)
    padded = _zeros(x, plane.rows.padded_size, plane.columns.padded_size, empty)
    spread = empty((len(padded), rows, columns, channels))
    sums, partial = empty((multiplier, height, width, columns * channels)), empty((columns * channels,))
    spread.fill(0)
    sums.fill(0)
    for samples in slices(len(x), len(padded)):
        under = _under_taps(pad(x[samples], plane, padded), plane, rows, columns, plane.rows.stride)
        beside = spread[: len(under)]
        for index in range(multiplier):
            np.copyto(beside[:, :, :: plane.columns.stride], dz[samples, ..., index])
            for p, q in np.ndindex(height, width):
                sums[index, p, q] += np.einsum(
                    "niw,niw->w", under[:, :, p, q], beside.reshape(len(under), rows, -1), out=partial
                )
    by_column = sums.reshape(multiplier, height, width, columns, channels)
    np.add.reduce(by_column, axis=3, out=out.transpose(3, 0, 1, 2))


def input_gradient_of_channels(dz: Array, kernel: Array, plane: Plane, out: Array, empty: Empty) -> None:
    """Write the gradient with respect to x into `out`, contiguous, for the gradient `dz` with respect to z."""
    # With a in the place of i s + p d - b, and e in that of j s + q d - b,
    #   dx[n, a, e, c] = sum over p, q, m of dz[n, i, j, c, m] kernel[p, q, c, m].
    # Let D be dz with s - 1 zeros between neighbours and r = (taps - 1) d - b zeros before the first, so that
    # D[i s + r] = dz[i]. As i s + r = a + (taps - 1 - p) d, dx is the correlation of D, at stride 1, with the kernel
    # turned round.
    (height, width), axes = out.shape[1:3], (plane.rows, plane.columns)
    spread = _zeros(out, height + axes[0].reach - 1, width + axes[1].reach - 1, empty)
    under = _under_taps(spread, plane, height, width, stride=1)
    taps = _repeat(kernel[::-1, ::-1], width, empty)
    partial = empty((len(spread), height, taps.shape[-1]))
    first, step = [axis.reach - 1 - axis.before for axis in axes], [axis.stride for axis in axes]
    for samples in slices(len(out), len(spread)):
        dx = out[samples].reshape(-1, height, taps.shape[-1])
        for index, tap in enumerate(taps):
            block = dz[samples, ..., index]
            places = spread[: len(block), first[0] :: step[0], first[1] :: step[1]]
            np.copyto(places[:, : block.shape[1], : block.shape[2]], block)
            if index:
                dx += np.einsum("nipqw,pqw->niw", under[: len(dx)], tap, out=partial[: len(dx)])
            else:
                np.einsum("nipqw,pqw->niw", under[: len(dx)], tap, out=dx)


def _columns(plane: Plane) -> int:
    """How many columns there are from the first window's to the last one's."""
    return (plane.columns.count - 1) * plane.columns.stride + 1


def _zeros(x: Array, height: int, width: int, empty: Empty) -> Array:
    """Zeros for images of that size, as many as make a block, with the channels of `x`."""
    channels = x.shape[-1]
    zeros = empty((samples_in_block(len(x), height * width * channels * x.itemsize), height, width, channels))
    zeros.fill(0)
    return zeros


def _repeat(kernel: Array, columns: int, empty: Empty) -> Array:
    """`kernel` for each column: (multiplier, height, width, columns * channels)."""
    height, width, channels, multiplier = kernel.shape
    repeated = empty((multiplier, height, width, columns, channels))
    np.copyto(repeated, kernel.transpose(3, 0, 1, 2)[:, :, :, None])
    return repeated.reshape(multiplier, height, width, columns * channels)


def _under_taps(padded: Array, plane: Plane, rows: int, columns: int, stride: int) -> Array:
    """A view of what the taps of windows lie on: (batch, rows, kernel height, kernel width, columns * channels).

    Args:
        rows: how many rows of windows there are, each `stride` below the last.
        columns: how many windows in each, side by side.
    """
    batch, height, width, channel = padded.strides
    shape = (len(padded), rows, plane.rows.kernel, plane.columns.kernel, columns * padded.shape[-1])
    strides = (batch, height * stride, height * plane.rows.dilation, width * plane.columns.dilation, channel)
    return as_strided(padded, shape, strides, writeable=False)
