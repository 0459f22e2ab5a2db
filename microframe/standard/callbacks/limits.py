"""A limit on how long training takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microframe.component import Component
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.values import PositiveFloat

if TYPE_CHECKING:
    from microframe.training import Run


class TimeLimit(Callback):
    """Ends training with the batch at which the time is up; a resumed training has the whole time again.

    Fields:
        seconds: how long training may take, evaluation after each epoch included.
    """

    seconds: PositiveFloat

    def batch_end(self, run: Run, memory: Memory) -> None:
        if run.seconds >= self.seconds:
            run.stop(f"the time limit of {self.seconds:g} seconds is up")

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(3600.0)]
