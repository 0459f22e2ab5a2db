"""Schedules: factors on the learning rate that change as training goes on.

Each is 1 where the optimizer's learning rate itself applies. One that spans the whole training keeps its last value
if training goes on beyond that.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from microframe.component import Component, Example, Part
from microframe.interfaces.schedule import Schedule
from microframe.plugins import hookimpl
from microframe.values import Fraction, NonNegativeFloat, PositiveFloat, PositiveInteger

PositiveFraction = Annotated[float, msgspec.Meta(gt=0, le=1)]
OpenFraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Divisor = Annotated[float, msgspec.Meta(ge=1)]


class Constant(Schedule):
    """The same factor all the time.

    Fields:
        value: the factor, default 1.
    """

    value: NonNegativeFloat = 1.0

    def factor(self, epoch: float, epochs: int) -> float:
        return self.value

    @property
    def bounds(self) -> tuple[float, float]:
        return self.value, self.value

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), Example(cls(0.5), reference=lambda *_: 0.5)]


class Step(Schedule):
    """A drop every few epochs: multiplier^floor(epoch / every).

    Fields:
        every: how many epochs lie between two drops.
        multiplier: what a drop multiplies the rate by, above 0 and at most 1; default 0.1.
    """

    every: PositiveInteger
    multiplier: PositiveFraction = 0.1

    def factor(self, epoch: float, epochs: int) -> float:
        return math.pow(self.multiplier, epoch // self.every)

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(3, multiplier=0.5), Example(cls(2), reference=lambda epoch, _: 0.1 ** math.floor(epoch / 2))]


class Exponential(Schedule):
    """A steady fall: decay^epoch.

    Fields:
        decay: what one epoch multiplies the rate by, above 0 and at most 1.
    """

    decay: PositiveFraction

    def factor(self, epoch: float, epochs: int) -> float:
        return math.pow(self.decay, epoch)

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(0.9), reference=lambda epoch, _: 0.9**epoch)]


class Polynomial(Schedule):
    """From 1 to `end` over the whole training: end + (1 - end) (1 - epoch / epochs)^power.

    Fields:
        end: the factor at the end of training, default 0.
        power: default 1, a straight line.
    """

    end: NonNegativeFloat = 0.0
    power: PositiveFloat = 1.0

    def factor(self, epoch: float, epochs: int) -> float:
        return self.end + (1 - self.end) * math.pow(1 - _share(epoch, epochs), self.power)

    @property
    def bounds(self) -> tuple[float, float]:
        return min(self.end, 1.0), max(self.end, 1.0)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(), reference=lambda epoch, epochs: max(1 - epoch / epochs, 0)),
            cls(end=0.1, power=2.0),
            cls(end=2.0, power=0.5),
        ]


class Cosine(Schedule):
    """Half a cosine from 1 to `end`, once or with restarts  (Loshchilov & Hutter, 2016, arXiv:1608.03983).

    end + (1 - end) (1 + cos(pi s)) / 2, where s is the share of the training that is done, or of the current cycle.

    Fields:
        end: the factor at the end of training, or just before a restart; default 0.
        cycle: how many epochs pass before the first restart at 1; without it there is none.
        multiplier: how many times as long each further cycle is, default 1.
    """

    end: NonNegativeFloat = 0.0
    cycle: PositiveInteger | None = None
    multiplier: PositiveInteger = 1

    def __post_init__(self) -> None:
        if self.cycle is None and self.multiplier > 1:
            raise ValueError("a cycle where there is a multiplier")

    def factor(self, epoch: float, epochs: int) -> float:
        share = _share(epoch, epochs) if self.cycle is None else self._cycle_share(epoch, self.cycle)
        return self.end + (1 - self.end) * _half_cosine(share)

    @property
    def bounds(self) -> tuple[float, float]:
        return min(self.end, 1.0), max(self.end, 1.0)

    def _cycle_share(self, epoch: float, length: int) -> float:
        if self.multiplier == 1:
            return epoch % length / length
        while epoch >= length:
            epoch -= length
            length *= self.multiplier
        return epoch / length

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(), reference=lambda epoch, epochs: math.cos(math.pi / 2 * min(epoch / epochs, 1)) ** 2),
            Example(cls(cycle=3), reference=lambda epoch, _: math.cos(math.pi / 2 * (epoch % 3) / 3) ** 2),
            cls(end=0.01, cycle=2, multiplier=2),
        ]


class Warmup(Schedule):
    """A straight rise over the first epochs to where another schedule begins  (Goyal et al., 2017, arXiv:1706.02677).

    Fields:
        epochs: how long the rise takes.
        start: the share of the other schedule's first factor that the rise begins with; default 0, which leaves the
            parameters as they are in the very first batch.
        then: the schedule after that, constant unless given. It sees what remains of the training as a whole one.
    """

    epochs: PositiveInteger
    start: Fraction = 0.0
    then: Part[Schedule] = Part("constant")

    def factor(self, epoch: float, epochs: int) -> float:
        remaining = max(epochs - self.epochs, 1)
        if epoch >= self.epochs:
            return self.then.factor(epoch - self.epochs, remaining)
        return self.then.factor(0.0, remaining) * (self.start + (1 - self.start) * epoch / self.epochs)

    @property
    def bounds(self) -> tuple[float, float]:
        least, greatest = self.then.bounds
        return self.start * least, greatest

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(4), reference=lambda epoch, _: min(epoch / 4, 1)),
            cls(3, start=0.1, then=Cosine(end=0.5)),
        ]


class OneCycle(Schedule):
    """One rise and one long fall, each half a cosine  (Smith & Topin, 2017, arXiv:1708.07120).

    From 1 / start_divisor to 1 at the peak, then to 1 / end_divisor at the end. The learning rate of the optimizer
    is that of the peak, and may be several times as large as a constant one.

    Fields:
        peak: the share of the training after which the peak is reached, default 0.3.
        start_divisor: default 25.
        end_divisor: default 10000.
    """

    peak: OpenFraction = 0.3
    start_divisor: Divisor = 25.0
    end_divisor: Divisor = 1e4

    def factor(self, epoch: float, epochs: int) -> float:
        share = _share(epoch, epochs)
        if share < self.peak:
            end, fall = 1 / self.start_divisor, 1 - share / self.peak
        else:
            end, fall = 1 / self.end_divisor, (share - self.peak) / (1 - self.peak)
        return end + (1 - end) * _half_cosine(fall)

    @property
    def bounds(self) -> tuple[float, float]:
        return 1 / max(self.start_divisor, self.end_divisor), 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), cls(peak=0.25, start_divisor=100.0, end_divisor=10.0)]


def _share(epoch: float, epochs: int) -> float:
    return min(epoch / max(epochs, 1), 1.0)


def _half_cosine(share: float) -> float:
    """1 at 0, 0 at 1, flat at both."""
    return (1 + math.cos(math.pi * share)) / 2


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [Constant, Step, Exponential, Polynomial, Cosine, Warmup, OneCycle]
