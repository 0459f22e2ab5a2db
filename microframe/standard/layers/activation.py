"""An activation as a layer of its own."""

from __future__ import annotations

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example, Part
from microframe.interfaces import Activation, Context, Layer, Scope


class ActivationLayer(Layer):
    """y = f(x), for an activation that does not directly follow the layer it could be a field of.

    Fields:
        activation: f, elementwise or over the last axis.

    Shapes: (batch, ...) -> the same.
    """

    type = "activation"
    ends_in_activation = True

    activation: Part[Activation]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        z = ctx.empty(x.shape)
        if not ctx.training:
            self.activation.forward(x, z)
            return z
        np.copyto(z, x)  # x is another layer's, and `apply`, which takes its scratch from the context, wants to own it
        kept, y = self.activation.apply(ctx, z)
        ctx.save(kept, y)
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        return self.activation.pull_back(ctx, dy, *ctx.saved) if ctx.needs_input_gradient else None

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls("relu"), ((2, 3),)), cls("gelu"), cls("linear")]
