"""The standard callbacks: what stops training, changes its course, or keeps a record of it."""

from __future__ import annotations

from microframe.component import Component
from microframe.plugins import hookimpl
from microframe.standard.callbacks.files import Checkpoint, MetricsLog
from microframe.standard.callbacks.limits import TimeLimit
from microframe.standard.callbacks.monitoring import EarlyStopping, MonitoringCallback, ReduceOnPlateau
from microframe.standard.callbacks.weights import WeightRecorder

__all__ = [
    "Checkpoint",
    "EarlyStopping",
    "MetricsLog",
    "MonitoringCallback",
    "ReduceOnPlateau",
    "TimeLimit",
    "WeightRecorder",
]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [EarlyStopping, ReduceOnPlateau, Checkpoint, MetricsLog, WeightRecorder, TimeLimit]
