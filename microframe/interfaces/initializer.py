"""The initializer interface: what fills a parameter before training."""

from __future__ import annotations

import math
from abc import abstractmethod

from microframe.arrays import Array, Generator, Shape
from microframe.component import Component


class Initializer(Component):
    """A rule for the first values of a parameter."""

    kind = "initializer"

    def bounds(self, shape: Shape) -> tuple[float, float]:
        """The least and the greatest value that `fill` may write into an array of `shape`; infinite where none is set.

        A method, unlike the bounds of a metric or a schedule, as they may depend on the fans of the array.
        """
        return -math.inf, math.inf

    @abstractmethod
    def fill(self, out: Array, rng: Generator) -> None:
        """Write the first values into `out`, drawing from `rng` alone.

        Args:
            out: the parameter, in the network's dtype.
            rng: the run's generator for initial values.

        Raises:
            ValueError: the rule does not apply to an array of this shape.
        """


def fans(shape: Shape) -> tuple[int, int]:
    """The number of inputs and of outputs that one unit of a kernel connects: (fan in, fan out).

    A kernel is (..., inputs, outputs); the axes before the last two are a receptive field, which multiplies both.
    """
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = 1
    for extent in shape[:-2]:
        field *= extent
    return field * shape[-2], field * shape[-1]
