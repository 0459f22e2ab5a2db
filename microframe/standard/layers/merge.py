"""Layers that make one output of several inputs."""

from __future__ import annotations

import math

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.interfaces import Context, Layer, Scope


class Add(Layer):
    """The sum of the inputs, element by element; a shortcut around the layers of a residual block.

    Shapes: at least two of (batch, ...), all the same -> the same.
    """

    def build(self, scope: Scope, *input_shapes: Shape) -> Shape:
        return _common_shape(input_shapes)

    def forward(self, ctx: Context, *inputs: Array) -> Array:
        y = np.add(inputs[0], inputs[1], out=ctx.empty(inputs[0].shape))
        for x in inputs[2:]:
            y += x
        ctx.save(len(inputs))
        return y

    def backward(self, ctx: Context, dy: Array) -> tuple[Array, ...]:
        (count,) = ctx.saved
        return tuple(dy for _ in range(count))

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), ((2, 3),) * count, reference=lambda _, *inputs: sum(inputs)) for count in (2, 3)]


class Multiply(Layer):
    """The product of the inputs, element by element; a gate, where one of them lies in [0, 1].

    Shapes: at least two of (batch, ...), all the same -> the same.
    """

    def build(self, scope: Scope, *input_shapes: Shape) -> Shape:
        return _common_shape(input_shapes)

    def forward(self, ctx: Context, *inputs: Array) -> Array:
        ctx.save(*inputs)
        y = np.multiply(inputs[0], inputs[1], out=ctx.empty(inputs[0].shape))
        for x in inputs[2:]:
            y *= x
        return y

    def backward(self, ctx: Context, dy: Array) -> tuple[Array, ...]:
        # dx_i = dy * product of the other x. Dividing y by x_i would save work, but fails where x_i = 0.
        inputs = ctx.saved
        gradients = []
        for index in range(len(inputs)):
            first, *others = inputs[:index] + inputs[index + 1 :]
            dx = np.multiply(dy, first, out=ctx.empty(dy.shape))
            for x in others:
                dx *= x
            gradients.append(dx)
        return tuple(gradients)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), ((2, 3),) * count, reference=lambda _, *inputs: math.prod(inputs)) for count in (2, 3)]


class Concatenate(Layer):
    """The inputs one after another along an axis.

    Fields:
        axis: of a sample, the batch axis not counted; default -1, the last.

    Shapes: at least two of (batch, ...), the same but for `axis` -> their extents there added.
    """

    axis: int = -1

    def build(self, scope: Scope, *input_shapes: Shape) -> Shape:
        _require_several(input_shapes)
        axes = len(input_shapes[0])
        if not -axes <= self.axis < axes:
            raise ValueError(f"inputs with an axis {self.axis} (the batch axis doesn't count)")
        axis = self.axis % axes
        around = {(shape[:axis], shape[axis + 1 :]) for shape in input_shapes}
        if len(around) > 1 or any(len(shape) != axes for shape in input_shapes):
            raise ValueError(f"inputs of one shape but for axis {self.axis}")
        ((before, after),) = around
        return (*before, sum(shape[axis] for shape in input_shapes), *after)

    def forward(self, ctx: Context, *inputs: Array) -> Array:
        axis = self.axis if self.axis < 0 else self.axis + 1
        extents = [x.shape[axis] for x in inputs]
        shape = list(inputs[0].shape)
        shape[axis] = sum(extents)
        ctx.save(axis % len(shape), extents)
        return np.concatenate(inputs, axis, out=ctx.empty(tuple(shape)))

    def backward(self, ctx: Context, dy: Array) -> tuple[Array, ...]:
        # dx_i is the part of dy where x_i was put. It is copied, so that every layer sees contiguous memory.
        axis, extents = ctx.saved
        gradients = []
        stop = 0
        for extent in extents:
            start, stop = stop, stop + extent
            part = dy[(slice(None),) * axis + (slice(start, stop),)]
            dx = ctx.empty(part.shape)
            np.copyto(dx, part)
            gradients.append(dx)
        return tuple(gradients)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(), ((4,), (2,), (3,)), reference=lambda _, *inputs: np.concatenate(inputs, axis=1)),
            Example(cls(0), ((4, 2), (1, 2))),
            Example(cls(-2), ((2, 3, 2), (2, 1, 2))),
        ]


def _common_shape(input_shapes: tuple[Shape, ...]) -> Shape:
    _require_several(input_shapes)
    if len(set(input_shapes)) > 1:
        raise ValueError("inputs of one shape")
    return input_shapes[0]


def _require_several(input_shapes: tuple[Shape, ...]) -> None:
    if len(input_shapes) < 2:
        raise ValueError("at least two inputs")
