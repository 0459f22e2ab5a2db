"""Convolutions that keep channels apart, alone and followed by one that mixes them."""

from __future__ import annotations

from functools import partial

import numpy as np

import microframe
from microframe import Activation, Context, Example, Initializer, Part, Scope
from microframe.values import PositiveInteger
from microframe_conv import references
from microframe_conv.arrays import Array, Shape, add_bias, as_matrix, require_axes, sum_pixels
from microframe_conv.depthwise_correlation import (
    correlate_channels,
    input_gradient_of_channels,
    kernel_gradient_of_channels,
)
from microframe_conv.fields import Padding, Pair, both
from microframe_conv.windows import Plane, windows_over


class DepthwiseConv2D(microframe.Layer):
    """y = f(z + b), where each channel of x has kernels of its own, and z one channel for each of them; see
    `microframe_conv.depthwise_correlation`.

    Fields:
        kernel_size: height and width of the kernels, or one number for both.
        strides: the distance from one window to the next; one number or two; default 1.
        padding: ``"valid"``, windows lie on the image, the default; or ``"same"``, the image gets zeros around it so
            that there are ceil(size / strides) windows.
        dilation: the distance between the taps of a kernel; one number or two; default 1.
        depth_multiplier: the number of kernels for each channel; default 1.
        activation: f, elementwise or over the channels; default linear.
        use_bias: whether b is there; default true.
        kernel_initializer: for the kernels, shape (height, width, channels, depth_multiplier); default glorot_uniform.
        bias_initializer: for b, shape (channels * depth_multiplier,); default zeros. Weight decay leaves b out.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, channels * depth_multiplier); the
    channels from the first channel of x come first.
    """

    type = "depthwise_conv2d"
    ends_in_activation = True

    kernel_size: Pair
    strides: Pair = 1
    padding: Padding = "valid"
    dilation: Pair = 1
    depth_multiplier: PositiveInteger = 1
    activation: Part[Activation] = Part("linear")
    use_bias: bool = True
    kernel_initializer: Part[Initializer] = Part("glorot_uniform")
    bias_initializer: Part[Initializer] = Part("zeros")

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
        require_axes(input_shape, 2)
        filters = input_shape[-1] * self.depth_multiplier
        kernel_shape = (*both(self.kernel_size), input_shape[-1], self.depth_multiplier)
        scope.parameter("kernel", kernel_shape, self.kernel_initializer)
        if self.use_bias:
            scope.parameter("bias", (filters,), self.bias_initializer, decay=False)
        return (*self._plane(input_shape).counts, filters)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, kernel = self._plane(x.shape[1:]), ctx.parameters["kernel"]
        by_channel = ctx.empty((len(x), *plane.counts, *kernel.shape[2:]))
        correlate_channels(x, kernel, plane, by_channel, ctx.empty)
        z = by_channel.reshape(*by_channel.shape[:3], kernel.shape[2] * kernel.shape[3])
        if self.use_bias:
            add_bias(z, ctx.parameters["bias"], ctx.empty)
        kept, y = self.activation.apply(ctx, z)
        ctx.save(x, kept, y)
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # dz = dy * f'(z), and db is the sum of dz over all pixels; `depthwise_correlation` derives the other two.
        x, kept, y = ctx.saved
        plane, kernel = self._plane(x.shape[1:]), ctx.parameters["kernel"]
        dz = self.activation.pull_back(ctx, dy, kept, y)
        by_channel = dz.reshape(*dz.shape[:3], *kernel.shape[2:])
        kernel_gradient_of_channels(x, by_channel, plane, ctx.gradients["kernel"], ctx.empty)
        if self.use_bias:
            sum_pixels(dz, ctx.gradients["bias"], ctx.empty)
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(x.shape)
        input_gradient_of_channels(by_channel, kernel, plane, dx, ctx.empty)
        return dx

    def _plane(self, input_shape: Shape) -> Plane:
        return windows_over(input_shape, self.kernel_size, self.strides, self.dilation, self.padding)


