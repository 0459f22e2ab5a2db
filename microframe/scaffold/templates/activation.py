"""An activation for microframe: the squareplus function."""

from __future__ import annotations

import math

import numpy as np

from microframe import Activation, Component, Example, hookimpl
from microframe.arrays import Array
from microframe.values import PositiveFloat


class PartName(Activation):
    """(x + sqrt(x^2 + b)) / 2, a smooth max(0, x)  (Barron, 2021, arXiv:2112.11687).

    Fields:
        b: how round the corner is: the value at 0 is sqrt(b) / 2. By default 4, with which
            the second derivative there is that of softplus.
    """

    b: PositiveFloat = 4.0

    def forward(self, x: Array, out: Array) -> None:
        # For x < 0 the formula subtracts two nearly equal numbers. Multiplied above and below
        # by sqrt(x^2 + b) + |x|, it is b / 2 / (sqrt(x^2 + b) + |x|), and x more for x > 0.
        tail = np.hypot(x, math.sqrt(self.b))
        tail += np.abs(x)
        np.divide(self.b / 2, tail, out=tail)
        np.maximum(x, 0, out=out)
        out += tail

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        # (2 y - x)^2 = x^2 + b, so that x = y - b / (4 y) and 1 / y' = 1 + b / (4 y^2).
        # The derivative follows from y alone, so `needs_input` stays False.
        slope = np.square(y)
        slope /= slope + self.b / 4
        np.multiply(dy, slope, out=out)

    @classmethod
    def examples(cls) -> list[Example]:
        return [
            Example(cls(), reference=lambda x: (x + np.sqrt(x**2 + 4)) / 2),
            Example(cls(0.1), reference=lambda x: (x + np.sqrt(x**2 + 0.1)) / 2),
        ]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
