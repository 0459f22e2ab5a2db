"""A layer for microframe: a gated linear unit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from microframe import Component, Context, Example, Initializer, Layer, Part, Scope, hookimpl
from microframe.arrays import Array, Shape
from microframe.values import PositiveInteger


class PartName(Layer):
    """y = (x V + b) * sigmoid(x W + c), on the last axis of x.

    Where the gate, the second factor, is 1 the layer is linear; where it is 0 nothing
    passes  (Dauphin et al., 2017, arXiv:1612.08083).

    Fields:
        units: the number of outputs.
        kernel_initializer: for V and W, shape (inputs, units); default glorot_uniform.
        bias_initializer: for b and c, shape (units,); default zeros. Weight decay leaves
            both out.

    Shapes: (batch, ..., inputs) -> (batch, ..., units).
    """

    units: PositiveInteger
    kernel_initializer: Part[Initializer] = Part("glorot_uniform")
    bias_initializer: Part[Initializer] = Part("zeros")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ValueError("an input with at least one axis beside the batch")
        shape = (input_shape[-1], self.units)
        scope.parameter("kernel", shape, self.kernel_initializer)
        scope.parameter("bias", shape[1:], self.bias_initializer, decay=False)
        scope.parameter("gate_kernel", shape, self.kernel_initializer)
        scope.parameter("gate_bias", shape[1:], self.bias_initializer, decay=False)
        return (*input_shape[:-1], self.units)

    def forward(self, ctx: Context, x: Array) -> Array:
        parameters = ctx.parameters
        rows = x.reshape(-1, x.shape[-1])
        value = self._affine(ctx, rows, parameters["kernel"], parameters["bias"])
        gate = self._affine(ctx, rows, parameters["gate_kernel"], parameters["gate_bias"])
        # sigmoid(z) = (1 + tanh(z / 2)) / 2, which overflows for no z
        gate *= 0.5
        np.tanh(gate, out=gate)
        gate += 1
        gate *= 0.5
        ctx.save(rows, value, gate)
        y = np.multiply(value, gate, out=ctx.empty(value.shape))
        return y.reshape(*x.shape[:-1], self.units)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # With v = x V + b, g = sigmoid(z), z = x W + c and y = v g, as g' = g (1 - g),
        #   dv = dy g,   dz = dy v g' = dv v (1 - g),
        #   dV = x^T dv,   db = sum over rows of dv,   dW and dc the same with dz,
        #   dx = dv V^T + dz W^T.
        x, value, gate = ctx.saved
        parameters, gradients = ctx.parameters, ctx.gradients
        dv = np.multiply(dy.reshape(value.shape), gate, out=ctx.empty(value.shape))
        dz = np.subtract(1, gate, out=ctx.empty(value.shape))
        dz *= value
        dz *= dv
        np.matmul(x.T, dv, out=gradients["kernel"])
        np.sum(dv, axis=0, out=gradients["bias"])
        np.matmul(x.T, dz, out=gradients["gate_kernel"])
        np.sum(dz, axis=0, out=gradients["gate_bias"])
        if not ctx.needs_input_gradient:
            return None
        dx = np.matmul(dv, parameters["kernel"].T, out=ctx.empty(x.shape))
        dx += np.matmul(dz, parameters["gate_kernel"].T, out=ctx.empty(x.shape))
        return dx.reshape(*dy.shape[:-1], x.shape[1])

    def _affine(self, ctx: Context, x: Array, kernel: Array, bias: Array) -> Array:
        """x kernel + bias, (rows, units)."""
        z = np.matmul(x, kernel, out=ctx.empty((len(x), self.units)))
        z += bias
        return z

    @classmethod
    def examples(cls) -> list[Example]:
        return [
            Example(cls(3), inputs=((4,),), reference=_reference),
            Example(cls(2), inputs=((5, 4),), reference=_reference),
        ]


def _reference(parameters: Mapping[str, Array], x: Array) -> Array:
    value = x @ parameters["kernel"] + parameters["bias"]
    gate = 1 / (1 + np.exp(-(x @ parameters["gate_kernel"] + parameters["gate_bias"])))
    return np.asarray(value * gate)


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
