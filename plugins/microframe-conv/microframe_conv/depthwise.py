"""Convolutions that keep channels apart, alone and followed by one that mixes them."""

from __future__ import annotations

from functools import partial

import numpy as np

from microframe import Array, Context, Example, Initializer, Part, Scope, Shape
from microframe.values import PositiveInteger
from microframe_conv import references
from microframe_conv.arrays import as_matrix, require_axes
from microframe_conv.base import Convolution, Filters, GroupedConvolution
from microframe_conv.correlation import correlate, input_gradient, kernel_gradient


class DepthwiseConv2D(GroupedConvolution):
    """y = f(z + b), where each channel of x has kernels of its own, and z one channel for each of them: a convolution
    with a group for each channel of x.

    Fields, besides those of `Convolution`:
        kernel_initializer: for the kernels, shape (height, width, channels, depth_multiplier); default glorot_uniform.
        depth_multiplier: the number of kernels for each channel; default 1.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, channels * depth_multiplier); the
    channels from the first channel of x come first.
    """

    type = "depthwise_conv2d"

    depth_multiplier: PositiveInteger = 1

    @classmethod
    def examples(cls) -> list[Example]:
        layers = [
            (cls(3), (5, 6, 2)),
            (cls((2, 3), strides=(2, 1), padding="same", depth_multiplier=2), (5, 6, 3)),
            (cls(2, strides=(1, 2), dilation=2, use_bias=False), (6, 7, 2)),
        ]
        of_formula = [
            Example(layer, (shape,), partial(references.depthwise_convolution, layer)) for layer, shape in layers
        ]
        return [*of_formula, Example(cls(1, activation="tanh"), ((3, 2, 3),))]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        counts, channels = self._plane(input_shape).counts, input_shape[-1]
        filters = channels * self.depth_multiplier
        self._declare(scope, (*self._kernel_extents, channels, self.depth_multiplier), filters)
        return (*counts, filters)

    def _groups(self, channels: int) -> int:
        return channels


class SeparableConv2D(Convolution, Filters):
    """y = f(u W + b), with u the depthwise convolution of x, without bias, and W a matrix that mixes the channels of
    each pixel: a convolution with far fewer parameters and products  (Chollet, 2016, arXiv:1610.02357).

    Fields, besides those of `Convolution`, where `kernel_size` to `dilation` are of the depthwise convolution:
        filters: the number of output channels.
        depth_multiplier: the number of kernels of the depthwise convolution for each channel of x; default 1.
        depthwise_initializer: for its kernels, shape (height, width, channels, depth_multiplier); default
            glorot_uniform.
        pointwise_initializer: for W, shape (1, 1, channels * depth_multiplier, filters); default glorot_uniform.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, filters).
    """

    type = "separable_conv2d"

    depth_multiplier: PositiveInteger = 1
    depthwise_initializer: Part[Initializer] = Part("glorot_uniform")
    pointwise_initializer: Part[Initializer] = Part("glorot_uniform")

    @classmethod
    def examples(cls) -> list[Example]:
        layers = [
            (cls(3, 3), (5, 6, 2)),
            (cls(4, (2, 3), strides=2, padding="same", depth_multiplier=2), (5, 6, 3)),
            (cls(2, 2, dilation=2, use_bias=False), (6, 7, 2)),
        ]
        of_formula = [
            Example(layer, (shape,), partial(references.separable_convolution, layer)) for layer, shape in layers
        ]
        return [*of_formula, Example(cls(2, 1, activation="tanh"), ((3, 2, 3),))]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        counts, channels = self._plane(input_shape).counts, input_shape[-1]
        kernel_shape = (*self._kernel_extents, channels, self.depth_multiplier)
        scope.parameter("depthwise_kernel", kernel_shape, self.depthwise_initializer)
        mixing_shape = (1, 1, channels * self.depth_multiplier, self.filters)
        scope.parameter("pointwise_kernel", mixing_shape, self.pointwise_initializer)
        self._declare_bias(scope, self.filters)
        return (*counts, self.filters)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, kernel = self._plane(x.shape[1:]), _as_kernel(ctx.parameters["depthwise_kernel"])
        mixing = as_matrix(ctx.parameters["pointwise_kernel"])
        u, z = (ctx.empty((len(x), *plane.counts, channels)) for channels in mixing.shape)
        correlate(x, kernel, plane, u, ctx.empty, x.shape[-1])
        np.matmul(as_matrix(u), mixing, out=as_matrix(z))
        return self._finish(ctx, z, x, u)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # With z = u W:   dW = u^T dz  and  du = dz W^T.  `correlation` derives the rest from du.
        dz, (_, x, u) = self._begin_backward(ctx, dy), ctx.saved
        plane, kernel = self._plane(x.shape[1:]), _as_kernel(ctx.parameters["depthwise_kernel"])
        np.matmul(as_matrix(u).T, as_matrix(dz), out=as_matrix(ctx.gradients["pointwise_kernel"]))
        du = ctx.empty(u.shape)
        np.matmul(as_matrix(dz), as_matrix(ctx.parameters["pointwise_kernel"]).T, out=as_matrix(du))
        gradient = _as_kernel(ctx.gradients["depthwise_kernel"])
        kernel_gradient(x, du, plane, gradient, ctx.empty, x.shape[-1])
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(x.shape)
        input_gradient(du, kernel, plane, dx, ctx.empty, x.shape[-1])
        return dx


def _as_kernel(kernel: Array) -> Array:
    """A view of (height, width, channels, multiplier) as the kernel of a group for each channel."""
    height, width, channels, multiplier = kernel.shape
    return kernel.reshape(height, width, 1, channels * multiplier)
