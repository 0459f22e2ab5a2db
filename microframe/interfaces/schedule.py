"""The schedule interface: how the learning rate changes over training."""

from __future__ import annotations

import math
from abc import abstractmethod

from microframe.component import Component


class Schedule(Component):
    """A factor on the learning rate, as a function of how far training has come."""

    kind = "schedule"

    @property
    def bounds(self) -> tuple[float, float]:
        """The least factor that there can be, at least 0, and the greatest; infinite where the schedule sets none."""
        return 0.0, math.inf

    @abstractmethod
    def factor(self, epoch: float, epochs: int) -> float:
        """What the learning rate is multiplied by.

        Args:
            epoch: epochs done, with the fraction of the current one: 2.5 is in the middle of the third.
            epochs: how many there are to be, at least 1. An epoch beyond them gives a factor all the same.
        """
