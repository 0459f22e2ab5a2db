"""One value for a whole sequence: the mean of its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import microframe
from microframe import Array, Shape
from microframe_recurrent.masks import example_mask, find_padding, without_padding
from microframe_recurrent.shapes import check_shapes


class SequenceAverage(microframe.Layer):
    """The mean over time, with a mask (the second input) that over the real steps alone; 0 where there are none.

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, features).
    """

    def build(self, scope: microframe.Scope, input_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        check_shapes(input_shape, mask_shape)
        return input_shape[1:]

    def forward(self, ctx: microframe.Context, x: Array, mask: Array | None = None) -> Array:
        is_padding = None if mask is None else find_padding(ctx, mask)
        if is_padding is not None:
            x = without_padding(ctx, x, is_padding)
        share = _shares(ctx, x, is_padding)
        ctx.save(share, mask is not None)
        y = ctx.empty((x.shape[0], 1, x.shape[2]))
        return np.matmul(share, x, out=y).reshape(x.shape[0], x.shape[2])

    def backward(self, ctx: microframe.Context, dy: Array) -> Array | tuple[Array | None, None] | None:
        # y = sum over t of p_t x_t, with the share p_t = 1 / (number of real steps), so  dx_t = p_t dy.
        share, is_masked = ctx.saved
        dx = None
        if ctx.needs_input_gradient:
            dx = ctx.empty((dy.shape[0], share.shape[2], dy.shape[1]))
            np.multiply(np.swapaxes(share, 1, 2), dy[:, None], out=dx)
        return (dx, None) if is_masked else dx

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        def mean_of_real(_: Any, x: Array, mask: Array) -> Any:
            return (x * mask[..., None]).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)[:, None]

        return [
            microframe.Example(cls(), ((4, 2),), lambda _, x: x.mean(axis=1)),
            microframe.Example(cls(), ((4, 2), example_mask()), mean_of_real),
        ]


def _shares(ctx: microframe.Context, x: Array, is_padding: Array | None) -> Array:
    """What each step counts for, (batch, 1, time): one over the number of real steps, or 0."""
    batch, steps, _ = x.shape
    share = ctx.empty((batch, steps))
    if is_padding is None:
        share.fill(1 / steps)
    else:
        share.fill(1)
        np.copyto(share, 0, where=is_padding)
        count = np.add.reduce(share, axis=1, out=ctx.empty((batch, 1)), keepdims=True)
        np.maximum(count, 1, out=count)
        share /= count
    return share.reshape(batch, 1, steps)
