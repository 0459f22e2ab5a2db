"""What a training step allocates."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import training
from tasks import Task

import microframe
from microframe.testing.allocations import LARGEST_NUMBER, recorded_allocations


def train(task: Task, threads: int) -> dict[str, Any]:
    """Arrays that the costliest step of an epoch allocates, the first left out, however soon they are let go."""
    held: list[int] = []
    steps = range(2, task.rows // task.batch_size + 1)
    counted: list[list[int]] = []

    class Count(microframe.Callback):
        def batch_end(self, run: Any, memory: dict[str, Any]) -> None:
            if run.step in {steps[0] - 1, steps[-1]}:
                held.append(_held())
            counted.append(sizes.copy())
            sizes.clear()

    tracemalloc.start()
    with recorded_allocations() as sizes:
        training.fit(task, Count(), epochs=1)
    arrays = [[size for size in sizes if size > LARGEST_NUMBER] for sizes in counted[1:]]
    numbers = max(len(sizes) for sizes in counted[1:]) - max(len(sizes) for sizes in arrays)
    return {
        "peak_memory": None,
        "value": max(len(sizes) for sizes in arrays),
        "finding": f"{max(sum(sizes) for sizes in arrays)} bytes in arrays; {numbers} single numbers; "
        f"tracemalloc: {(held[1] - held[0]) / len(steps):.2g} bytes kept per step",
    }


def _held() -> int:
    """Bytes that NumPy's arrays hold now."""
    snapshot = tracemalloc.take_snapshot()
    numpy = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    return sum(trace.size for trace in snapshot.filter_traces([numpy]).traces)
