"""Schedules."""

from __future__ import annotations

import itertools
import math
from typing import ClassVar

import numpy as np

from microframe import Example, Schedule
from planted_bugs.planting import caught_by, correct

_CALLS = itertools.count()


@caught_by("within_bounds")
class BelowZero(Schedule):
    """A straight fall by a tenth each epoch, which goes on below zero."""

    def factor(self, epoch, epochs):
        return 1 - 0.1 * epoch


@caught_by("keeps_nothing")
class CountsOnTheClass(Schedule):
    """1 / sqrt(calls), which counts its calls on the class."""

    calls: ClassVar[list[int]] = [0]

    def factor(self, epoch, epochs):
        self.calls[0] += 1
        return 1 / math.sqrt(self.calls[0])


@caught_by("deterministic")
class CountsBesideItself(Schedule):
    """1 / (1 + calls), which counts its calls beside the class."""

    def factor(self, epoch, epochs):
        return 1 / (1 + next(_CALLS))


@caught_by("any_epoch")
class SingleEpoch(Schedule):
    """A fall from 1 at the first epoch to 0 at the last, which divides by zero where the first is the last."""

    def factor(self, epoch, epochs):
        return max(1 - epoch / (epochs - 1), 0.0)


@caught_by("any_epoch")
class OutOfItsTable(Schedule):
    """Factors in a table, one an epoch, which ends before training may."""

    factors: tuple[float, ...] = (1.0, 0.5, 0.25)

    def factor(self, epoch, epochs):
        return self.factors[int(epoch)]


@caught_by("finite_and_float")
class NumberOfNumPy(Schedule):
    """0.9^epoch as an array of one element."""

    def factor(self, epoch, epochs):
        return np.power([0.9], epoch)


@caught_by("reference")
class DegreesForRadians(Schedule):
    """Half a cosine from 1 to 0 by its reference, with an angle of a whole turn in fact."""

    def factor(self, epoch, epochs):
        return (1 + math.cos(2 * math.pi * min(epoch / max(epochs, 1), 1))) / 2

    @classmethod
    def examples(cls):
        def reference(epoch, epochs):
            return (1 + math.cos(math.pi * epoch / epochs)) / 2

        return [Example(cls(), reference=reference)]


@correct
class Triangles(Schedule):
    """Up to 1 and down to 0 again every few epochs, for however long training goes on."""

    period: float = 4.0

    @property
    def bounds(self):
        return 0.0, 1.0

    def factor(self, epoch, epochs):
        share = epoch / self.period % 1
        return 2 * min(share, 1 - share)


@correct
class InverseRoot(Schedule):
    """A rise over the first epoch, then 1 / sqrt(epoch); larger than 1 nowhere, and it ignores how many there are."""

    def factor(self, epoch, epochs):
        return min(epoch, 1 / math.sqrt(epoch)) if epoch else 0.0

    @classmethod
    def examples(cls):
        return [Example(cls(), reference=lambda epoch, epochs: min(epoch, max(epoch, 1e-9) ** -0.5))]
