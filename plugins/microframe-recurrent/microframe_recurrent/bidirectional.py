"""Reading a sequence in both directions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

import microframe
from microframe import Array, Part, Shape
from microframe_recurrent.gru import GRU
from microframe_recurrent.inner import check_inner
from microframe_recurrent.lstm import LSTM
from microframe_recurrent.masks import example_mask
from microframe_recurrent.simple_rnn import SimpleRNN


class Bidirectional(microframe.Layer):
    """A recurrent layer and its mirror image, which reads the sequence backwards with weights of its own.

    (Schuster & Paliwal, 1997, IEEE Transactions on Signal Processing 45.)

    With a mask, the second input, both skip the padding: the backward one still has its zero state when it comes to the
    last real step.

    Fields:
        layer: the recurrent layer: one with a field ``go_backwards``, such as `LSTM`. Its own name and inputs must not
            be set.
        merge: what becomes of the two outputs: ``"concatenate"`` (the default) along the last axis, ``"sum"`` or
            ``"mean"``.

    The arrays of the two are called ``forward_...`` and ``backward_...``, for instance ``backward_kernel``.

    Shapes: those of the layer inside; the last extent is twice as large where outputs are concatenated.
    """

    layer: Part[microframe.Layer]
    merge: Literal["concatenate", "sum", "mean"] = "concatenate"

    def __post_init__(self) -> None:
        if not any(field.name == "go_backwards" for field in dataclasses.fields(self.layer)):
            raise ValueError("a layer inside that has the field 'go_backwards', such as 'lstm' or 'gru'")
        check_inner(self.layer)

    @property
    def differs_in_training(self) -> bool:
        return self.layer.differs_in_training

    def build(self, scope: microframe.Scope, input_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        shapes = (input_shape,) if mask_shape is None else (input_shape, mask_shape)
        output_shape = self.layer.build(scope.nested("forward"), *shapes)
        mirror_image(self.layer).build(scope.nested("backward"), *shapes)
        return (*output_shape[:-1], 2 * output_shape[-1]) if self.merge == "concatenate" else output_shape

    def forward(self, ctx: microframe.Context, x: Array, mask: Array | None = None) -> Array:
        inputs = (x,) if mask is None else (x, mask)
        one = self.layer.forward(ctx.nested("forward"), *inputs)
        other = mirror_image(self.layer).forward(ctx.nested("backward"), *inputs)
        return self._merge(ctx, one, other)

    def inference(self, ctx: microframe.Context) -> Callable[..., Array]:
        read = self.layer.inference(ctx.nested("forward"))
        read_backwards = mirror_image(self.layer).inference(ctx.nested("backward"))

        def forward(*inputs: Array) -> Array:
            return self._merge(ctx, read(*inputs), read_backwards(*inputs))

        return forward

    def backward(self, ctx: microframe.Context, dy: Array) -> Any:
        one, other = self._divide(ctx, dy)
        results: Any = self.layer.backward(ctx.nested("forward"), one)
        mirrored: Any = mirror_image(self.layer).backward(ctx.nested("backward"), other)
        # Both read the same inputs, whose gradients are therefore sums.
        if isinstance(results, tuple):
            return tuple(_sum(ctx, *pair) for pair in zip(results, mirrored, strict=True))
        return _sum(ctx, results, mirrored)

    def _merge(self, ctx: microframe.Context, one: Array, other: Array) -> Array:
        if self.merge == "concatenate":
            return np.concatenate((one, other), axis=-1, out=ctx.empty((*one.shape[:-1], 2 * one.shape[-1])))
        y = np.add(one, other, out=ctx.empty(one.shape))
        if self.merge == "mean":
            y *= 0.5
        return y

    def _divide(self, ctx: microframe.Context, dy: Array) -> tuple[Array, Array]:
        """The gradients with respect to the two outputs."""
        if self.merge == "sum":
            return dy, dy
        if self.merge == "mean":
            half = np.multiply(dy, 0.5, out=ctx.empty(dy.shape))
            return half, half
        units = dy.shape[-1] // 2
        one, other = (ctx.empty((*dy.shape[:-1], units)) for _ in range(2))
        np.copyto(one, dy[..., :units])
        np.copyto(other, dy[..., units:])
        return one, other

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        sequence: Shape = (4, 2)
        return [
            microframe.Example(cls(LSTM(3)), (sequence,)),
            microframe.Example(cls(GRU(3, return_sequences=True)), (sequence, example_mask())),
            microframe.Example(cls(LSTM(3, return_sequences=True), "sum"), (sequence, example_mask())),
            microframe.Example(cls(SimpleRNN(3, go_backwards=True), "mean"), (sequence,)),
        ]


@functools.lru_cache(maxsize=64)
def mirror_image(layer: microframe.Layer) -> microframe.Layer:
    """The recurrent `layer` that reads in the other direction."""
    recurrent: Any = layer
    mirrored: microframe.Layer = dataclasses.replace(recurrent, go_backwards=not recurrent.go_backwards)
    return mirrored


def _sum(ctx: microframe.Context, one: Array | None, other: Array | None) -> Array | None:
    return None if one is None or other is None else np.add(one, other, out=ctx.empty(one.shape))
