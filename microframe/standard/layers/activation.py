"""An activation as a layer of its own."""

from __future__ import annotations

from microframe.arrays import Array, Shape
from microframe.component import Part
from microframe.interfaces import Activation, Context, Layer, Scope


class ActivationLayer(Layer):
    """y = f(x), for an activation that does not directly follow the layer it could be a field of.

    Fields:
        activation: f, elementwise or over the last axis.

    Shapes: (batch, ...) -> the same.
    """

    type = "activation"
    activation: Part[Activation]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        y = ctx.empty(x.shape)
        self.activation.forward(x, y)
        ctx.save(x if self.activation.needs_input else None, y)
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        return self.activation.pull_back(ctx, dy, *ctx.saved) if ctx.needs_input_gradient else None
