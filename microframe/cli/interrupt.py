"""Ctrl-C during training: stop after the current batch, so that what there is can be saved."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from microframe.interfaces.callback import Listener, Memory

if TYPE_CHECKING:
    from microframe.training import Run

REASON = "interrupted"
"""Why a run stops that Ctrl-C stopped."""


class StopOnInterrupt(Listener):
    """While entered, the first Ctrl-C makes the run stop after its current batch, and the second one at once."""

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def training_begin(self, run: Run, memory: Memory) -> None:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            run.stop(REASON)
            signal.signal(signal.SIGINT, signal.default_int_handler)

        signal.signal(signal.SIGINT, stop)
