"""The embedding: a learned vector for each category."""

from __future__ import annotations

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example, Part
from microframe.errors import DataError
from microframe.interfaces import Context, Initializer, Layer, Scope
from microframe.values import PositiveInteger


class Embedding(Layer):
    """y = E[x]: the row of a learned table for each whole number of the input.

    Fields:
        categories: how many there are; the input holds numbers from 0 to categories - 1.
        units: the length of each vector.
        embeddings_initializer: for E, shape (categories, units); default uniform on +-0.05.

    Shapes: (batch, ...) -> (batch, ..., units).

    `forward` raises DataError, which names the value, for one that is out of range or not whole.
    """

    input_dtype = "int64"
    categories: PositiveInteger
    units: PositiveInteger
    embeddings_initializer: Part[Initializer] = Part("uniform")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        scope.parameter("embeddings", (self.categories, self.units), self.embeddings_initializer)
        return (*input_shape, self.units)

    def forward(self, ctx: Context, x: Array) -> Array:
        indices = self._indices(ctx, x)
        ctx.save(indices)
        # Every mode but "clip" makes a copy of the result; the indices are known to be in range.
        return ctx.parameters["embeddings"].take(indices, 0, ctx.empty((*x.shape, self.units)), "clip")

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # Each row of E receives the sum of dy over the places where it was read. In x, y is piecewise constant.
        (indices,) = ctx.saved
        gradient = ctx.gradients["embeddings"]
        gradient.fill(0)
        np.add.at(gradient, indices, dy)
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(indices.shape)
        dx.fill(0)
        return dx

    def _indices(self, ctx: Context, x: Array) -> Array:
        """`x` as int64, every element of it an index of the table."""
        indices = x
        if x.dtype != np.int64:
            indices = ctx.empty(x.shape, dtype=np.int64)
            np.copyto(indices, x, casting="unsafe")
            if np.not_equal(indices, x, ctx.empty(x.shape, dtype=np.bool_)).any():
                raise self._not_an_index(x[indices != x][0])
        # Read as unsigned, a negative number is a large one: one pass finds both ends of the range violated.
        if x.size and indices.view(np.uint64).max() >= self.categories:
            raise self._not_an_index(indices[(indices < 0) | (indices >= self.categories)][0])
        return indices

    def _not_an_index(self, value: np.generic) -> DataError:
        return DataError(
            f"{self.name or self.type}: expected whole numbers from 0 to {self.categories - 1}, received {value}"
        )

    @classmethod
    def examples(cls) -> list[Component | Example]:
        numbers = np.arange(15).reshape(3, 5) % 7
        return [
            Example(cls(7, 3), (numbers,), reference=lambda parameters, x: parameters["embeddings"][x]),
            Example(cls(7, 3), (np.arange(6),)),
        ]
