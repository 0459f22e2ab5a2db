"""The layers in plain NumPy, short and slow: the results that their examples are checked against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from microframe import Array
from microframe_conv.arrays import as_images, shaped_like
from microframe_conv.fields import Padding, Pair, both

if TYPE_CHECKING:
    from microframe_conv.convolution import Conv1D, Conv2D
    from microframe_conv.depthwise import DepthwiseConv2D, SeparableConv2D
    from microframe_conv.pooling import Pooling
    from microframe_conv.transposed import Conv2DTranspose

Parameters = Mapping[str, Array]


def convolution(layer: Conv1D | Conv2D, parameters: Parameters, x: Array) -> Array:
    """A convolution, before its activation."""
    kernel = parameters["kernel"]
    kernel = kernel if kernel.ndim == 4 else kernel[:, None]
    under = windows(as_images(x), kernel.shape[:2], layer.strides, layer.dilation, layer.padding)
    inputs, filters = np.split(under, layer.groups, axis=-1), np.split(kernel, layer.groups, axis=-1)
    groups = [np.einsum("nijpqc,pqcf->nijf", *group) for group in zip(inputs, filters, strict=True)]
    return shaped_like(x, np.concatenate(groups, axis=-1) + parameters.get("bias", 0))


def depthwise_convolution(layer: DepthwiseConv2D, parameters: Parameters, x: Array) -> Array:
    """A depthwise convolution, before its activation."""
    z: Array = _each_channel(layer, parameters["kernel"], x) + parameters.get("bias", 0)
    return z


def separable_convolution(layer: SeparableConv2D, parameters: Parameters, x: Array) -> Array:
    """A separable convolution, before its activation."""
    u = _each_channel(layer, parameters["depthwise_kernel"], x)
    z: Array = u @ parameters["pointwise_kernel"][0, 0] + parameters.get("bias", 0)
    return z


def transposed_convolution(layer: Conv2DTranspose, parameters: Parameters, x: Array) -> Array:
    """A transposed convolution, before its activation: each pixel of x adds its multiple of the kernel to y."""
    kernel, strides, dilation = parameters["kernel"], both(layer.strides), both(layer.dilation)
    reaches = [(size - 1) * step + 1 for size, step in zip(kernel.shape, dilation, strict=False)]
    excess = [max(reach - stride, 0) for reach, stride in zip(reaches, strides, strict=True)]
    sizes = [size * stride + more for size, stride, more in zip(x.shape[1:], strides, excess, strict=False)]
    y = np.zeros((len(x), *sizes, kernel.shape[3]))
    for i, j, p, q in np.ndindex(*x.shape[1:3], *kernel.shape[:2]):
        y[:, i * strides[0] + p * dilation[0], j * strides[1] + q * dilation[1]] += x[:, i, j] @ kernel[p, q]
    if layer.padding == "same":
        top, left = (more // 2 for more in excess)
        y = y[:, top : top + x.shape[1] * strides[0], left : left + x.shape[2] * strides[1]]
    return y + parameters.get("bias", 0)


def largest(layer: Pooling, x: Array) -> Array:
    """The largest element of each window that is not padding."""
    return shaped_like(x, np.nanmax(_pools(layer, x), axis=(3, 4)))


def mean(layer: Pooling, x: Array) -> Array:
    """The mean of the elements of each window that are not padding."""
    return shaped_like(x, np.nanmean(_pools(layer, x), axis=(3, 4)))


def windows(
    x: Array, kernel_size: tuple[int, ...], strides: Pair, dilation: Pair, padding: Padding, fill: float = 0
) -> Array:
    """What lies under windows: (batch, rows, columns, kernel height, kernel width, channels).

    Args:
        x: (batch, height, width, channels).
        fill: what stands where a window lies on padding.
    """
    indices, before_and_after = [], []
    for size, kernel, stride, step in zip(x.shape[1:], kernel_size, both(strides), both(dilation), strict=False):
        reach = (kernel - 1) * step + 1
        count = (size - reach) // stride + 1 if padding == "valid" else -(-size // stride)
        total = max((count - 1) * stride + reach - size, 0)
        before_and_after.append((total // 2, total - total // 2))
        indices.append(np.arange(count)[:, None] * stride + np.arange(kernel) * step)
    padded = np.pad(x, [(0, 0), *before_and_after, (0, 0)], constant_values=fill)
    under: Array = padded[:, indices[0][:, None, :, None], indices[1][None, :, None, :]]
    return under


def _each_channel(layer: DepthwiseConv2D | SeparableConv2D, kernel: Array, x: Array) -> Array:
    under = windows(x, kernel.shape[:2], layer.strides, layer.dilation, layer.padding)
    z = np.einsum("nijpqc,pqcm->nijcm", under, kernel)
    return np.reshape(z, (*z.shape[:3], kernel.shape[2] * kernel.shape[3]))


def _pools(layer: Pooling, x: Array) -> Array:
    """What lies under the windows of a pooling layer, NaN where that is padding."""
    size = both(layer.pool_size)[: x.ndim - 2]
    strides = layer.pool_size if layer.strides is None else layer.strides
    return windows(as_images(x), (*size, 1)[:2], strides, 1, layer.padding, np.nan)
