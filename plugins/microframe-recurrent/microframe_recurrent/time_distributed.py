"""Doing the same at every step of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

import microframe
from microframe import Array, Part, Shape
from microframe_recurrent.inner import check_inner, takes_one_input
from microframe_recurrent.lstm import LSTM


class TimeDistributed(microframe.Layer):
    """One layer, with the same weights, applied to every step of a sequence by itself.

    A `dense` or `layer_norm`, which work on the last axis alone, do so without it; a layer for images reads a sequence
    of them with it. The steps of all samples are one batch to the layer inside: a `batch_norm` takes its mean over all
    of them, and `dropout` draws for each.

    Fields:
        layer: the layer, of one input, without a name or inputs of its own.

    Its arrays are called ``layer_...``, for instance ``layer_kernel``.

    Shapes: (batch, time, *shape) -> (batch, time, *output shape of the layer for `shape`).
    """

    layer: Part[microframe.Layer]

    def __post_init__(self) -> None:
        check_inner(self.layer)

    @property
    def differs_in_training(self) -> bool:
        return self.layer.differs_in_training

    def build(self, scope: microframe.Scope, input_shape: Shape) -> Shape:
        if not input_shape or not input_shape[0]:
            raise ValueError("an input of shape (time, ...) with at least one step")
        if not takes_one_input(self.layer):
            raise ValueError(f"a layer inside that reads one input, which {self.layer.type!r} does not")
        steps, *shape = input_shape
        return (steps, *self.layer.build(scope.nested("layer"), tuple(shape)))

    def forward(self, ctx: microframe.Context, x: Array) -> Array:
        ctx.save(x.shape[:2])
        y = self.layer.forward(ctx.nested("layer"), _join(ctx, x))
        return y.reshape(*x.shape[:2], *y.shape[1:])

    def inference(self, ctx: microframe.Context) -> Callable[..., Array]:
        inner = self.layer.inference(ctx.nested("layer"))

        def forward(x: Array) -> Array:
            y = inner(_join(ctx, x))
            return y.reshape(*x.shape[:2], *y.shape[1:])

        return forward

    def backward(self, ctx: microframe.Context, dy: Array) -> Array | None:
        # To the layer inside, the steps of all samples are rows of one batch, and so are their gradients.
        (leading,) = ctx.saved
        dx = self.layer.backward(ctx.nested("layer"), _join(ctx, dy))
        return dx.reshape(*leading, *dx.shape[1:]) if isinstance(dx, np.ndarray) else None

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        from microframe.standard.layers import BatchNorm, Dense, Dropout, Reshape

        def steps_apart(parameters: Mapping[str, Array], x: Array) -> Array:
            y = [step @ parameters["layer_kernel"] + parameters["layer_bias"] for step in x.swapaxes(0, 1)]
            return np.stack(y, axis=1)

        return [
            microframe.Example(cls(Dense(4)), ((3, 2),), steps_apart),
            microframe.Example(cls(LSTM(2)), ((3, 4, 2),)),
            microframe.Example(cls(Reshape((2, 2))), ((3, 4),), lambda _, x: x.reshape(-1, 3, 2, 2)),
            microframe.Example(cls(BatchNorm()), ((3, 2),)),
            microframe.Example(cls(Dropout(0.4)), ((3, 2),)),
        ]


def _join(ctx: microframe.Context, x: Array) -> Array:
    """(batch, time, ...) as (batch * time, ...), of which a copy is made where it does not lie in one piece."""
    if not x.flags.c_contiguous:
        copy = ctx.empty(x.shape, dtype=x.dtype)
        np.copyto(copy, x)
        x = copy
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
