"""Ctrl-C and its like during training: stop after the current batch, so that what there is can be saved."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from microframe.interfaces.callback import Listener, Memory

if TYPE_CHECKING:
    from microframe.training import Run

REASON = "interrupted"
"""Why a run stops that a signal stopped."""

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, the request to end, and the terminal's end, which not every system tells of."""


class StopOnInterrupt(Listener):
    """While entered, the first signal to end makes the run stop after its current batch.

    Ctrl-C after that ends it at once; the other signals don't, as systems send them more than once. A signal that is
    ignored, as nohup arranges, stays so.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        self._before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def training_begin(self, run: Run, memory: Memory) -> None:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            run.stop(REASON)
            if signal.SIGINT in self._before:
                signal.signal(signal.SIGINT, signal.default_int_handler)

        for number in self._before:
            signal.signal(number, stop)
