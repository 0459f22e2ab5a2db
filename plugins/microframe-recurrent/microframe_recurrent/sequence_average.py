"""One value for a whole sequence: the mean of its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import microframe
from microframe_recurrent.arrays import Array, Shape
from microframe_recurrent.masks import check_mask, example_mask, find_padding


class SequenceAverage(microframe.Layer):
    """The mean over time, with a mask (the second input) that over the real steps alone; 0 where there are none.

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, features).
    """

    def build(self, scope: microframe.Scope, input_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        if len(input_shape) != 2:
            raise ValueError("an input of shape (time, features)")
        check_mask(mask_shape, input_shape[0])
        return input_shape[1:]

    def forward(self, ctx: microframe.Context, x: Array, mask: Array | None = None) -> Array:
        share = _shares(ctx, x, mask)
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


def _shares(ctx: microframe.Context, x: Array, mask: Array | None) -> Array:
    """What each step counts for, (batch, 1, time): one over the number of real steps, or 0."""
    batch, steps, _ = x.shape
    share = ctx.empty((batch, steps))
    if mask is None:
        share.fill(1 / max(steps, 1))
    else:
        share.fill(1)
        np.copyto(share, 0, where=find_padding(ctx, mask))
        count = np.add.reduce(share, axis=1, out=ctx.empty((batch, 1)), keepdims=True)
        np.maximum(count, 1, out=count)
        share /= count
    return share.reshape(batch, 1, steps)
