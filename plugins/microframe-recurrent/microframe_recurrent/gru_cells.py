"""The two kinds of gated recurrent unit, by what the reset gate works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

import microframe
from microframe import Array
from microframe_recurrent.cell import Activated, Cell

if TYPE_CHECKING:
    from microframe_recurrent.gru import GRU


class GatedCell(Cell):
    """What both kinds share: the gates z and r, and the new state h = z h' + (1 - z) c from the state h' before."""

    def __init__(self, ctx: microframe.Context, projected: Array, layer: GRU) -> None:
        super().__init__(ctx, projected, layer)
        self.recurrent_activation = layer.recurrent_activation
        self.by_gate = list(self._by_gate(projected))
        shape = (self.batch, self.units)
        self.gates = self._taken_in_turns(self._for_each_step(2, *shape))
        self.candidates = self._taken_in_turns(self._for_each_step(*shape))
        self.activated: list[tuple[Activated, Activated]] = []

    def _mix(self, step: int, of_gates: Activated) -> None:
        """Finish a step: the new state, from the gates and from what the candidate's activation is of."""
        (hidden,) = self.states
        of_candidate = self.activation.apply(self.ctx, self.candidates[step])
        self.activated.append((of_gates, of_candidate))
        (z, _), c, h = of_gates[1], of_candidate[1], hidden[step + 1]
        np.subtract(hidden[step], c, h)
        h *= z
        h += c

    def prepare_backward(self) -> None:
        super().prepare_backward()
        shape = (self.batch, self.units)
        self.d_gates = self.ctx.empty((2, *shape))
        self.d_candidate, self.d_product_before = (self.ctx.empty(shape) for _ in range(2))

    def _mix_backward(self, step: int, dh: Array) -> Array:
        """Write dz into ``d_gates[0]``, and into `dh` the part of dh' that passes by the candidate.

        Returns:
            The gradient of what the candidate's activation is of.
        """
        # h = z h' + (1 - z) c  gives  dz = dh (h' - c),  dc = dh (1 - z) = dh - dh z  and, for h',  dh z.
        (hidden,) = self.states
        of_gates, of_candidate = self.activated[step]
        (z, _), c, dz, dc = of_gates[1], of_candidate[1], self.d_gates[0], self.d_candidate
        np.subtract(hidden[step], c, dz)
        dz *= dh
        np.copyto(dc, dh)
        dh *= z
        dc -= dh
        return self.activation.pull_back(self.ctx, dc, *of_candidate)

    def _gates_backward(self, step: int) -> Array:
        """The gradient of what the activation of the gates is of, from ``d_gates``."""
        return self.recurrent_activation.pull_back(self.ctx, self.d_gates, *self.activated[step][0])


