"""What a person sees of a training run: a live display on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

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
    """While entered, shows epoch, loss, metrics, samples a second and the time left."""

    def __init__(self) -> None:
        self._live: Progress | None = None
        self._pace: _Pace | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def training_begin(self, run: Run, memory: Memory) -> None:
        if sys.stderr.isatty():
            self._live = _live_progress(run)
            self._live.start()
        else:
            self._pace = _Pace(run)

    def epoch_end(self, run: Run, memory: Memory) -> None:
        if self._pace is not None:
            self._pace.line(run)

    def training_end(self, run: Run, memory: Memory) -> None:
        if self._live is not None:
            self._live.stop()


def describe(run: Run) -> str:
    """The last epoch in words: ``loss 0.12  validation accuracy 0.97``."""
    row = {name: value for name, value in run.history.last().items() if name != "learning_rate"}
    has_validation = any(name.startswith("validation_") for name in row)
    shown = {
        name: value for name, value in row.items() if name == "loss" or not has_validation or name.startswith("valid")
    }
    return "  ".join(f"{name.replace('_', ' ')} {format_value(value)}" for name, value in shown.items())


class _Pace:
    """Plain lines, not more often than a reader of a log wants them."""

    def __init__(self, run: Run) -> None:
        self._start, self._first_step, self._printed = time.perf_counter(), run.step, 0.0

    def line(self, run: Run) -> None:
        now = time.perf_counter()
        is_last = run.epoch == run.settings.epochs
        if not is_last and self._printed and now - self._printed < SECONDS_BETWEEN_LINES:
            return
        self._printed = now
        done = (run.step - self._first_step) * run.batch_size
        rate = done / max(now - self._start, 1e-9)
        left = (run.settings.epochs - run.epoch) * run.samples / max(rate, 1e-9)
        end = "" if is_last else f"  {left:.0f} s left"
        print(
            f"epoch {run.epoch}/{run.settings.epochs}  {describe(run)}  {rate:,.0f} samples/s{end}",
            file=sys.stderr,
            flush=True,
        )


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

    class ReportColumn(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(task.fields["text"], no_wrap=True, overflow="ellipsis")

    class RunProgress(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            for task in self.tasks:
                epoch = min(run.epoch + 1, run.settings.epochs)
                text = describe(run) or (f"loss {format_value(run.loss)}" if run.step else "")
                self.update(
                    task.id, completed=_samples_done(run), description=f"epoch {epoch}/{run.settings.epochs}", text=text
                )
            yield from super().get_renderables()

    progress = RunProgress(
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=16, table_column=Column(no_wrap=True)),
        TimeRemainingColumn(table_column=Column(no_wrap=True)),
        RateColumn(table_column=Column(no_wrap=True)),
        ReportColumn(),
        console=Console(stderr=True),
    )
    progress.add_task("", total=run.settings.epochs * run.samples, text="", completed=first)
    return progress


def _samples_done(run: Run) -> int:
    return run.epoch * run.samples + min(run.batch * run.batch_size, run.samples)
