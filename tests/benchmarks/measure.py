"""Contenders in turns, each in a fresh process, and what their measurements say."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
TOLERANCE = 1e-3
"""How far results of the same arithmetic may differ, relative to their size."""


@dataclass(frozen=True)
class Contender:
    """One way to do what a row measures.

    Attributes:
        name: what tables call it.
        call: ``"module:function"`` for `worker`; the function takes a task and the number of threads.
        needs: the modules that have to be installed.
    """

    name: str
    call: str
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """The modules that aren't installed."""
        return [module for module in self.needs if importlib.util.find_spec(module) is None]


@dataclass(frozen=True)
class Target:
    """The most that the first contender's value may be, by itself or compared with another contender's."""

    at_most: float
    kind: Literal["value", "ratio", "difference"] = "value"
    against: str = ""


@dataclass(frozen=True)
class Row:
    """What is measured.

    Attributes:
        name: what ``--only`` takes.
        title: what one value is of.
        contenders: the first is the one that the targets are for.
        targets: any number.
        task: the name of what is computed; see `tasks`.
        steps: how many training steps a value covers, for a row of training.
        unit: of the values.
    """

    name: str
    title: str
    contenders: tuple[Contender, ...]
    targets: tuple[Target, ...]
    task: str = ""
    steps: int | None = None
    unit: Literal["seconds", "arrays"] = "seconds"


@dataclass
class Measurements:
    """What a row's processes gave, one result a round, and why a contender has none."""

    row: Row
    results: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def values(self, name: str) -> list[float]:
        return [result["value"] for result in self.results[name]]

    def compared(self, name: str, kind: str) -> list[float]:
        """For each round, the first contender's value over that of another, or less that of another."""
        first = self.row.contenders[0].name
        if first not in self.results:
            return []
        pairs = zip(self.values(first), self.values(name), strict=True)
        return [a / b if kind == "ratio" else a - b for a, b in pairs]

    def outcome(self, target: Target) -> tuple[float, bool] | None:
        """What is held against a target, and whether it was met; None where a contender has no value."""
        first = self.row.contenders[0].name
        if first not in self.results or (target.against and target.against not in self.results):
            return None
        values = self.compared(target.against, target.kind) if target.against else self.values(first)
        has_failed = any(result.get("failed") for result in self.results[first])
        median = statistics.median(values)
        return median, median <= target.at_most and not has_failed

    def agrees(self, name: str) -> bool | None:
        """Whether a contender computed what the first did; None where there is nothing to compare."""
        first = self.results.get(self.row.contenders[0].name, [{}])[0].get("result")
        other = self.results[name][0].get("result")
        if first is None or other is None:
            return None
        return len(first) == len(other) and all(
            math.isclose(a, b, rel_tol=TOLERANCE) for a, b in zip(first, other, strict=True)
        )


def measure(row: Row, rounds: int, threads: int, report: Callable[[str], None]) -> Measurements:
    """Run each contender of `row` once a round; what is counted and not timed needs one round only."""
    rounds = rounds if row.unit == "seconds" else 1
    measurements = Measurements(row)
    for contender in row.contenders:
        if contender.missing:
            measurements.skipped[contender.name] = f"{' and '.join(contender.missing)} not installed"
    for number in range(1, rounds + 1):
        for contender in row.contenders:
            if contender.name in measurements.skipped:
                continue
            report(f"{row.name}: round {number} of {rounds}, {contender.name}")
            try:
                result = _run(contender, row.task, threads)
            except subprocess.CalledProcessError as error:
                measurements.skipped[contender.name] = _last_line(error.stderr)
                measurements.results.pop(contender.name, None)
            else:
                measurements.results.setdefault(contender.name, []).append(result)
    return measurements


def _run(contender: Contender, task: str, threads: int) -> dict[str, Any]:
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    command = [sys.executable, str(FOLDER / "worker.py"), contender.call, task, str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _last_line(text: str) -> str:
    return f"failed: {text.strip().splitlines()[-1]}" if text.strip() else "failed"