class ResetAfter(GatedCell):
    """The reset gate works on the recurrent product: c = f(a) with a = x W_c + b_c + r p and p = h' U_c + b'_c."""

    def __init__(self, ctx: microframe.Context, projected: Array, layer: GRU) -> None:
        super().__init__(ctx, projected, layer)
        self.product = ctx.empty(projected.shape[1:])
        self.product_by_gate = self._by_gate(self.product)
        self.products = self._taken_in_turns(self._for_each_step(self.batch, self.units))
        self.bias = ctx.parameters["recurrent_bias"] if layer.use_bias else None

    def forward(self, step: int) -> None:
        xw, product, gates = self.by_gate[step], self.product_by_gate, self.gates[step]
        a, p = self.candidates[step], self.products[step]
        self.states[0][step].dot(self.recurrent_kernel, self.product)
        if self.bias is not None:
            self.product += self.bias
        np.add(xw[:2], product[:2], gates)
        of_gates = self.recurrent_activation.apply(self.ctx, gates)
        (_, r) = of_gates[1]
        np.copyto(p, product[2])
        np.multiply(r, p, a)
        a += xw[2]
        self._mix(step, of_gates)

    def prepare_backward(self) -> None:
        super().prepare_backward()
        self.d_product = self.ctx.empty(self.projected.shape)
        self.d_product_by_gate = list(self._by_gate(self.d_product))

    def backward(self, step: int, gradients: Sequence[Array]) -> None:
        # a = x W_c + b_c + r p  gives  dr = da p  and  dp = da r.  The other gates read the sum x W + b + h' U + b', so
        # that product and projection have one gradient there;  dh' = (that of the whole product) U^T.
        (dh,) = gradients
        of_gates, _ = self.activated[step]
        _, r = of_gates[1]
        d_projected, d_product = self.by_gate[step], self.d_product_by_gate[step]
        da = self._mix_backward(step, dh)
        np.multiply(da, self.products[step], self.d_gates[1])
        np.multiply(da, r, d_product[2])
        np.copyto(d_projected[2], da)
        d_gates = self._gates_backward(step)
        np.copyto(d_projected[:2], d_gates)
        np.copyto(d_product[:2], d_gates)
        dh += self.d_product[step].dot(self.transposed_kernel, self.d_product_before)

    def fill_gradients(self, gradients: Mapping[str, Array]) -> None:
        d_product = self.d_product.reshape(-1, self.width)
        self.states_before.T.dot(d_product, gradients["recurrent_kernel"])
        if self.bias is not None:
            np.add.reduce(d_product, axis=0, out=gradients["recurrent_bias"])


class ResetBefore(GatedCell):
    """The reset gate works on the state: c = f(a) with a = x W_c + b_c + (r h') U_c."""

    def __init__(self, ctx: microframe.Context, projected: Array, layer: GRU) -> None:
        super().__init__(ctx, projected, layer)
        self.split = 2 * self.units
        self.product = ctx.empty((self.batch, self.split))
        self.product_by_gate = self._by_gate(self.product)
        self.all_reset = self._for_each_step(self.batch, self.units)
        self.reset = self._taken_in_turns(self.all_reset)

    def forward(self, step: int) -> None:
        hidden, xw, gates = self.states[0][step], self.by_gate[step], self.gates[step]
        a, rh = self.candidates[step], self.reset[step]
        np.matmul(hidden, self.recurrent_kernel[:, : self.split], out=self.product)
        np.add(xw[:2], self.product_by_gate, gates)
        of_gates = self.recurrent_activation.apply(self.ctx, gates)
        (_, r) = of_gates[1]
        np.multiply(r, hidden, rh)
        np.matmul(rh, self.recurrent_kernel[:, self.split :], out=a)
        a += xw[2]
        self._mix(step, of_gates)

    def backward(self, step: int, gradients: Sequence[Array]) -> None:
        # With q = r h', a = x W_c + b_c + q U_c  gives  dq = da U_c^T,  dr = dq h'  and, for h',  dq r;  it also gets
        # the gradient of what the gates' activation is of, times U^T of the gates.
        (dh,) = gradients
        of_gates, _ = self.activated[step]
        _, r = of_gates[1]
        d_projected, scratch = self.by_gate[step], self.d_product_before
        da = self._mix_backward(step, dh)
        np.copyto(d_projected[2], da)
        dq = da.dot(self.transposed_kernel[self.split :], scratch)
        np.multiply(dq, self.states[0][step], self.d_gates[1])
        dq *= r
        dh += dq
        np.copyto(d_projected[:2], self._gates_backward(step))
        dh += np.matmul(self.projected[step, :, : self.split], self.transposed_kernel[: self.split], out=scratch)

    def fill_gradients(self, gradients: Mapping[str, Array]) -> None:
        dz, gradient, split = self.projected.reshape(-1, self.width), gradients["recurrent_kernel"], self.split
        np.matmul(self.states_before.T, dz[:, :split], out=gradient[:, :split])
        np.matmul(self.all_reset.reshape(-1, self.units).T, dz[:, split:], out=gradient[:, split:])
