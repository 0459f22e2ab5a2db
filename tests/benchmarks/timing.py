"""Seconds inside one process."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

CALLS = 500
REPEATS = 15


def median_interval(clock: list[float]) -> float:
    """The median time between one entry and the next; whatever came before the first entry is not measured."""
    return statistics.median(after - before for before, after in itertools.pairwise(clock))


def seconds_for_call(call: Callable[[], Any]) -> float:
    """Seconds for one call: the median over `REPEATS` loops of `CALLS` calls, after a first that is not measured."""
    clock = []
    for _ in range(REPEATS + 1):
        for _ in range(CALLS):
            call()
        clock.append(time.perf_counter())
    return median_interval(clock) / CALLS
