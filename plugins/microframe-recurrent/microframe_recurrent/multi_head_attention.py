"""Attention: every step of a sequence reads from all steps what it looks for."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import Any

import numpy as np

import microframe
from microframe import Array, Initializer, Part, Shape
from microframe.values import PositiveInteger
from microframe_recurrent.masks import example_mask, find_padding, without_padding
from microframe_recurrent.shapes import check_shapes

_INPUTS = ("query", "key", "value")
"""What the input is projected to."""


class MultiHeadAttention(microframe.Layer):
    """Self-attention: each step becomes a mean of all steps' values, weighted by how its query fits their keys.

    With Q = x W_q + b_q, K = x W_k + b_k and V = x W_v + b_v, (time, units), of which each head h takes its share of
    d = units / heads columns:

        A_h = softmax over keys of Q_h K_h^T / sqrt(d),   y = [A_1 V_1, ..., A_heads V_heads] W_o + b_o

    (Vaswani et al., 2017, arXiv:1706.03762). With a mask, the second input, no step reads from one that is padding; x
    counts as 0 there, and the output means nothing. A step that may read from none gets the output of V = 0: b_o.

    Fields:
        heads: how many.
        units: the width of queries, keys and values over all heads, a multiple of `heads`; that of the input unless
            given.
        causal: whether a step reads from itself and those before it alone; default false.
        use_bias: whether the b are there; default true.
        kernel_initializer: for each W; default glorot_uniform.
        bias_initializer: for each b; default zeros. Weight decay leaves biases out.

    Parameters: ``query_kernel``, ``key_kernel``, ``value_kernel``, each (features, units), ``output_kernel``,
    (units, features), and ``query_bias`` and so on.

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, time, features).
    """

    heads: PositiveInteger
    _: KW_ONLY
    units: PositiveInteger | None = None
    causal: bool = False
    use_bias: bool = True
    kernel_initializer: Part[Initializer] = Part("glorot_uniform")
    bias_initializer: Part[Initializer] = Part("zeros")

    def build(self, scope: microframe.Scope, input_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        check_shapes(input_shape, mask_shape)
        features = input_shape[1]
        units = self.units or features
        if units % self.heads:
            what = "units" if self.units else "features, or units,"
            raise ValueError(f"{what} that can be divided among {self.heads} heads, not {units}")
        shapes = dict.fromkeys(_INPUTS, (features, units)) | {"output": (units, features)}
        for name, shape in shapes.items():
            scope.parameter(f"{name}_kernel", shape, self.kernel_initializer)
            if self.use_bias:
                scope.parameter(f"{name}_bias", shape[1:], self.bias_initializer, decay=False)
        return input_shape

    def forward(self, ctx: microframe.Context, x: Array, mask: Array | None = None) -> Array:
        is_padding = None if mask is None else find_padding(ctx, mask)
        rows = _rows(ctx, x if is_padding is None else without_padding(ctx, x, is_padding))
        projected = [self._project(ctx, name, rows) for name in _INPUTS]
        projected[0] *= self._scale(projected[0])
        query, key, value = (self._by_head(each, x.shape) for each in projected)
        attention = self._attention(ctx, query, key, is_padding)
        heads = ctx.empty(projected[0].shape)
        np.matmul(attention, value, out=self._by_head(heads, x.shape))
        ctx.save(rows, query, key, value, attention, heads, is_padding)
        return self._project(ctx, "output", heads).reshape(x.shape)

    def backward(self, ctx: microframe.Context, dy: Array) -> Array | tuple[Array | None, None] | None:
        # With Q already divided by sqrt(d), S = Q K^T, A = softmax(S) and H = A V within each head,
        #   dA = dH V^T,   dV = A^T dH,   dQ = dS K,   dK = dS^T Q,
        # and from the derivative A_i (1[i = j] - A_j) of softmax along each row
        #   dS = A * (dA - sum over keys of dA * A),
        # which is 0 where A is, as at masked keys. The projections give dx = dQ W_q^T + dK W_k^T + dV W_v^T.
        x, query, key, value, attention, heads, is_padding = ctx.saved
        dh = ctx.empty(heads.shape)
        self._project_backward(ctx, "output", heads, _rows(ctx, dy), dh)
        dh = self._by_head(dh, dy.shape)
        gradients = [ctx.empty(heads.shape) for _ in _INPUTS]
        d_query, d_key, d_value = (self._by_head(each, dy.shape) for each in gradients)
        np.matmul(attention.swapaxes(2, 3), dh, out=d_value)
        d_scores = _softmax_backward(
            ctx, np.matmul(dh, value.swapaxes(2, 3), out=ctx.empty(attention.shape)), attention
        )
        np.matmul(d_scores, key, out=d_query)
        np.matmul(d_scores.swapaxes(2, 3), query, out=d_key)
        gradients[0] *= self._scale(heads)
        dx = self._inputs_backward(ctx, x, gradients)
        if dx is not None:
            dx = dx.reshape(dy.shape)
            if is_padding is not None:
                np.copyto(dx, 0, where=is_padding[..., None])
        return dx if is_padding is None else (dx, None)

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        def one_head(parameters: Mapping[str, Array], x: Array) -> Any:
            query, key, value = (x @ parameters[f"{name}_kernel"] for name in _INPUTS)
            scores = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(query.shape[2]))
            return scores / scores.sum(axis=2, keepdims=True) @ value @ parameters["output_kernel"]

        return [
            microframe.Example(cls(1, units=3, use_bias=False), ((4, 2),), one_head),
            microframe.Example(cls(2), ((4, 6), example_mask())),
            microframe.Example(cls(2, units=4, causal=True), ((4, 3),)),
            microframe.Example(cls(3, causal=True), ((4, 3), example_mask())),
        ]

    def _scale(self, query: Array) -> float:
        """1 / sqrt(d), for `query` of shape (rows, units)."""
        return 1 / math.sqrt(query.shape[1] // self.heads)

    def _by_head(self, x: Array, shape: Shape) -> Array:
        """(batch * time, units) as (batch, heads, time, d), a view; `shape` begins with (batch, time)."""
        return x.reshape(*shape[:2], self.heads, x.shape[1] // self.heads).swapaxes(1, 2)

    def _project(self, ctx: microframe.Context, name: str, x: Array) -> Array:
        """x W + b, (batch * time, outputs)."""
        kernel = ctx.parameters[f"{name}_kernel"]
        y = x.dot(kernel, ctx.empty((x.shape[0], kernel.shape[1])))
        if self.use_bias:
            y += ctx.parameters[f"{name}_bias"]
        return y

    def _project_backward(self, ctx: microframe.Context, name: str, x: Array, dy: Array, dx: Array | None) -> None:
        """Fill the gradients of W and b, dW = x^T dy and db = sum dy, and, where it is wanted, dx = dy W^T."""
        x.T.dot(dy, ctx.gradients[f"{name}_kernel"])
        if self.use_bias:
            np.add.reduce(dy, axis=0, out=ctx.gradients[f"{name}_bias"])
        if dx is not None:
            dy.dot(ctx.parameters[f"{name}_kernel"].T, dx)

    def _inputs_backward(self, ctx: microframe.Context, x: Array, gradients: list[Array]) -> Array | None:
        """Through the projections to query, key and value to x, (batch * time, features), where that is wanted."""
        total = None
        for name, gradient in zip(_INPUTS, gradients, strict=True):
            dx = ctx.empty(x.shape) if ctx.needs_input_gradient else None
            self._project_backward(ctx, name, x, gradient, dx)
            total = dx if total is None or dx is None else np.add(total, dx, out=total)
        return total

    def _attention(self, ctx: microframe.Context, query: Array, key: Array, is_padding: Array | None) -> Array:
        """The weights by which each step reads from each, (batch, heads, time, time)."""
        scores = np.matmul(query, key.swapaxes(2, 3), out=ctx.empty((*query.shape[:3], key.shape[2])))
        if self.causal:
            np.copyto(scores, -np.inf, where=later(key.shape[2]))
        if is_padding is not None:
            np.copyto(scores, -np.inf, where=is_padding[:, None, None])
        return _softmax(ctx, scores)


@functools.lru_cache(maxsize=16)
def later(steps: int) -> Array:
    """Whether a step, the second axis, comes after another, the first: bool, (steps, steps); read-only."""
    table = np.triu(np.ones((steps, steps), np.bool_), 1)
    table.flags.writeable = False
    return table


def _rows(ctx: microframe.Context, x: Array) -> Array:
    """(batch, time, features) as (batch * time, features), of which a copy is made where it is not in one piece."""
    if not x.flags.c_contiguous:
        x, scattered = ctx.empty(x.shape), x
        np.copyto(x, scattered)
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def _softmax(ctx: microframe.Context, scores: Array) -> Array:
    """The softmax of each row, in place; 0 for scores of -inf, also where a row has no others."""
    # The maximum cancels, and without it every exponent is at most 0. A finite one keeps -inf - (-inf) from being NaN.
    row = ctx.empty((*scores.shape[:-1], 1))
    limits = np.finfo(scores.dtype)
    np.maximum.reduce(scores, axis=-1, out=row, keepdims=True, initial=limits.min)
    scores -= row
    np.exp(scores, scores)
    np.add.reduce(scores, axis=-1, out=row, keepdims=True)
    np.maximum(row, limits.tiny, out=row)
    scores /= row
    return scores


def _softmax_backward(ctx: microframe.Context, dy: Array, y: Array) -> Array:
    """The gradient with respect to the scores, in the place of `dy`."""
    weighted = np.multiply(dy, y, out=ctx.empty(dy.shape))
    dy -= np.add.reduce(weighted, axis=-1, out=ctx.empty((*dy.shape[:-1], 1)), keepdims=True)
    dy *= y
    return dy
