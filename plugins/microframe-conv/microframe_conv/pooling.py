"""The largest or the mean of the elements in each window."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

import microframe
from microframe import Array, Context, Example, Scope, Shape
from microframe.values import PositiveInteger
from microframe_conv import references
from microframe_conv.arrays import as_images, bits, require_axes, shaped_like
from microframe_conv.fields import Padding, Pair
from microframe_conv.patches import samples_in_block, slices
from microframe_conv.windows import Axis, Plane, windows_over

Slices = tuple[slice, slice, slice]


class Pooling(microframe.Layer):
    """What is the same whatever is made of the elements of a window; sequences are images of width 1."""

    axes: ClassVar[int]
    """1 for sequences, 2 for images."""

    pool_size: Pair = 2
    strides: Pair | None = None
    padding: Padding = "valid"

    @classmethod
    def examples(cls) -> list[Example]:
        layers = [cls(), cls(3, strides=2, padding="same"), cls(3, strides=1)]
        shapes: list[Shape] = [(7, 2), (8, 3), (5, 2)]
        if cls.axes == 2:
            layers.append(cls((3, 2), strides=(1, 3), padding="same"))
            shapes = [(5, 6, 2), (6, 5, 3), (4, 3, 1), (4, 7, 2)]
        return [Example(layer, (shape,), layer.by_other_means) for layer, shape in zip(layers, shapes, strict=True)]

    @abstractmethod
    def by_other_means(self, parameters: references.Parameters, x: Array) -> Array:
        """y in plain NumPy, for the examples."""

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        return (*self._plane(input_shape).counts[: self.axes], input_shape[-1])

    def _plane(self, input_shape: Shape) -> Plane:
        strides = self.pool_size if self.strides is None else self.strides
        return windows_over(input_shape, self.pool_size, strides, 1, self.padding)


class _MaxPool(Pooling):
    """The largest of the elements of each window that lie on the input."""

    def by_other_means(self, parameters: references.Parameters, x: Array) -> Array:
        return references.largest(self, x)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, images = self._plane(x.shape[1:]), as_images(x)
        y = ctx.empty((len(x), *plane.counts, x.shape[-1]))
        y.fill(-np.inf)
        for samples in _blocks(images):
            for windows, inputs in _taps(plane):
                largest = y[samples][windows]
                np.maximum(largest, images[samples][inputs], out=largest)
        ctx.save(x, y)
        return shaped_like(x, y)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # The gradient goes to the element that was taken: the first of the largest, as in TensorFlow and PyTorch. What
        # the taps before have not taken is left.
        if not ctx.needs_input_gradient:
            return None
        x, y = ctx.saved
        plane, images = self._plane(x.shape[1:]), as_images(x)
        dx = ctx.empty(images.shape)
        dx.fill(0)
        left_in_block, taken_in_block = (ctx.empty((_block_length(images), *y.shape[1:])) for _ in range(2))
        for samples in _blocks(images):
            block, gradient = images[samples], dx[samples]
            left, taken = left_in_block[: len(block)], taken_in_block[: len(block)]
            np.copyto(left, as_images(dy)[samples])
            bits_left, bits_taken = bits(left), bits(taken)
            for windows, inputs in _taps(plane):
                take = bits_taken[windows]
                np.equal(block[inputs], y[samples][windows], out=take)
                take *= bits_left[windows]
                bits_left[windows] -= take
                gradient[inputs] += taken[windows]
        return shaped_like(x, dx)


class _AveragePool(Pooling):
    """The mean of the elements of each window that lie on the input."""

    def by_other_means(self, parameters: references.Parameters, x: Array) -> Array:
        return references.mean(self, x)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, images = self._plane(x.shape[1:]), as_images(x)
        y = ctx.empty((len(x), *plane.counts, x.shape[-1]))
        y.fill(0)
        for samples in _blocks(images):
            for windows, inputs in _taps(plane):
                y[samples][windows] += images[samples][inputs]
        _divide_by_counts(y, plane)
        ctx.save(x.shape)
        return shaped_like(x, y)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # y = (sum of x) / count in each window, so each of its elements gets dy / count.
        if not ctx.needs_input_gradient:
            return None
        (shape,) = ctx.saved
        plane, gradient = self._plane(shape[1:]), as_images(dy)
        share = ctx.empty(gradient.shape)
        np.copyto(share, gradient)
        _divide_by_counts(share, plane)
        dx = ctx.empty(shape)
        dx.fill(0)
        images = as_images(dx)
        for samples in _blocks(images):
            for windows, inputs in _taps(plane):
                images[samples][inputs] += share[samples][windows]
        return dx


class MaxPool1D(_MaxPool):
    """The largest element in each window of a sequence, of each feature on its own.

    Fields:
        pool_size: how many time steps a window has; default 2.
        strides: from one window to the next; `pool_size` unless given.
        padding: ``"valid"``, windows lie on the sequence, the default; or ``"same"``, there are ceil(time / strides) of
            them, some over its ends, which count only what lies on the sequence.

    Shapes: (batch, time, features) -> (batch, windows, features).
    """

    type = "max_pool1d"
    axes = 1

    pool_size: PositiveInteger = 2
    strides: PositiveInteger | None = None


class MaxPool2D(_MaxPool):
    """The largest element in each window of an image, of each channel on its own.

    Fields:
        pool_size: height and width of a window, or one number for both; default 2.
        strides: from one window to the next, one number or two; `pool_size` unless given.
        padding: ``"valid"``, windows lie on the image, the default; or ``"same"``, there are ceil(size / strides) of
            them, some over its edges, which count only what lies on the image.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, channels).
    """

    type = "max_pool2d"
    axes = 2


class AveragePool1D(_AveragePool):
    """The mean of the elements in each window of a sequence, of each feature on its own.

    Fields:
        pool_size: how many time steps a window has; default 2.
        strides: from one window to the next; `pool_size` unless given.
        padding: ``"valid"``, windows lie on the sequence, the default; or ``"same"``, there are ceil(time / strides) of
            them, some over its ends, which count only what lies on the sequence.

    Shapes: (batch, time, features) -> (batch, windows, features).
    """

    type = "average_pool1d"
    axes = 1

    pool_size: PositiveInteger = 2
    strides: PositiveInteger | None = None


class AveragePool2D(_AveragePool):
    """The mean of the elements in each window of an image, of each channel on its own.

    Fields:
        pool_size: height and width of a window, or one number for both; default 2.
        strides: from one window to the next, one number or two; `pool_size` unless given.
        padding: ``"valid"``, windows lie on the image, the default; or ``"same"``, there are ceil(size / strides) of
            them, some over its edges, which count only what lies on the image.

    Shapes: (batch, height, width, channels) -> (batch, rows of windows, columns, channels).
    """

    type = "average_pool2d"
    axes = 2


def _taps(plane: Plane) -> Iterator[tuple[Slices, Slices]]:
    """For each tap, row by row, the windows in which it lies on the input, and the inputs it lies on."""
    for p in range(plane.rows.kernel):
        rows, heights = plane.rows.overlap(p)
        for q in range(plane.columns.kernel):
            columns, widths = plane.columns.overlap(q)
            yield (slice(None), rows, columns), (slice(None), heights, widths)


def _divide_by_counts(y: Array, plane: Plane) -> None:
    """Divide each window of `y` by the number of its taps that lie on the input."""
    y /= plane.rows.kernel * plane.columns.kernel
    for row, ratio in _cut_windows(plane.rows):
        y[:, row] *= ratio
    for column, ratio in _cut_windows(plane.columns):
        y[:, :, column] *= ratio


def _cut_windows(axis: Axis) -> Iterator[tuple[int, float]]:
    """Those windows that lie over an end of the input, and the number of their taps by that of those on the input."""
    if axis.padded_size > axis.size:
        for window in range(axis.count):
            taps = axis.taps_on_input(window)
            if taps < axis.kernel:
                yield window, axis.kernel / taps


def _block_length(images: Array) -> int:
    return samples_in_block(len(images), math.prod(images.shape[1:]) * images.itemsize)


def _blocks(images: Array) -> Iterator[slice]:
    """The samples of one block after the other; see `microframe_conv.patches`."""
    return slices(len(images), _block_length(images))
