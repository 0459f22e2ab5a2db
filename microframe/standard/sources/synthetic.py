"""Made-up data, drawn from a generator of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from microframe.arrays import Array
from microframe.component import Component
from microframe.interfaces import Dataset, Source
from microframe.values import NonNegativeFloat, NonNegativeInteger, PositiveInteger

LegacySeed = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class Line(Source):
    """Points on a line, y = slope * x + intercept + N(0, noise), at evenly spaced x. Inputs are (samples, 1).

    Fields:
        samples: how many points there are.
        start, stop: the first and the last x.
        slope, intercept: the line.
        noise: the standard deviation of the noise.
        seed: of the noise.
    """

    samples: PositiveInteger = 100
    start: float = 0.0
    stop: float = 1.0
    slope: float = 2.0
    intercept: float = 1.0
    noise: NonNegativeFloat = 0.0
    seed: NonNegativeInteger = 0

    def __post_init__(self) -> None:
        _check_order(self.start, self.stop)

    def load(self) -> Dataset:
        x = np.linspace(self.start, self.stop, self.samples)
        return _curve(x, self.slope * x + self.intercept, self.noise, self.seed)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(samples=5, start=-1.0, stop=2.0, slope=-1.0, noise=0.5, seed=3)]


class Kink(Source):
    """Points on two half-lines that one line cannot fit, at evenly spaced x. Inputs are (samples, 1).

    y = slope * x + intercept + bend * max(x - at, 0) + N(0, noise)

    Fields:
        samples: how many points there are.
        start, stop: the first and the last x.
        slope, intercept: the line left of the kink.
        bend: how much steeper it is on the right.
        at: the x of the kink.
        noise: the standard deviation of the noise.
        seed: of the noise.
    """

    samples: PositiveInteger = 100
    start: float = -5.0
    stop: float = 5.0
    slope: float = 0.2
    intercept: float = -2.0
    bend: float = 2.0
    at: float = 0.0
    noise: NonNegativeFloat = 0.5
    seed: NonNegativeInteger = 0

    def __post_init__(self) -> None:
        _check_order(self.start, self.stop)

    def load(self) -> Dataset:
        x = np.linspace(self.start, self.stop, self.samples)
        y = self.slope * x + self.intercept + self.bend * np.maximum(x - self.at, 0)
        return _curve(x, y, self.noise, self.seed)


class BitInversion(Source):
    """Rows of fair bits; the target of each bit is its opposite.

    The bits are those of a well-known exercise: NumPy's legacy generator draws two matrices of first weights,
    (bits, bits) from N(0, 0.1), and then the rows. Here the matrices are drawn and dropped.

    Fields:
        samples: how many rows there are.
        bits: how many bits are in a row.
        seed: of the legacy generator.
    """

    samples: PositiveInteger = 300
    bits: PositiveInteger = 10
    seed: LegacySeed = 0

    def load(self) -> Dataset:
        rng = np.random.RandomState(self.seed)
        rng.normal(0, 0.1, (2, self.bits, self.bits))
        bits = rng.binomial(1, 0.5, (self.samples, self.bits)).astype(np.float64)
        return Dataset(bits, 1 - bits)


class Spirals(Source):
    """Spirals in the plane that wind about each other, one a class: points that no straight line can separate.

    Class c of n at distance r from the middle, 0 < r <= 1, lies at the angle 2 pi (turns * r + c / n). Inputs are
    (samples, 2), targets class numbers; the classes take turns, so that each has its share of any stretch.

    Fields:
        samples: how many points there are, in all classes together.
        classes: how many spirals there are.
        turns: how often each winds about the middle.
        noise: the standard deviation of the noise on both coordinates.
        seed: of the noise.
    """

    samples: PositiveInteger = 300
    classes: Annotated[int, msgspec.Meta(ge=2)] = 2
    turns: float = 1.0
    noise: NonNegativeFloat = 0.02
    seed: NonNegativeInteger = 0

    def load(self) -> Dataset:
        index = np.arange(self.samples)
        target = index % self.classes
        radius = (index // self.classes + 1) / -(-self.samples // self.classes)
        angle = 2 * np.pi * (self.turns * radius + target / self.classes)
        points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        points += np.random.default_rng(self.seed).normal(0, self.noise, points.shape)
        return Dataset(points, target, ("x", "y"), ("spiral",))

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(samples=10, classes=3, turns=0.5)]


def _curve(x: Array, y: Array, noise: float, seed: int) -> Dataset:
    y = y + np.random.default_rng(seed).normal(0, noise, y.shape)
    return Dataset(x[:, None], y, ("x",), ("y",))


def _check_order(start: float, stop: float) -> None:
    if not start < stop:
        raise ValueError("start < stop")
