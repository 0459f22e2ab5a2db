"""Convolutions over sequences and images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import microframe
from microframe import Activation, Context, Example, Initializer, Part, Scope
from microframe.values import PositiveInteger
from microframe_conv import references
from microframe_conv.arrays import Array, Shape, add_bias, as_images, require_axes, shaped_like, sum_pixels
from microframe_conv.correlation import correlate, input_gradient, kernel_gradient
from microframe_conv.fields import Padding, Pair, both
from microframe_conv.windows import Plane, windows_over


class _Convolution(microframe.Layer):
    """y = f(z + b), with z as `microframe_conv.correlation` defines it, on images; sequences are images of width 1."""

    ends_in_activation = True
    axes: ClassVar[int]
    """1 for sequences, 2 for images."""

    filters: PositiveInteger
    kernel_size: Pair
    strides: Pair = 1
    padding: Padding = "valid"
    dilation: Pair = 1
    groups: PositiveInteger = 1
    activation: Part[Activation] = Part("linear")
    use_bias: bool = True
    kernel_initializer: Part[Initializer] = Part("glorot_uniform")
    bias_initializer: Part[Initializer] = Part("zeros")

    def __post_init__(self) -> None:
        if self.filters % self.groups:
            raise ValueError("filters to be a multiple of groups")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"a number of channels that is a multiple of groups = {self.groups}")
        counts = self._plane(input_shape).counts
        kernel_size = both(self.kernel_size)[: self.axes]
        scope.parameter("kernel", (*kernel_size, channels // self.groups, self.filters), self.kernel_initializer)
        if self.use_bias:
            scope.parameter("bias", (self.filters,), self.bias_initializer, decay=False)
        return (*counts[: self.axes], self.filters)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, images, kernel = self._plane(x.shape[1:]), as_images(x), _as_kernel(ctx.parameters["kernel"])
        z = ctx.empty((len(x), *plane.counts, self.filters))
        for inputs, outputs in self._groups(x.shape[-1]):
            correlate(images[..., inputs], kernel[..., outputs], plane, z[..., outputs], ctx.empty)
        if self.use_bias:
            add_bias(z, ctx.parameters["bias"], ctx.empty)
        kept, y = self.activation.apply(ctx, z)
        ctx.save(x, kept, y)
        return shaped_like(x, y)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # dz = dy * f'(z), and db is the sum of dz over all pixels; `correlation` derives the other two.
        x, kept, y = ctx.saved
        plane, images, kernel = self._plane(x.shape[1:]), as_images(x), _as_kernel(ctx.parameters["kernel"])
        dz = self.activation.pull_back(ctx, as_images(dy), kept, y)
        gradient = _as_kernel(ctx.gradients["kernel"])
        for inputs, outputs in self._groups(x.shape[-1]):
            kernel_gradient(images[..., inputs], dz[..., outputs], plane, gradient[..., outputs], ctx.empty)
        if self.use_bias:
            sum_pixels(dz, ctx.gradients["bias"], ctx.empty)
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(images.shape)
        for inputs, outputs in self._groups(x.shape[-1]):
            input_gradient(dz[..., outputs], kernel[..., outputs], plane, dx[..., inputs], ctx.empty)
        return shaped_like(x, dx)

    def _plane(self, input_shape: Shape) -> Plane:
        return windows_over(input_shape, self.kernel_size, self.strides, self.dilation, self.padding)

    def _groups(self, channels: int) -> Iterator[tuple[slice, slice]]:
        """For each group the channels of the input and those of the output."""
        inputs, outputs = channels // self.groups, self.filters // self.groups
        for group in range(self.groups):
            yield slice(group * inputs, (group + 1) * inputs), slice(group * outputs, (group + 1) * outputs)


class Conv1D(_Convolution):
    """y = f(z + b), with z the sum of products of kernels with windows of a sequence, one window after the other.

    Fields:
        filters: the number of output features.
        kernel_size: how many time steps the kernels take.
        strides: from one window to the next; default 1.
        padding: ``"valid"``, windows lie on the sequence, the default; or ``"same"``, zeros before and after it make
            ceil(time / strides) windows.
        dilation: from one step that a kernel takes to the next; default 1.
        groups: of features and of filters, each group of filters reading one group of features; default 1.
        activation: f, elementwise or over the features; default linear.
        use_bias: whether b is there; default true.
        kernel_initializer: for the kernels, shape (time, features / groups, filters); default glorot_uniform.
        bias_initializer: for b, shape (filters,); default zeros. Weight decay leaves b out.

    Shapes: (batch, time, features) -> (batch, windows, filters).
    """

    type = "conv1d"
    axes = 1

    kernel_size: PositiveInteger
    strides: PositiveInteger = 1
    dilation: PositiveInteger = 1

    @classmethod
    def examples(cls) -> list[Example]:
        return [
            _example(cls(3, 3), (7, 2)),
            _example(cls(4, 2, strides=2, padding="same", groups=2, use_bias=False), (7, 4)),
            _example(cls(2, 3, padding="same", dilation=2), (8, 1)),
            Example(cls(2, 1, activation="tanh"), ((4, 3),)),
        ]


class Conv2D(_Convolution):
    """y = f(z + b), with z the sum of products of kernels with windows of an image; see `microframe_conv.correlation`.

    Fields:
        filters: the number of output channels.
        kernel_size: height and width of the kernels, or one number for both.
        strides: from one window to the next; one number or two; default 1.
        padding: ``"valid"``, windows lie on the image, the default; or ``"same"``, zeros around it make
            ceil(size / strides) windows.
        dilation: from one pixel that a kernel takes to the next; one number or two; default 1.
        groups: of channels and of filters, each group of filters reading one group of channels; default 1.
        activation: f, elementwise or over the channels; default linear.
        use_bias: whether b is there; default true.
        kernel_initializer: for the kernels, shape (height, width, channels / groups, filters); default glorot_uniform.
        bias_initializer: for b, shape (filters,); default zeros. Weight decay leaves b out.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, filters).
    """

    type = "conv2d"
    axes = 2

    @classmethod
    def examples(cls) -> list[Example]:
        return [
            _example(cls(3, 3), (6, 5, 2)),
            _example(cls(3, (2, 3), strides=(1, 2), padding="same", use_bias=False), (5, 6, 2)),
            _example(cls(4, 2, strides=2, padding="same", groups=2), (5, 4, 6)),
            _example(cls(2, 3, strides=3, dilation=2), (7, 8, 1)),
            _example(cls(2, 3, padding="same", dilation=(1, 2)), (4, 5, 2)),
            Example(cls(2, 1, activation="tanh"), ((3, 2, 3),)),
        ]


def _as_kernel(kernel: Array) -> Array:
    """(time, features, filters) as (time, 1, features, filters); the kernel of images as it is."""
    return kernel if kernel.ndim == 4 else kernel[:, None]


def _example(layer: Conv1D | Conv2D, input_shape: Shape) -> Example:
    return Example(layer, (input_shape,), partial(references.convolution, layer))
