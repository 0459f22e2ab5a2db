"""How far predicted numbers are from the true ones. Several outputs count alike: each has its own value, then the mean.

Predictions are (samples,) or (samples, *outputs), targets of the same shape (an axis of length one at the end may be
missing from either); the arithmetic is float64.
"""

from __future__ import annotations

import math

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.interfaces import Metric
from microframe.standard.metrics.outcomes import sample_weights, weighted_mean


class MeanAbsoluteError(Metric):
    """mean |p - t|, in the unit of the target."""

    better = "lower"

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        predicted, true, weights = paired(prediction, target, weight)
        return float(weighted_mean(np.abs(predicted - true), weights).mean())

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, math.inf

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), reference=lambda prediction, target: np.abs(prediction - target).mean())]


class MeanSquaredError(Metric):
    """mean (p - t)^2, in the unit of the target squared."""

    better = "lower"

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        predicted, true, weights = paired(prediction, target, weight)
        return float(weighted_mean((predicted - true) ** 2, weights).mean())

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, math.inf

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), reference=lambda prediction, target: ((prediction - target) ** 2).mean())]


class RootMeanSquaredError(Metric):
    """sqrt(mean (p - t)^2), in the unit of the target; of several outputs, the mean of their roots."""

    type = "rmse"
    better = "lower"

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        predicted, true, weights = paired(prediction, target, weight)
        return float(np.sqrt(weighted_mean((predicted - true) ** 2, weights)).mean())

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, math.inf

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(
                cls(), reference=lambda prediction, target: np.linalg.norm(prediction - target) / len(target) ** 0.5
            )
        ]


class R2(Metric):
    """The coefficient of determination, 1 - sum (p - t)^2 / sum (t - mean t)^2; at most 1, and 0 for the mean.

    An output whose targets are all equal scores 1 when predicted exactly and 0 otherwise. NaN for a single sample.
    """

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        predicted, true, weights = paired(prediction, target, weight)
        if len(true) < 2:
            return float("nan")
        unexplained = weights @ (predicted - true) ** 2
        total = weights @ (true - weighted_mean(true, weights)) ** 2
        constant = total == 0
        share = np.where(constant, unexplained != 0, unexplained / np.where(constant, 1.0, total))
        return float((1 - np.where(np.isnan(unexplained), np.nan, share)).mean())

    @property
    def bounds(self) -> tuple[float, float]:
        return -math.inf, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(), reference=lambda prediction, target: 1 - ((prediction - target) ** 2).mean() / target.var())
        ]


def paired(prediction: Array, target: Array, weight: Array | None) -> tuple[Array, Array, Array]:
    """Both as float64 (samples, outputs), and the weights as (samples,).

    Raises:
        ValueError: they differ in shape, are empty, or are not numbers.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    for role, values in (("predictions", prediction), ("targets", target)):
        if values.dtype.kind not in "biuf":
            raise ValueError(f"expected {role} that are numbers, received {values.dtype} values")
    if prediction.ndim == 0 or prediction.size == 0:
        raise ValueError(f"expected predictions of at least one sample, received shape {prediction.shape}")
    if _without_last_one(prediction.shape) != _without_last_one(target.shape):
        raise ValueError(f"expected targets of shape {prediction.shape}, received {target.shape}")
    samples = len(prediction)
    predicted, true = (values.reshape(samples, -1).astype(np.float64) for values in (prediction, target))
    return predicted, true, sample_weights(weight, samples)


def _without_last_one(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
