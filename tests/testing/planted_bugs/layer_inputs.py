"""Layers of several inputs, or around another layer, that give an input the wrong gradient."""

from __future__ import annotations

import numpy as np

from microframe import Example, Layer
from planted_bugs.planting import caught_by


@caught_by("input_gradients")
class SameGradientForBoth(Layer):
    """The difference of two inputs, of which both get the gradient of the first."""

    def build(self, scope, first, second):
        return first

    def forward(self, ctx, first, second):
        return first - second

    def backward(self, ctx, dy):
        return dy, dy


@caught_by("input_gradients")
class SwappedGradients(Layer):
    """The product of two inputs, which get each other's gradient."""

    def build(self, scope, first, second):
        return first

    def forward(self, ctx, first, second):
        ctx.save(first, second)
        return first * second

    def backward(self, ctx, dy):
        first, second = ctx.saved
        return dy * first, dy * second


@caught_by("input_gradients")
class OneGradientForTwo(Layer):
    """The mean of two inputs, whose backward returns one array for both."""

    def build(self, scope, first, second):
        return first

    def forward(self, ctx, first, second):
        return (first + second) / 2

    def backward(self, ctx, dy):
        return dy / 2


@caught_by("input_gradients")
class NoGradientForTheGate(Layer):
    """x * sigmoid(gate), which gives the gate no gradient as if it were a mask."""

    def build(self, scope, shape, gate_shape):
        return shape

    def forward(self, ctx, x, gate):
        opening = 1 / (1 + np.exp(-gate))
        ctx.save(opening)
        return x * opening

    def backward(self, ctx, dy):
        (opening,) = ctx.saved
        return dy * opening, None


@caught_by("input_gradients")
class ForgottenShortcut(Layer):
    """x plus another layer of x, whose input gradient is that of the other layer alone."""

    inner: Layer

    def build(self, scope, shape):
        return self.inner.build(scope.nested("inner"), shape)

    def forward(self, ctx, x):
        return x + self.inner.forward(ctx.nested("inner"), x)

    def backward(self, ctx, dy):
        return self.inner.backward(ctx.nested("inner"), dy)

    @classmethod
    def examples(cls):
        return [Example(cls({"type": "dense", "units": 4, "activation": "tanh"}), inputs=((4,),))]
