"""The long short-term memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY

import numpy as np

import microframe
from microframe import Activation, Array, Initializer, Part
from microframe_recurrent.cell import Activated, Cell
from microframe_recurrent.masks import example_mask
from microframe_recurrent.recurrent import Recurrent
from microframe_recurrent.unit_forget_bias import UnitForgetBias


class LSTM(Recurrent):
    """A recurrent layer whose memory is kept, written and read through gates.

    With the sigmoid s, the activation f, elementwise products, h_0 = c_0 = 0, and each gate's own W, U and b:

        input gate      i_t = s(x_t W_i + h_(t-1) U_i + b_i)
        forget gate     f_t = s(x_t W_f + h_(t-1) U_f + b_f)
        candidate       g_t = f(x_t W_g + h_(t-1) U_g + b_g)
        output gate     o_t = s(x_t W_o + h_(t-1) U_o + b_o)
        memory          c_t = f_t c_(t-1) + i_t g_t
        output          h_t = o_t f(c_t)

    (Hochreiter & Schmidhuber, 1997, Neural Computation 9; the forget gate is that of Gers, Schmidhuber & Cummins, 2000,
    Neural Computation 12, and its bias of 1 that of Jozefowicz, Zaremba & Sutskever, 2015.)

    Fields: those of `Recurrent`, where `activation` is f, and
        recurrent_activation: s, of the gates; default sigmoid.
        unit_forget_bias: whether b_f is 1 at first, whatever `bias_initializer` says; default true.

    Parameters, the gates side by side in the order i, f, g, o as in Keras and PyTorch: ``kernel``
    (features, 4 * units), ``recurrent_kernel`` (units, 4 * units), ``bias`` (4 * units,).

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, units), or (batch, time, units)
    with `return_sequences`.
    """

    type = "lstm"
    gates = 4

    _: KW_ONLY
    recurrent_activation: Part[Activation] = Part("sigmoid")
    unit_forget_bias: bool = True

    def _build_bias(self, scope: microframe.Scope, width: int, initializer: Initializer) -> None:
        first = UnitForgetBias(self.units, initializer) if self.unit_forget_bias else initializer
        super()._build_bias(scope, width, first)

    def _cell(self, ctx: microframe.Context, projected: Array) -> Cell:
        return _Cell(ctx, projected, self)

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        return [
            microframe.Example(cls(3), ((4, 2),)),
            microframe.Example(cls(3, return_sequences=True), ((4, 2), example_mask())),
            microframe.Example(
                cls(3, unit_forget_bias=False, recurrent_activation="hard_sigmoid", return_sequences=True), ((4, 2),)
            ),
            microframe.Example(cls(3, "silu", use_bias=False, go_backwards=True), ((4, 2), example_mask())),
        ]


class _Cell(Cell):
    """In arrays by gate, the order is i, f, o: those that share an activation lie together."""

    def __init__(self, ctx: microframe.Context, projected: Array, layer: LSTM) -> None:
        super().__init__(ctx, projected, layer)
        self.recurrent_activation = layer.recurrent_activation
        self.states.append(self._taken_in_turns(self._state(keep=ctx.training)))
        self.product = ctx.empty(projected.shape[1:])
        self.z_by_gate = list(self._by_gate(projected))
        shape = (self.batch, self.units)
        self.gates = self._taken_in_turns(self._for_each_step(3, *shape))
        self.candidates, self.squashed = (self._taken_in_turns(self._for_each_step(*shape)) for _ in range(2))
        self.written = ctx.empty(shape)
        self.activated: list[tuple[Activated, Activated, Activated]] = []

    def forward(self, step: int) -> None:
        hidden, memory = self.states
        gates, candidate, squashed = self.gates[step], self.candidates[step], self.squashed[step]
        z = self.z_by_gate[step]
        self.projected[step] += hidden[step].dot(self.recurrent_kernel, self.product)
        np.copyto(gates[:2], z[:2])
        np.copyto(candidate, z[2])
        np.copyto(gates[2], z[3])
        of_gates = self.recurrent_activation.apply(self.ctx, gates)
        of_candidate = self.activation.apply(self.ctx, candidate)
        i, f, o = of_gates[1]
        np.multiply(f, memory[step], memory[step + 1])
        memory[step + 1] += np.multiply(i, of_candidate[1], self.written)
        np.copyto(squashed, memory[step + 1])
        of_memory = self.activation.apply(self.ctx, squashed)
        np.multiply(o, of_memory[1], hidden[step + 1])
        self.activated.append((of_gates, of_candidate, of_memory))

    def prepare_backward(self) -> None:
        super().prepare_backward()
        self.d_gates = self.ctx.empty((3, self.batch, self.units))
        self.d_candidate, self.d_squashed = (self.ctx.empty((self.batch, self.units)) for _ in range(2))

    def backward(self, step: int, gradients: Sequence[Array]) -> None:
        # h = o m with m = f(c) gives  do = dh m  and  dm = dh o; the memory also has dc from the step after it, so
        #   dc += dm * f'(c).  Then  c = f c' + i g  gives  di = dc g,  df = dc c',  dg = dc i  and  dc' = dc f,
        # the activations lead from these to dz, and z = x W + h' U + b gives  dh' = dz U^T.
        d_hidden, d_memory = gradients
        of_gates, of_candidate, of_memory = self.activated[step]
        i, f, o = of_gates[1]
        d_gates = self.d_gates
        np.multiply(d_hidden, of_memory[1], d_gates[2])
        np.multiply(d_hidden, o, self.d_squashed)
        d_memory += self.activation.pull_back(self.ctx, self.d_squashed, *of_memory)
        np.multiply(d_memory, of_candidate[1], d_gates[0])
        np.multiply(d_memory, self.states[1][step], d_gates[1])
        np.multiply(d_memory, i, self.d_candidate)
        d_memory *= f
        dz = self.z_by_gate[step]
        dz_gates = self.recurrent_activation.pull_back(self.ctx, d_gates, *of_gates)
        np.copyto(dz[:2], dz_gates[:2])
        np.copyto(dz[2], self.activation.pull_back(self.ctx, self.d_candidate, *of_candidate))
        np.copyto(dz[3], dz_gates[2])
        self.projected[step].dot(self.transposed_kernel, d_hidden)
