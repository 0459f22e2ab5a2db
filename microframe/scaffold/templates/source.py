"""A source of data for microframe: two moons."""

from __future__ import annotations

import numpy as np

from microframe import Component, Dataset, Example, Source, hookimpl
from microframe.values import NonNegativeFloat, NonNegativeInteger, PositiveInteger


class PartName(Source):
    """Two half circles in the plane that reach into each other, one a class.

    At evenly spaced angles a from 0 to pi, class 0 is at (cos a, sin a) and class 1 at
    (1 - cos a, 1/2 - sin a). The classes take turns, so that any stretch of rows has both.
    Inputs are (samples, 2), targets class numbers (samples,).

    Fields:
        samples: how many points there are, in both classes together; default 200.
        noise: the standard deviation of the noise on both coordinates; default 0.1.
        seed: of the noise; default 0.
    """

    samples: PositiveInteger = 200
    noise: NonNegativeFloat = 0.1
    seed: NonNegativeInteger = 0

    def load(self) -> Dataset:
        index = np.arange(self.samples)
        target = index % 2
        angle = np.pi * (index // 2) / max((self.samples - 1) // 2, 1)
        x = np.where(target == 0, np.cos(angle), 1 - np.cos(angle))
        y = np.where(target == 0, np.sin(angle), 0.5 - np.sin(angle))
        points = np.stack([x, y], axis=1)
        points += np.random.default_rng(self.seed).normal(0, self.noise, points.shape)
        return Dataset(points, target, ("x", "y"), ("moon",))

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls()), Example(cls(7, noise=0.0))]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
