"""Layers that add noise in training, against overfitting, and do nothing in inference."""

from __future__ import annotations

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.interfaces import Context, Layer, Scope
from microframe.values import NonNegativeFloat, ProperFraction


class Dropout(Layer):
    """Sets each element to 0 with probability `rate` and divides the others by 1 - rate.

    The expectation stays what it was ("inverted" dropout), so inference leaves x as it is (Srivastava et al., 2014,
    Journal of Machine Learning Research 15).

    Fields:
        rate: the probability, 0 <= rate < 1.

    Shapes: (batch, ...) -> the same.
    """

    differs_in_training = True

    rate: ProperFraction

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        if not (ctx.training and self.rate):
            return x
        mask = ctx.empty(x.shape)
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

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(0.4), cls(0.0)]


class GaussianNoise(Layer):
    """x plus normal noise of mean 0, drawn for each element.

    Fields:
        standard_deviation: of the noise, in the units of x.

    Shapes: (batch, ...) -> the same.
    """

    differs_in_training = True

    standard_deviation: NonNegativeFloat

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        if not ctx.training:
            return x
        y = ctx.empty(x.shape)
        ctx.rng.standard_normal(dtype=y.dtype.type, out=y)
        y *= self.standard_deviation
        y += x
        return y

    def backward(self, ctx: Context, dy: Array) -> Array:
        return dy

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(0.3)]
