"""A metric for microframe: how good predicted quantiles are."""

from __future__ import annotations

import math

import numpy as np

from microframe import Component, Example, Metric, hookimpl
from microframe.arrays import Array
from microframe.values import Fraction


class PartName(Metric):
    """The mean over samples and outputs of max(q e, (q - 1) e), with e = target - prediction.

    In the unit of the target, and smallest for the q-quantile of the target: a prediction
    below it costs q a unit, one above it 1 - q  (Koenker and Bassett, 1978).

    Predictions are (samples, *outputs), or (samples,); targets of the same shape, where an
    axis of length 1 at the end may be missing from either. NaN where the weights sum to 0.

    Fields:
        quantile: q, from 0 to 1; default 0.5, for which this is half the mean absolute error.
    """

    better = "lower"
    quantile: Fraction = 0.5

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        predicted, true = _rows(prediction), _rows(target)
        if predicted.shape != true.shape or not predicted.size:
            shapes = f"{prediction.shape} and {target.shape}"
            raise ValueError(f"expected predictions and targets of one shape, received {shapes}")
        error = true - predicted
        costs = np.maximum(self.quantile * error, (self.quantile - 1) * error).mean(axis=1)
        if weight is None:
            return float(costs.mean())
        total = float(np.sum(weight))
        return float(np.dot(weight, costs)) / total if total else math.nan

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls(), reference=_reference), Example(cls(0.9))]


def _rows(values: Array) -> Array:
    """(samples, ...) -> (samples, outputs), in float64."""
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _reference(prediction: Array, target: Array) -> float:
    return 0.5 * float(np.abs(prediction - target).mean())


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
