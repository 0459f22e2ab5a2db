"""The standard metrics, and the confusion matrix."""

from __future__ import annotations

from microframe.component import Component
from microframe.plugins import hookimpl
from microframe.standard.metrics.classification import (
    ROCAUC,
    Accuracy,
    LogLoss,
    TopKAccuracy,
)
from microframe.standard.metrics.counts import F1, Precision, Recall, confusion_matrix
from microframe.standard.metrics.regression import (
    R2,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
)

__all__ = [
    "F1",
    "R2",
    "ROCAUC",
    "Accuracy",
    "LogLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Precision",
    "Recall",
    "RootMeanSquaredError",
    "TopKAccuracy",
    "confusion_matrix",
]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [
        Accuracy,
        TopKAccuracy,
        Precision,
        Recall,
        F1,
        ROCAUC,
        LogLoss,
        MeanAbsoluteError,
        MeanSquaredError,
        RootMeanSquaredError,
        R2,
    ]
