"""The gated recurrent unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY

import microframe
from microframe import Activation, Array, Initializer, Part
from microframe_recurrent.cell import Cell
from microframe_recurrent.gru_cells import ResetAfter, ResetBefore
from microframe_recurrent.masks import example_mask
from microframe_recurrent.recurrent import Recurrent


class GRU(Recurrent):
    """A recurrent layer whose state is a gated mean of the state before and a candidate.

    With the sigmoid s, the activation f, elementwise products, h_0 = 0, and each gate's own W, U and b:

        update gate     z_t = s(x_t W_z + h_(t-1) U_z + b_z)
        reset gate      r_t = s(x_t W_r + h_(t-1) U_r + b_r)
        candidate       c_t = f(x_t W_c + b_c + r_t (h_(t-1) U_c + b'_c))    with `reset_after`
                        c_t = f(x_t W_c + b_c + (r_t h_(t-1)) U_c)           without
        output          h_t = z_t h_(t-1) + (1 - z_t) c_t

    (Cho et al., 2014, arXiv:1406.1078, without `reset_after`; with it the recurrent product is one for all gates, as in
    Keras, PyTorch and cuDNN.)

    Fields: those of `Recurrent`, where `activation` is f, and
        recurrent_activation: s, of the gates; default sigmoid.
        reset_after: whether the reset gate works on the recurrent product, rather than on the state; default true.

    Parameters, the gates side by side in the order z, r, c as in Keras: ``kernel`` (features, 3 * units),
    ``recurrent_kernel`` (units, 3 * units), ``bias`` (3 * units,) and, with `reset_after`, ``recurrent_bias``
    (3 * units,), which is added to the recurrent product.

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, units), or (batch, time, units)
    with `return_sequences`.
    """

    type = "gru"
    gates = 3

    _: KW_ONLY
    recurrent_activation: Part[Activation] = Part("sigmoid")
    reset_after: bool = True

    def _build_bias(self, scope: microframe.Scope, width: int, initializer: Initializer) -> None:
        super()._build_bias(scope, width, initializer)
        if self.reset_after:
            scope.parameter("recurrent_bias", (width,), initializer, decay=False)

    def _cell(self, ctx: microframe.Context, projected: Array) -> Cell:
        kind = ResetAfter if self.reset_after else ResetBefore
        return kind(ctx, projected, self)

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        return [
            microframe.Example(cls(3), ((4, 2),)),
            microframe.Example(cls(3, return_sequences=True), ((4, 2), example_mask())),
            microframe.Example(cls(3, recurrent_activation="hard_sigmoid", return_sequences=True), ((4, 2),)),
            microframe.Example(cls(3, "silu", use_bias=False, go_backwards=True), ((4, 2), example_mask())),
            microframe.Example(cls(3, reset_after=False, return_sequences=True), ((4, 2), example_mask())),
            microframe.Example(cls(3, reset_after=False, use_bias=False, go_backwards=True), ((4, 2),)),
        ]
