"""The prediction of one row with microframe."""

from __future__ import annotations

from typing import Any

import training
from tasks import Task, samples
from timing import seconds_for_call


def predict(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for ``model(x)``."""
    model, x = training.model(task), samples(task)[0][:1]
    return {"value": seconds_for_call(lambda: model(x)), "result": model(x)[0].tolist()}
