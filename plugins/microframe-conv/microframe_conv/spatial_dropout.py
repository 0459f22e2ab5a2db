"""Dropout of whole channels."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

import microframe
from microframe import Array, Context, Example, Scope, Shape
from microframe.values import ProperFraction
from microframe_conv.arrays import require_axes


class _SpatialDropout(microframe.Layer):
    differs_in_training = True
    axes: ClassVar[int]
    """1 for sequences, 2 for images."""

    rate: ProperFraction

    @classmethod
    def examples(cls) -> list[Example]:
        shape = (5, 3) if cls.axes == 1 else (3, 2, 4)
        return [Example(cls(rate), (shape,), lambda _, x: x) for rate in (0.4, 0.0)]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        if not (ctx.training and self.rate):
            return x
        mask = ctx.empty((len(x), *(1,) * self.axes, x.shape[-1]))
        ctx.rng.random(dtype=mask.dtype.type, out=mask)
        np.greater_equal(mask, self.rate, out=mask)
        mask /= 1 - self.rate
        ctx.save(mask)
        return np.multiply(x, mask, out=ctx.empty(x.shape))

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        if not self.rate:
            return dy
        (mask,) = ctx.saved
        return np.multiply(dy, mask, out=ctx.empty(dy.shape)) if ctx.needs_input_gradient else None


class SpatialDropout1D(_SpatialDropout):
    """Sets each feature of a sequence, at all time steps, to 0 with probability `rate` and divides the others by
    1 - rate; in training only. Neighbouring steps are alike, so that dropping single ones would hide nothing
    (Tompson et al., 2014, arXiv:1411.4280).

    Fields:
        rate: the probability, 0 <= rate < 1.

    Shapes: (batch, time, features) -> the same.
    """

    type = "spatial_dropout1d"
    axes = 1


class SpatialDropout2D(_SpatialDropout):
    """Sets each channel of an image, at all pixels, to 0 with probability `rate` and divides the others by 1 - rate;
    in training only. Neighbouring pixels are alike, so that dropping single ones would hide nothing
    (Tompson et al., 2014, arXiv:1411.4280).

    Fields:
        rate: the probability, 0 <= rate < 1.

    Shapes: (batch, height, width, channels) -> the same.
    """

    type = "spatial_dropout2d"
    axes = 2
