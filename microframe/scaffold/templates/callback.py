"""A callback for microframe: an end to training when the loss leaps up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microframe import Callback, Component, Example, hookimpl
from microframe.interfaces.callback import Memory
from microframe.values import PositiveFloat, PositiveInteger, ProperFraction

if TYPE_CHECKING:
    from microframe.training import Run


class PartName(Callback):
    """Ends training with a batch whose loss is far above that of the batches before it.

    What it is compared with is a mean of all losses so far in which one that is n batches
    old has the weight decay^n; for losses that are never negative.

    Fields:
        factor: how many times that mean a loss may be; default 10.
        decay: how fast old losses are forgotten; default 0.95.
        patience: after how many batches the comparison begins; default 20.
    """

    factor: PositiveFloat = 10.0
    decay: ProperFraction = 0.95
    patience: PositiveInteger = 20

    # `memory` is saved with a checkpoint, so that an interrupted training goes on as if it
    # had never stopped. It holds the weighted sum of the losses and the sum of the weights.

    def training_begin(self, run: Run, memory: Memory) -> None:
        memory.setdefault("batches", 0)
        memory.setdefault("sum", 0.0)
        memory.setdefault("weight", 0.0)

    def batch_end(self, run: Run, memory: Memory) -> None:
        limit = self.factor * memory["sum"] / max(memory["weight"], 1.0)
        if memory["batches"] >= self.patience and run.loss > limit:
            run.stop(f"the loss of a batch, {run.loss:.3g}, is above {limit:.3g}")
        memory["batches"] += 1
        memory["sum"] = self.decay * memory["sum"] + run.loss
        memory["weight"] = self.decay * memory["weight"] + 1

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls()), Example(cls(2.0, patience=1))]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
