"""The standard losses.

Each says in its docstring whether it sums or averages over the outputs of a sample; the value of a batch is the mean
over its samples. Losses of classes sum over the last axis and average over the axes between it and the batch, such as
time.
"""

from __future__ import annotations

from microframe.component import Component
from microframe.plugins import hookimpl
from microframe.standard.losses.binary import BinaryCrossEntropy
from microframe.standard.losses.classes import CrossEntropy, KLDivergence
from microframe.standard.losses.hinge import Hinge
from microframe.standard.losses.values import (
    BrierScore,
    HalfSquaredError,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    SquaredError,
)

__all__ = [
    "BinaryCrossEntropy",
    "BrierScore",
    "CrossEntropy",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Poisson",
    "SquaredError",
]


@hookimpl
def microframe_components() -> list[type[Component]]:
    """The standard losses."""
    return [
        MeanSquaredError,
        HalfSquaredError,
        SquaredError,
        BrierScore,
        MeanAbsoluteError,
        Huber,
        BinaryCrossEntropy,
        CrossEntropy,
        Hinge,
        KLDivergence,
        Poisson,
    ]