class SeparableConv2D(microframe.Layer):
    """y = f(u W + b), with u the depthwise convolution of x, without bias, and W a matrix that mixes the channels of
    each pixel: a convolution with far fewer parameters and products  (Chollet, 2016, arXiv:1610.02357).

    Fields:
        filters: the number of output channels.
        kernel_size, strides, padding, dilation, depth_multiplier: of the depthwise convolution.
        activation: f, elementwise or over the channels; default linear.
        use_bias: whether b is there; default true.
        depthwise_initializer: for its kernels, shape (height, width, channels, depth_multiplier); default
            glorot_uniform.
        pointwise_initializer: for W, shape (1, 1, channels * depth_multiplier, filters); default glorot_uniform.
        bias_initializer: for b, shape (filters,); default zeros. Weight decay leaves b out.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, filters).
    """

    type = "separable_conv2d"
    ends_in_activation = True

    filters: PositiveInteger
    kernel_size: Pair
    strides: Pair = 1
    padding: Padding = "valid"
    dilation: Pair = 1
    depth_multiplier: PositiveInteger = 1
    activation: Part[Activation] = Part("linear")
    use_bias: bool = True
    depthwise_initializer: Part[Initializer] = Part("glorot_uniform")
    pointwise_initializer: Part[Initializer] = Part("glorot_uniform")
    bias_initializer: Part[Initializer] = Part("zeros")

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
        require_axes(input_shape, 2)
        channels, multiplier = input_shape[-1], self.depth_multiplier
        kernel_shape = (*both(self.kernel_size), channels, multiplier)
        scope.parameter("depthwise_kernel", kernel_shape, self.depthwise_initializer)
        scope.parameter("pointwise_kernel", (1, 1, channels * multiplier, self.filters), self.pointwise_initializer)
        if self.use_bias:
            scope.parameter("bias", (self.filters,), self.bias_initializer, decay=False)
        return (*self._plane(input_shape).counts, self.filters)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, kernel = self._plane(x.shape[1:]), ctx.parameters["depthwise_kernel"]
        u = ctx.empty((len(x), *plane.counts, *kernel.shape[2:]))
        correlate_channels(x, kernel, plane, u, ctx.empty)
        mixing = as_matrix(ctx.parameters["pointwise_kernel"])
        z = ctx.empty((len(x), *plane.counts, self.filters))
        np.matmul(u.reshape(-1, len(mixing)), mixing, out=as_matrix(z))
        if self.use_bias:
            add_bias(z, ctx.parameters["bias"], ctx.empty)
        kept, y = self.activation.apply(ctx, z)
        ctx.save(x, u, kept, y)
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # With z = u W + b and y = f(z):   dz = dy * f'(z),   dW = u^T dz,   db = sum over pixels of dz,   du = dz W^T.
        # `depthwise_correlation` derives the rest from du.
        x, u, kept, y = ctx.saved
        plane, kernel = self._plane(x.shape[1:]), ctx.parameters["depthwise_kernel"]
        dz = self.activation.pull_back(ctx, dy, kept, y)
        mixing, gradient = as_matrix(ctx.parameters["pointwise_kernel"]), as_matrix(ctx.gradients["pointwise_kernel"])
        np.matmul(u.reshape(-1, len(mixing)).T, as_matrix(dz), out=gradient)
        if self.use_bias:
            sum_pixels(dz, ctx.gradients["bias"], ctx.empty)
        du = ctx.empty(u.shape)
        np.matmul(as_matrix(dz), mixing.T, out=du.reshape(-1, len(mixing)))
        kernel_gradient_of_channels(x, du, plane, ctx.gradients["depthwise_kernel"], ctx.empty)
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(x.shape)
        input_gradient_of_channels(du, kernel, plane, dx, ctx.empty)
        return dx

    def _plane(self, input_shape: Shape) -> Plane:
        return windows_over(input_shape, self.kernel_size, self.strides, self.dilation, self.padding)
