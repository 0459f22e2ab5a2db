"""The recurrent layer whose state is its output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

import microframe
from microframe import Array
from microframe_recurrent.cell import Activated, Cell
from microframe_recurrent.masks import example_mask
from microframe_recurrent.recurrent import Recurrent


class SimpleRNN(Recurrent):
    """h_t = f(x_t W + h_(t-1) U + b), from h_0 = 0  (Elman, 1990, Cognitive Science 14).

    Fields: those of `Recurrent`; `activation` is f.

    Parameters: ``kernel`` W, (features, units); ``recurrent_kernel`` U, (units, units); ``bias`` b, (units,).

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, units), or (batch, time, units)
    with `return_sequences`.
    """

    type = "simple_rnn"

    def _cell(self, ctx: microframe.Context, projected: Array) -> Cell:
        return _Cell(ctx, projected, self)

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        def states(parameters: Mapping[str, Array], x: Array) -> Array:
            h = np.zeros((x.shape[0], 3))
            return np.stack(
                [
                    h := np.tanh(x_t @ parameters["kernel"] + h @ parameters["recurrent_kernel"] + parameters["bias"])
                    for x_t in x.swapaxes(0, 1)
                ],
                axis=1,
            )

        return [
            microframe.Example(cls(3, return_sequences=True), ((4, 2),), states),
            microframe.Example(cls(3), ((4, 2),), lambda parameters, x: states(parameters, x)[:, -1]),
            microframe.Example(cls(3, "silu", use_bias=False, go_backwards=True), ((4, 2),)),
            microframe.Example(cls(3, return_sequences=True, go_backwards=True), ((4, 2), example_mask())),
        ]


class _Cell(Cell):
    def __init__(self, ctx: microframe.Context, projected: Array, layer: SimpleRNN) -> None:
        super().__init__(ctx, projected, layer)
        self.z = self._taken_in_turns(self._for_each_step(self.batch, self.units))
        self.outputs: list[Activated] = []

    def forward(self, step: int) -> None:
        (hidden,) = self.states
        z = hidden[step].dot(self.recurrent_kernel, self.z[step])
        z += self.projected[step]
        output = self.activation.apply(self.ctx, z)
        np.copyto(hidden[step + 1], output[1])
        self.outputs.append(output)

    def backward(self, step: int, gradients: Sequence[Array]) -> None:
        # With z_t = x_t W + h_(t-1) U + b and h_t = f(z_t):  dz_t = dh_t * f'(z_t),  dh_(t-1) = dz_t U^T.
        (d_hidden,) = gradients
        dz = self.projected[step]
        np.copyto(dz, self.activation.pull_back(self.ctx, d_hidden, *self.outputs[step]))
        dz.dot(self.transposed_kernel, d_hidden)
