"""Layers that change the shape of a sample and nothing else."""

from __future__ import annotations

import math

from microframe.arrays import Array, Shape, check_shape
from microframe.component import Component, Example
from microframe.interfaces import Context, Layer, Scope


class Flatten(Layer):
    """All elements of a sample in one axis, in their order.

    Shapes: (batch, ...) -> (batch, product of the extents).
    """

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        return (math.prod(input_shape),)

    def forward(self, ctx: Context, x: Array) -> Array:
        ctx.save(x.shape)
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))

    def backward(self, ctx: Context, dy: Array) -> Array:
        return dy.reshape(ctx.saved[0])

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), ((2, 3, 4),), reference=lambda _, x: x.reshape(len(x), 24)), cls()]


class Reshape(Layer):
    """The elements of a sample in another shape, in their order.

    Fields:
        shape: that of an output sample, without the batch axis; one extent may be -1 and is then what remains.

    Shapes: (batch, ...) -> (batch, *shape), with as many elements.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(extent < 1 and extent != -1 for extent in self.shape) or self.shape.count(-1) > 1:
            raise ValueError("shape to hold extents of at least 1, of which one may be -1 for what remains")
        check_shape(self.shape)

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        output_shape = self._output_shape(input_shape)
        if math.prod(output_shape) != math.prod(input_shape):
            raise ValueError(f"an input whose elements fill the shape {self.shape}")
        return output_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        ctx.save(x.shape)
        return x.reshape(x.shape[0], *self._output_shape(x.shape[1:]))

    def backward(self, ctx: Context, dy: Array) -> Array:
        return dy.reshape(ctx.saved[0])

    def _output_shape(self, input_shape: Shape) -> Shape:
        """`shape` with what remains in the place of -1; NumPy can't tell it for an empty batch."""
        if -1 not in self.shape:
            return self.shape
        remaining = math.prod(input_shape) // -math.prod(self.shape)
        return tuple(remaining if extent == -1 else extent for extent in self.shape)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls((3, -1)), ((2, 6),), reference=lambda _, x: x.reshape(len(x), 3, 4))]
