"""The callback interface: what happens beside training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microframe.component import Component

if TYPE_CHECKING:
    from microframe.training import Run

Memory = dict[str, Any]
"""What a callback remembers between calls: plain JSON values and arrays, saved for an exact resume."""


class Listener:
    """Something that is told how training goes, and may act on it.

    Only methods that a subclass overrides are called, so what does not listen to batches costs a step nothing.
    """

    def training_begin(self, run: Run, memory: Memory) -> None:
        """Before the first batch; after a resume `memory` holds what it held."""

    def batch_end(self, run: Run, memory: Memory) -> None:
        """After each update; `run.epoch`, `run.batch` and `run.loss` say which and how."""

    def epoch_end(self, run: Run, memory: Memory) -> None:
        """After each epoch, when `run.history` has its row."""

    def training_end(self, run: Run, memory: Memory) -> None:
        """After the last batch, also after one that `run.stop` or an interrupt made the last."""


class Callback(Component, Listener):
    """A listener that a configuration can name.

    A callback keeps nothing on itself: what it must remember goes into `memory`, a dictionary of its own for each
    run, which is saved with a checkpoint.
    """

    kind = "callback"
