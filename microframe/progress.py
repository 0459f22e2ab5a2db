"""What a person sees of a training run: a live display on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from microframe.history import format_value
from microframe.interfaces.callback import Listener, Memory

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress

    from microframe.training import Run

SECONDS_BETWEEN_LINES = 0.5


class Display(Listener):
    """While entered, shows epoch, loss, metrics, samples a second and the time left.

    Args:
        live: whether to redraw two lines, ten times a second, instead of printing lines, of which there are at most two
            a second; None for what stderr can show.
    """

    def __init__(self, *, live: bool | None = None) -> None:
        self._is_live = live
        self._live: Progress | None = None
        self._lines: _Lines | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def training_begin(self, run: Run, memory: Memory) -> None:
        if _can_redraw() if self._is_live is None else self._is_live:
            self._live = _live_progress(run)
            self._live.start()
        else:
            self._lines = _Lines(run)

    def epoch_end(self, run: Run, memory: Memory) -> None:
        if self._lines is not None:
            self._lines.epoch_end(run)

    def training_end(self, run: Run, memory: Memory) -> None:
        if self._lines is not None:
            self._lines.training_end(run)
        self._stop()

    def _stop(self) -> None:
        if self._live is not None:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._live.stop()


def describe(run: Run) -> str:
    """The last epoch in words: ``loss 0.12  validation accuracy 0.97``."""
    row = {name: value for name, value in run.history.last().items() if name != "learning_rate"}
    has_validation = any(name.startswith("validation_") for name in row)
    shown = {
        name: value for name, value in row.items() if name == "loss" or not has_validation or name.startswith("valid")
    }
    return "  ".join(f"{name.replace('_', ' ')} {format_value(value)}" for name, value in shown.items())


def _can_redraw() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


class _Lines:
    """Plain lines, not more often than a reader of a log wants them; always one for the last epoch."""

    def __init__(self, run: Run) -> None:
        self._start, self._first_step, self._printed = time.perf_counter(), run.step, 0.0
        self._shown = run.epoch

    def epoch_end(self, run: Run) -> None:
        is_due = not self._printed or time.perf_counter() - self._printed >= SECONDS_BETWEEN_LINES
        if is_due or run.epoch == run.settings.epochs:
            self._print(run)

    def training_end(self, run: Run) -> None:
        if run.epoch > self._shown:
            self._print(run)

    def _print(self, run: Run) -> None:
        self._printed, self._shown = time.perf_counter(), run.epoch
        done = (run.step - self._first_step) * run.batch_size
        rate = done / max(self._printed - self._start, 1e-9)
        left = (run.settings.epochs - run.epoch) * run.samples / max(rate, 1e-9)
        end = f"  {left:.0f} s left" if run.epoch < run.settings.epochs and run.stopping is None else ""
        line = f"epoch {run.epoch}/{run.settings.epochs}  {describe(run)}  {rate:,.0f} samples/s{end}"
        with contextlib.suppress(OSError):  # whoever read this may be gone, which is no reason to lose the training
            print(line, file=sys.stderr, flush=True)


def _live_progress(run: Run) -> Progress:
    """A display that looks at the run ten times a second, so that a training step pays nothing for it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    first = _samples_done(run)

    class RateColumn(ProgressColumn):
        def render(self, task: Any) -> Text:
            rate = (task.completed - first) / max(run.seconds, 1e-9)
            return Text(f"{rate:,.0f} samples/s" if rate else "", style="progress.data.speed")

    class RunProgress(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            for task in self.tasks:
                epoch = min(run.epoch + 1, run.settings.epochs)
                self.update(task.id, completed=_samples_done(run), description=f"epoch {epoch}/{run.settings.epochs}")
            yield from super().get_renderables()
            yield Text(describe(run) or (f"loss {format_value(run.loss)}" if run.step else ""))

    progress = RunProgress(
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None, table_column=Column(max_width=16)),  # all that gives way on a narrow terminal
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        RateColumn(table_column=Column(no_wrap=True)),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),  # what a callback prints into a file is to stay in there
    )
    progress.add_task("", total=run.settings.epochs * run.samples, completed=first)
    return progress


def _samples_done(run: Run) -> int:
    return run.epoch * run.samples + min(run.batch * run.batch_size, run.samples)
