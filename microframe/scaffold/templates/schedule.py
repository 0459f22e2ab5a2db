"""A schedule for microframe: the inverse square root of the time, after a warmup."""

from __future__ import annotations

import math

from microframe import Component, Example, Schedule, hookimpl
from microframe.values import Fraction, PositiveFloat


class PartName(Schedule):
    """A straight rise to 1 during the warmup, then a fall with the root of the epoch.

    start + (1 - start) epoch / warmup up to the epoch `warmup`, and sqrt(warmup / epoch)
    from there on, however long the training is  (Vaswani et al., 2017, arXiv:1706.03762,
    section 5.3, there in steps and from 0).

    Fields:
        warmup: how many epochs the rise takes; default 1.
        start: the factor that the rise begins with, from 0 to 1; default 0.
    """

    warmup: PositiveFloat = 1.0
    start: Fraction = 0.0

    def factor(self, epoch: float, epochs: int) -> float:
        if epoch < self.warmup:
            return self.start + (1 - self.start) * epoch / self.warmup
        return math.sqrt(self.warmup / epoch)

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls(3.0), reference=_three_epochs), Example(cls(0.5, start=0.1))]


def _three_epochs(epoch: float, _: int) -> float:
    return min(epoch, 3) / math.sqrt(3 * max(epoch, 3))


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
