"""The fully connected layer."""

from __future__ import annotations

from collections.abc import Callable

from microframe.arrays import Array, Shape
from microframe.component import Component, Example, Part
from microframe.interfaces import Activation, Context, Initializer, Layer, Scope
from microframe.standard.layers.rows import add_to_rows, rows, sum_rows
from microframe.values import PositiveInteger


class Dense(Layer):
    """y = f(x W + b), on the last axis of x.

    Fields:
        units: the number of outputs.
        activation: f, elementwise or over the outputs; default linear.
        use_bias: whether b is there; default true.
        kernel_initializer: for W, shape (inputs, units); default glorot_uniform.
        bias_initializer: for b, shape (units,); default zeros. Weight decay leaves b out.

    Shapes: (batch, ..., inputs) -> (batch, ..., units).
    """

    ends_in_activation = True

    units: PositiveInteger
    activation: Part[Activation] = Part("linear")
    use_bias: bool = True
    kernel_initializer: Part[Initializer] = Part("glorot_uniform")
    bias_initializer: Part[Initializer] = Part("zeros")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ValueError("an input with at least one axis beside the batch")
        scope.parameter("kernel", (input_shape[-1], self.units), self.kernel_initializer)
        if self.use_bias:
            scope.parameter("bias", (self.units,), self.bias_initializer, decay=False)
        return (*input_shape[:-1], self.units)

    def forward(self, ctx: Context, x: Array) -> Array:
        matrix = x if x.ndim == 2 else rows(x)
        z = ctx.empty((len(matrix), self.units))
        matrix.dot(ctx.parameters["kernel"], z)
        if self.use_bias:
            add_to_rows(z, ctx.parameters["bias"])
        kept, y = self.activation.apply(ctx, z)
        ctx.save(matrix, kept, y)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], self.units)

    def inference(self, ctx: Context) -> Callable[..., Array]:
        kernel, activate = ctx.parameters["kernel"], self.activation.forward
        bias = ctx.parameters["bias"].reshape(1, -1) if self.use_bias else None

        def forward(x: Array) -> Array:
            z: Array = (x if x.ndim == 2 else rows(x)).dot(kernel)
            if bias is not None:
                z += bias  # two matrices: as fast as `add_to_rows` for a single row, without the call
            activate(z, z)
            return z if x.ndim == 2 else z.reshape(*x.shape[:-1], z.shape[-1])

        return forward

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # With z = x W + b and y = f(z), the chain rule gives
        #   dz = dy * f'(z),   dW = x^T dz,   db = sum over rows of dz,   dx = dz W^T.
        x, kept, y = ctx.saved
        dz = self.activation.pull_back(ctx, dy if dy.ndim == 2 else rows(dy), kept, y)
        x.T.dot(dz, ctx.gradients["kernel"])
        if self.use_bias:
            sum_rows(dz, ctx.gradients["bias"])
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(x.shape)
        dz.dot(ctx.parameters["kernel"].T, dx)
        return dx if dy.ndim == 2 else dx.reshape(*dy.shape[:-1], x.shape[1])

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(4), ((3,),), reference=lambda parameters, x: x @ parameters["kernel"] + parameters["bias"]),
            Example(cls(4, "leaky_relu", use_bias=False), ((5, 3),)),
            Example(cls(2, "gelu"), ((4, 5, 3),)),
        ]
