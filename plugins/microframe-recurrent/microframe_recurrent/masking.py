"""Telling the real steps of a sequence from its padding."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

import microframe
from microframe import Array, Shape


class Masking(microframe.Layer):
    """The mask of a padded sequence: 1 where a step is real, 0 where it is padding.

    A step is padding where all its features equal `mask_value`, so padding is best done with a value that no real step
    consists of. The mask is a value of the network like any other: a layer that takes one reads it as its second input,
    ``inputs = ["input", "mask"]``, where this layer is called ``mask``.

    Fields:
        mask_value: what padding holds, a finite number; default 0. NaN is no padding to this layer, but the layers that
            take a mask do not mind it where theirs comes from elsewhere, say from a layer of your own.

    Shapes: (batch, time) or (batch, time, features) -> (batch, time).
    """

    mask_value: float = 0.0

    def build(self, scope: microframe.Scope, input_shape: Shape) -> Shape:
        if len(input_shape) not in {1, 2}:
            raise ValueError("an input of shape (time,) or (time, features)")
        return input_shape[:1]

    def forward(self, ctx: microframe.Context, x: Array) -> Array:
        ctx.save(x.shape)
        differs = np.not_equal(x, self.mask_value, out=ctx.empty(x.shape, dtype=np.bool_))
        if x.ndim == 3:
            differs = np.logical_or.reduce(differs, axis=2, out=ctx.empty(x.shape[:2], dtype=np.bool_))
        mask = ctx.empty(differs.shape)
        np.copyto(mask, differs)
        return mask

    def backward(self, ctx: microframe.Context, dy: Array) -> Array | None:
        # The mask is piecewise constant in x.
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(ctx.saved[0])
        dx.fill(0)
        return dx

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        tokens = np.array([[3, 1, 2], [4, 0, 0], [1, 2, 0], [0, 0, 0]])
        points = np.array([[[1, 0], [0, 2], [0, 0]], [[0, 0], [0, 0], [0, 0]], [[3, 1], [1, 1], [2, 0]]])
        return [
            microframe.Example(cls(), (tokens,), lambda _, x: x != 0),
            microframe.Example(cls(), (points,), lambda _, x: (x != 0).any(axis=2)),
            microframe.Example(cls(2.0), (tokens,), lambda _, x: x != 2),
        ]
