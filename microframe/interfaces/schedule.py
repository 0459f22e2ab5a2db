"""The schedule interface: how the learning rate changes over training."""

from __future__ import annotations

from abc import abstractmethod

from microframe.component import Component


class Schedule(Component):
    """A factor on the learning rate, as a function of how far training has come."""

    kind = "schedule"

    @abstractmethod
    def factor(self, epoch: float, epochs: int) -> float:
        """What the learning rate is multiplied by.

        Args:
            epoch: epochs done, with the fraction of the current one: 2.5 is in the middle of the third.
            epochs: how many there are to be.
        """
