"""Convolutions over sequences and images."""

from __future__ import annotations

from functools import partial

from microframe import Example, Scope, Shape
from microframe.values import PositiveInteger
from microframe_conv import references
from microframe_conv.arrays import require_axes
from microframe_conv.base import Filters, GroupedConvolution


class _Convolution(GroupedConvolution, Filters):
    """A convolution whose filters read one group of channels each."""

    groups: PositiveInteger = 1

    def __post_init__(self) -> None:
        if self.filters % self.groups:
            raise ValueError("filters to be a multiple of groups")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"a number of channels that is a multiple of groups = {self.groups}")
        counts = self._plane(input_shape).counts[: self.axes]
        self._declare(scope, (*self._kernel_extents, channels // self.groups, self.filters), self.filters)
        return (*counts, self.filters)

    def _groups(self, channels: int) -> int:
        return self.groups


class Conv1D(_Convolution):
    """y = f(z + b), with z the sum of products of kernels with windows of a sequence, one window after the other.

    Fields, besides those of `Convolution`:
        filters: the number of output features.
        kernel_size: how many time steps the kernels take.
        strides: from one window to the next; default 1.
        padding: ``"valid"``, windows lie on the sequence, the default; or ``"same"``, zeros before and after it make
            ceil(time / strides) windows.
        dilation: from one step that a kernel takes to the next; default 1.
        kernel_initializer: for the kernels, shape (time, features / groups, filters); default glorot_uniform.
        groups: of features and of filters, each group of filters reading one group of features; default 1.

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
            _example(cls(3, 2, groups=3), (5, 3)),
            Example(cls(2, 1, activation="tanh"), ((4, 3),)),
        ]


class Conv2D(_Convolution):
    """y = f(z + b), with z the sum of products of kernels with windows of an image; see `microframe_conv.correlation`.

    Fields, besides those of `Convolution`:
        filters: the number of output channels.
        kernel_initializer: for the kernels, shape (height, width, channels / groups, filters); default glorot_uniform.
        groups: of channels and of filters, each group of filters reading one group of channels; default 1.

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
            _example(cls(3, 2, padding="same", groups=3), (4, 3, 3)),
            _example(cls(2, 3, strides=3, dilation=2), (7, 8, 1)),
            _example(cls(2, 3, padding="same", dilation=(1, 2)), (4, 5, 2)),
            Example(cls(2, 1, activation="tanh"), ((3, 2, 3),)),
        ]


def _example(layer: Conv1D | Conv2D, input_shape: Shape) -> Example:
    return Example(layer, (input_shape,), partial(references.convolution, layer))
