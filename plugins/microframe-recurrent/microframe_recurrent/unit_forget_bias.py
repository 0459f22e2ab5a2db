"""The start of an LSTM that remembers."""

from __future__ import annotations

from microframe import Array, Initializer, Part
from microframe.arrays import Generator
from microframe.values import PositiveInteger


class UnitForgetBias(Initializer):
    """The first bias of an LSTM: as another initializer says, but 1 for the forget gate, which thus begins open.

    Fields:
        units: of the layer; the forget gate is the second of its four.
        others: for the other gates; default zeros.
    """

    units: PositiveInteger
    others: Part[Initializer] = Part("zeros")

    def fill(self, out: Array, rng: Generator) -> None:
        self.others.fill(out, rng)
        out[self.units : 2 * self.units] = 1
