"""A layer for microframe that learns from the data before training: scaling by peaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from microframe import Component, Context, Example, FittedLayer, Scope, hookimpl
from microframe.arrays import Array, Shape
from microframe.values import PositiveFloat


class PartName(FittedLayer):
    """y = limit x / peak, where the peak is the largest |x| of each feature.

    The peaks are those of the training part, over all axes but the last, so that it comes
    to lie between -limit and limit. Zeros stay zeros, so data that is mostly zeros stays so.
    A feature that is zero throughout has a peak of 1.

    Fields:
        limit: what the peak of each feature becomes; default 1.

    Shapes: (batch, ..., features) -> the same.
    """

    limit: PositiveFloat = 1.0

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ValueError("an input with at least one axis beside the batch")
        scope.state("peak", input_shape[-1:], fill=1.0)
        return input_shape

    def fit(self, state: Mapping[str, Array], batches: Iterable[Array]) -> None:
        peak = np.zeros_like(state["peak"])
        for batch in batches:
            rows = np.abs(batch).reshape(-1, len(peak))
            np.maximum(peak, rows.max(axis=0, initial=0), out=peak)
        peak[peak == 0] = 1
        state["peak"][:] = peak

    def forward(self, ctx: Context, x: Array) -> Array:
        y = np.divide(x, ctx.state["peak"], out=ctx.empty(x.shape))
        y *= self.limit
        return y

    def backward(self, ctx: Context, dy: Array) -> Array:
        # The peaks are constants by now, so dx = limit dy / peak.
        dx = np.divide(dy, ctx.state["peak"], out=ctx.empty(dy.shape))
        dx *= self.limit
        return dx

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls(), inputs=((4,),)), Example(cls(0.5), inputs=((5, 3),))]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
