"""Layers that make sequences and images larger: by zeros around them, or by repeating what they hold."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

import microframe
from microframe import Array, Context, Example, Scope, Shape
from microframe.values import PositiveInteger
from microframe_conv.arrays import as_images, require_axes, shaped_like
from microframe_conv.fields import NonNegativePair, Pair, TwoPairs, both
from microframe_conv.references import Parameters


class _ZeroPadding(microframe.Layer):
    axes: ClassVar[int]
    """1 for sequences, 2 for images."""

    @abstractmethod
    def _sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """How many zeros stand before and after, along the height and along the width."""

    def by_other_means(self, parameters: Parameters, x: Array) -> Array:
        """y in plain NumPy, for the examples."""
        return np.pad(x, [(0, 0), *self._sides()[: self.axes], (0, 0)])

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        sizes = zip(input_shape[:-1], self._sides(), strict=False)
        return (*(before + size + after for size, (before, after) in sizes), input_shape[-1])

    def forward(self, ctx: Context, x: Array) -> Array:
        images, ((top, bottom), (left, right)) = as_images(x), self._sides()
        batch, height, width, channels = images.shape
        y = ctx.empty((batch, top + height + bottom, left + width + right, channels))
        y.fill(0)
        np.copyto(y[:, top : top + height, left : left + width], images)
        return shaped_like(x, y)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # Every pixel of x is in y once.
        if not ctx.needs_input_gradient:
            return None
        images, ((top, bottom), (left, right)) = as_images(dy), self._sides()
        inside = images[:, top : images.shape[1] - bottom, left : images.shape[2] - right]
        dx = ctx.empty(inside.shape)
        np.copyto(dx, inside)
        return shaped_like(dy, dx)


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and after a sequence.

    Fields:
        padding: how many time steps: one number for both ends, or one before and one after; default 1.

    Shapes: (batch, time, features) -> (batch, padded time, features).
    """

    type = "zero_padding1d"
    axes = 1

    padding: NonNegativePair = 1

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(layer, ((4, 2),), layer.by_other_means) for layer in (cls(), cls((2, 0)), cls(0))]

    def _sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return both(self.padding), (0, 0)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around an image.

    Fields:
        padding: how many pixels: one number for all sides, or a list of two, for the height and for the width, either
            of them a number or a list of two, before and after: ``[[top, bottom], [left, right]]``; default 1.

    Shapes: (batch, height, width, channels) -> (batch, padded height, padded width, channels).
    """

    type = "zero_padding2d"
    axes = 2

    padding: TwoPairs = 1

    @classmethod
    def examples(cls) -> list[Example]:
        layers = cls(), cls((0, 2)), cls(((1, 2), (0, 3))), cls((1, (2, 0)))
        return [Example(layer, ((3, 4, 2),), layer.by_other_means) for layer in layers]

    def _sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        height, width = (self.padding, self.padding) if isinstance(self.padding, int) else self.padding
        return both(height), both(width)


class _Upsampling(microframe.Layer):
    axes: ClassVar[int]
    """1 for sequences, 2 for images."""

    size: Pair = 2

    @classmethod
    def examples(cls) -> list[Example]:
        layers, shape = ([cls(), cls(3)], (4, 2)) if cls.axes == 1 else ([cls(), cls((1, 3))], (2, 3, 2))
        return [Example(layer, (shape,), layer.by_other_means) for layer in layers]

    def by_other_means(self, parameters: Parameters, x: Array) -> Array:
        """y in plain NumPy, for the examples."""
        rows = np.repeat(x, self._sizes()[0], axis=1)
        return rows if self.axes == 1 else np.repeat(rows, self._sizes()[1], axis=2)

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        sizes = zip(input_shape[:-1], self._sizes(), strict=False)
        return (*(extent * size for extent, size in sizes), input_shape[-1])

    def forward(self, ctx: Context, x: Array) -> Array:
        images, (down, right) = as_images(x), self._sizes()
        batch, height, width, channels = images.shape
        y = ctx.empty((batch, height * down, width * right, channels))
        np.copyto(y.reshape(batch, height, down, width, right, channels), images[:, :, None, :, None])
        return shaped_like(x, y)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # Every element of x is in y down * right times, and gets the sum of their gradients.
        if not ctx.needs_input_gradient:
            return None
        images, (down, right) = as_images(dy), self._sizes()
        dx = ctx.empty((len(dy), images.shape[1] // down, images.shape[2] // right, images.shape[3]))
        dx.fill(0)
        for i in range(down):
            for j in range(right):
                dx += images[:, i::down, j::right]
        return shaped_like(dy, dx)

    def _sizes(self) -> tuple[int, int]:
        """By how much the height and the width grow."""
        return both(self.size) if self.axes == 2 else (both(self.size)[0], 1)


class Upsampling1D(_Upsampling):
    """A sequence with every time step repeated.

    Fields:
        size: how often; default 2.

    Shapes: (batch, time, features) -> (batch, time * size, features).
    """

    type = "upsampling1d"
    axes = 1

    size: PositiveInteger = 2


class Upsampling2D(_Upsampling):
    """An image with every pixel repeated in a rectangle: the nearest neighbour's values at a higher resolution.

    Fields:
        size: the height and the width of the rectangle, or one number for both; default 2.

    Shapes: (batch, height, width, channels) -> (batch, height * size, width * size, channels).
    """

    type = "upsampling2d"
    axes = 2
