"""The prediction of one row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import training
from tasks import Task, samples

CALLS = 500
REPEATS = 15


def seconds_for_call(call: Callable[[], Any]) -> float:
    """The median over `REPEATS` loops of `CALLS` calls each; the first loop is not measured."""
    clock = []
    for _ in range(REPEATS + 1):
        for _ in range(CALLS):
            call()
        clock.append(time.perf_counter())
    return training.median_interval(clock) / CALLS


def predict(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for ``model(x)``."""
    model, x = training.model(task), samples(task)[0][:1]
    return {"value": seconds_for_call(lambda: model(x)), "result": model(x)[0].tolist()}
