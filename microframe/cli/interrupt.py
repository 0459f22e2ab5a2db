"""Ctrl-C during training: stop after the current batch, so that what there is can be saved."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from microframe.interfaces import Callback

if TYPE_CHECKING:
    from microframe.interfaces.callback import Memory
    from microframe.training import Run


class StopOnInterrupt(Callback):
    """Makes the first Ctrl-C stop the run after its current batch, and the second one at once."""

    def training_begin(self, run: Run, memory: Memory) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            del number, frame
            run.stop("interrupted")
            signal.signal(signal.SIGINT, signal.default_int_handler)

        signal.signal(signal.SIGINT, stop)


@contextmanager
def interrupts_restored() -> Iterator[None]:
    """Put back afterwards what happened on Ctrl-C before."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
