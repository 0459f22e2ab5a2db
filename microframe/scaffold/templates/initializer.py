"""An initializer for microframe: normal values for layers that end in a leaky relu."""

from __future__ import annotations

import math

from microframe import Component, Example, Initializer, hookimpl
from microframe.arrays import Array, Generator
from microframe.interfaces.initializer import fans
from microframe.values import Fraction


class PartName(Initializer):
    """Normal with mean 0 and variance 2 / ((1 + slope^2) fan in).

    A leaky relu of that slope leaves (1 + slope^2) / 2 of the mean square of what it is
    applied to; this makes up for it, so that the mean square stays the same from layer to
    layer  (He et al., 2015, arXiv:1502.01852, equation 15).

    Fields:
        slope: of the leaky relu for negative inputs, from 0 to 1; default 0.01.
    """

    slope: Fraction = 0.01

    def fill(self, out: Array, rng: Generator) -> None:
        inputs, _ = fans(out.shape)
        deviation = math.sqrt(2 / ((1 + self.slope**2) * max(inputs, 1)))
        out[...] = rng.normal(0, deviation, out.shape)

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls()), Example(cls(0.5))]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
