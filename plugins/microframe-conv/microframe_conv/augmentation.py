"""Layers that vary the images of a training step at random, so that a network learns what does not depend on it."""

from __future__ import annotations

from typing import Literal

import numpy as np

import microframe
from microframe import Array, Context, Example, Scope, Shape
from microframe.values import Fraction
from microframe_conv.arrays import require_axes
from microframe_conv.fields import NonNegativePair, both


class RandomShift(microframe.Layer):
    """Each image moved by whole pixels, up or down and left or right; in training only.

    How far is drawn for each image and axis, every distance within the bounds being as likely. What moves over the edge
    is lost, and what is uncovered is filled with a number.

    Fields:
        distance: how far an image moves at most, in pixels: one number for both axes, or one for the height and one for
            the width; default 1.
        fill: what uncovered pixels hold; default 0.

    Shapes: (batch, height, width, channels) -> the same.
    """

    differs_in_training = True

    distance: NonNegativePair = 1
    fill: float = 0.0

    @classmethod
    def examples(cls) -> list[Example]:
        layers = cls(), cls((0, 2)), cls(5, fill=-1.0)
        return [Example(layer, ((4, 3, 2),), lambda _, x: x) for layer in layers]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, 2)
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        if not ctx.training:
            return x
        distances = self._draw(ctx, len(x))
        ctx.save(distances)
        y = ctx.empty(x.shape)
        y.fill(self.fill)
        _move(x, y, distances)
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # Every pixel of x that y holds gets its gradient back from where it was moved to; the others get none.
        if not ctx.needs_input_gradient:
            return None
        (distances,) = ctx.saved
        dx = ctx.empty(dy.shape)
        dx.fill(0)
        _move(dy, dx, [(-down, -right) for down, right in distances])
        return dx

    def _draw(self, ctx: Context, batch: int) -> list[tuple[int, int]]:
        """How far each image moves down and to the right."""
        height, width = both(self.distance)
        return [
            (int(down * (2 * height + 1)) - height, int(right * (2 * width + 1)) - width)
            for down, right in _uniform_pairs(ctx, batch)
        ]


class RandomFlip(microframe.Layer):
    """Each image turned into its mirror image with a probability; in training only.

    Fields:
        axis: what is mirrored: ``"horizontal"``, left and right change places, the default; ``"vertical"``, top and
            bottom do; or ``"both"``, each of the two independently of the other.
        rate: the probability; default 0.5.

    Shapes: (batch, height, width, channels) -> the same.
    """

    differs_in_training = True

    axis: Literal["horizontal", "vertical", "both"] = "horizontal"
    rate: Fraction = 0.5

    @classmethod
    def examples(cls) -> list[Example]:
        layers = cls(), cls("vertical", 1.0), cls("both"), cls(rate=0.0)
        return [Example(layer, ((4, 3, 2),), lambda _, x: x) for layer in layers]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, 2)
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        if not ctx.training:
            return x
        steps = self._draw(ctx, len(x))
        ctx.save(steps)
        y = ctx.empty(x.shape)
        _flip(x, y, steps)
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # The mirror image of a mirror image is the image itself.
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(dy.shape)
        _flip(dy, dx, *ctx.saved)
        return dx

    def _draw(self, ctx: Context, batch: int) -> list[tuple[int, int]]:
        """For each image 1 or -1 along the height and along the width, where -1 turns it round."""
        vertical = self.rate if self.axis != "horizontal" else 0
        horizontal = self.rate if self.axis != "vertical" else 0
        return [(-1 if up < vertical else 1, -1 if left < horizontal else 1) for up, left in _uniform_pairs(ctx, batch)]


def _uniform_pairs(ctx: Context, batch: int) -> list[list[float]]:
    """Two numbers from [0, 1) for each image; in float64, so that networks of all dtypes draw the same."""
    pairs = ctx.empty((batch, 2), dtype=np.float64)
    ctx.rng.random(out=pairs)
    drawn: list[list[float]] = pairs.tolist()
    return drawn


def _move(x: Array, out: Array, distances: list[tuple[int, int]]) -> None:
    """Copy each image of `x` into `out`, so far down and to the right; what isn't covered stays as it is."""
    for image, moved, (down, right) in zip(x, out, distances, strict=True):
        (rows, rows_from), (columns, columns_from) = _overlap(len(image), down), _overlap(image.shape[1], right)
        np.copyto(moved[rows, columns], image[rows_from, columns_from])


def _overlap(size: int, distance: int) -> tuple[slice, slice]:
    """Where on an axis there is something after moving it by `distance`, and where that was before."""
    length = max(size - abs(distance), 0)
    start, origin = max(distance, 0), max(-distance, 0)
    return slice(start, start + length), slice(origin, origin + length)


def _flip(x: Array, out: Array, steps: list[tuple[int, int]]) -> None:
    """Copy each image of `x` into `out`, read in those steps along the height and the width."""
    for image, flipped, (down, right) in zip(x, out, steps, strict=True):
        np.copyto(flipped, image[::down, ::right])
