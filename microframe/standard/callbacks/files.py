"""Callbacks that write files while training goes on."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microframe.component import Component
from microframe.errors import ConfigError, ModelFileError, Problem
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.standard.callbacks.monitoring import MonitoringCallback
from microframe.standard.callbacks.places import place
from microframe.values import PositiveInteger

if TYPE_CHECKING:
    from microframe.training import Run


class Checkpoint(MonitoringCallback):
    """Saves the model while it trains, each time as a complete file, from which training can also be resumed.

    A process that is killed loses what it did since the last writing, and no more: the file is always a whole one, and
    a training resumed from it, in the middle of an epoch or not, ends with the same bits as one that nothing stopped.

    Fields:
        best: the file for the model after its best epoch so far by `monitor`; None for none.
        last: the file for the model after its latest epoch, and at the end as training leaves it; None for none.
        every: how many epochs pass between two writings of `last`; default 1.
        batches: how many batches pass between two further writings of `last`, counted from the first of the training;
            None for none.
        overwrite: whether a new training may replace files that exist; default false. A resumed one always may.

    Raises:
        ConfigError: before the first epoch, if the folder of a file does not exist, or the file does; and in any case
            if what would be replaced is no model file.
    """

    best: str | None = None
    last: str | None = None
    every: PositiveInteger = 1
    overwrite: bool = False
    batches: PositiveInteger | None = None

    def __post_init__(self) -> None:
        if self.best is None and self.last is None:
            raise ValueError("a path for best, for last, or for both")
        if self.batches is not None and self.last is None:
            raise ValueError("a path for last, which is what is written every few batches")
        if self.best is not None and self.best == self.last:
            raise ValueError("two different paths for best and last")

    def training_begin(self, run: Run, memory: Memory) -> None:
        may_exist = _may_exist(run, self, memory)
        if self.best is not None:
            _check_path(run, self, "best", self.best, may_exist, _is_model, "a model file")
            super().training_begin(run, memory)
        if self.last is not None:
            _check_path(run, self, "last", self.last, may_exist, _is_model, "a model file")
        memory["begun"] = True

    def batch_end(self, run: Run, memory: Memory) -> None:
        # after the last batch of an epoch the file waits for what is measured then
        if self.last is not None and self._is_due(run) and run.batch < run.batches:
            run.save(self.last)

    def epoch_end(self, run: Run, memory: Memory) -> None:
        if self.best is not None and self.improves(run, memory):
            run.save(self.best)
        if self.last is not None and (run.epoch % self.every == 0 or self._is_due(run)):
            run.save(self.last)

    def _is_due(self, run: Run) -> bool:
        """Whether `last` is to be written for the number of batches that were done."""
        return self.batches is not None and run.step % self.batches == 0

    def training_end(self, run: Run, memory: Memory) -> None:
        if self.last is not None:
            run.save(self.last)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(best="best.h5", last="last.h5", every=2, batches=3, monitor="accuracy")]


class MetricsLog(Callback):
    """Writes the history to a file, a row after each epoch: the number of the epoch, from 1, and all columns.

    A resumed training continues the file; after a divergence it ends with the last good epoch. A metric with a
    number for each class takes a column for each, ``recall[0]`` and so on, in a CSV file, and an array in a JSON
    lines file. A value that is not finite is an empty cell, or null.

    Fields:
        path: the file, ending in ``.csv`` or ``.jsonl``.
        overwrite: whether a new training may replace a file that exists; default false.

    Raises:
        ConfigError: before the first epoch, if the folder of the file does not exist, or the file does; and in any case
            if what would be replaced is no such history.
    """

    path: str
    overwrite: bool = False

    def __post_init__(self) -> None:
        if Path(self.path).suffix not in {".csv", ".jsonl"}:
            raise ValueError("a path that ends in .csv or .jsonl")

    def training_begin(self, run: Run, memory: Memory) -> None:
        _check_path(run, self, "path", self.path, _may_exist(run, self, memory), _is_log, "a history of a training")
        memory["begun"] = True
        columns = run.history.to_dict()
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        self._write("w", "".join(self._lines(epoch, row) for epoch, row in enumerate(rows, start=1)))

    def epoch_end(self, run: Run, memory: Memory) -> None:
        self._write("a", self._lines(run.epoch, run.history.last()))

    def _write(self, mode: str, text: str) -> None:
        with Path(self.path).open(mode, encoding="utf-8", newline="") as stream:
            stream.write(text)

    def _lines(self, epoch: int, row: Mapping[str, Any]) -> str:
        """The row of an epoch; in a CSV file the first has the header above it."""
        numbered = {"epoch": epoch} | {name: _finite(value) for name, value in row.items()}
        if Path(self.path).suffix == ".jsonl":
            return json.dumps(numbered, ensure_ascii=False) + "\n"
        cells = _flat(numbered)
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        if epoch == 1:
            writer.writerow(cells)
        writer.writerow(cells.values())
        return stream.getvalue()

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls("log.csv"), cls("log.jsonl", overwrite=True)]


def _may_exist(run: Run, callback: Checkpoint | MetricsLog, memory: Memory) -> bool:
    """Whether a file of `callback` may be there already: on request, or because this very training wrote it."""
    return callback.overwrite or "begun" in memory or run.epoch > 0 or run.batch > 0


def _is_model(path: str) -> bool:
    from microframe.storage import ModelFile

    try:
        ModelFile(path, check=False).__exit__(None, None, None)
    except ModelFileError:
        return False
    return True


def _is_log(path: str) -> bool:
    """Whether a file is empty, or its first line begins with the number of an epoch or the header above it."""
    with Path(path).open("rb") as stream:
        return stream.read(8).startswith((b"epoch", b'{"epoch"')) or not Path(path).stat().st_size


def _check_path(
    run: Run,
    callback: Callback,
    field: str,
    path: str,
    may_exist: bool,
    is_own: Callable[[str], bool],
    kind: str,
) -> None:
    """Check that a file may be written; what is there already must be of the callback's own kind.

    The path may come from a model file, and so from anybody.
    """
    if not Path(path).parent.is_dir():
        raise ConfigError([Problem(place(run, callback, field), "a file in a folder that exists", repr(path))])
    if Path(path).is_dir():
        raise ConfigError([Problem(place(run, callback, field), "a file", f"{path!r}, which is a folder")])
    if Path(path).exists() and not may_exist:
        where = place(run, callback, "overwrite")
        option = f" (--set {'.'.join(map(str, where[1:]))}=true)" if where[0] == "training" else ""
        raise ConfigError([Problem(where, f"true to replace a file{option}", f"false, and {path!r} exists")])
    if Path(path).exists() and not (Path(path).is_file() and is_own(path)):
        received = f"{path!r}, which is there and is something else"
        raise ConfigError([Problem(place(run, callback, field), f"{kind} to replace, or none", received)])


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(element) for element in value]
    return None if value is None or not math.isfinite(value) else value


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """``{"recall": [0.5, 1.0]}`` -> ``{"recall[0]": 0.5, "recall[1]": 1.0}``."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, list):
            flat |= _flat({f"{name}[{index}]": element for index, element in enumerate(value)})
        else:
            flat[name] = value
    return flat
