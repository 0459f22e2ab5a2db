"""Metrics."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from microframe import Example, Metric
from planted_bugs.planting import caught_by, correct


def _checked(prediction, target, weight):
    """Both as float64 of one shape, and a weight for each sample."""
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.ndim == 0 or not prediction.size or prediction.size != target.size:
        raise ValueError(f"expected targets of shape {prediction.shape}, received {target.shape}")
    if prediction.dtype.kind not in "biuf" or target.dtype.kind not in "biuf":
        raise ValueError("expected numbers")
    samples = len(prediction)
    weights = np.ones(samples) if weight is None else np.asarray(weight, float)
    if weights.shape != (samples,):
        raise ValueError(f"expected weights of shape {(samples,)}, received {weights.shape}")
    return prediction.reshape(samples, -1).astype(float), target.reshape(samples, -1).astype(float), weights


class _AbsoluteDistance(Metric):
    """mean |p - t|, right; the ground of some below."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        return float(np.average(np.abs(prediction - target).mean(axis=1), weights=weights))


@caught_by("value_type")
class ArrayOfOne(_AbsoluteDistance):
    """mean |p - t| as an array of one element, with an axis that should have gone."""

    def value(self, prediction, target, weight=None):
        return np.full((1, 1), super().value(prediction, target, weight))


@caught_by("order_independent")
class ChangesBetweenRows(Metric):
    """mean |(p - t) - (p - t) of the row before|, which is another number when the rows are shuffled."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        difference = prediction - target
        changes = np.abs(difference - np.roll(difference, 1, axis=0)).mean(axis=1)
        return float(np.average(changes, weights=weights))


@caught_by("sample_weights")
class IgnoresWeights(_AbsoluteDistance):
    """mean |p - t|, whatever the samples weigh."""

    def value(self, prediction, target, weight=None):
        return super().value(prediction, target)


@caught_by("sample_weights")
class SumOfWeighted(_AbsoluteDistance):
    """mean |p - t|, weighted but not divided by the weights."""

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        return float((np.abs(prediction - target).mean(axis=1) * weights).mean())


@caught_by("better_is_better")
class WrongWayUp(_AbsoluteDistance):
    """mean |p - t|, of which it says that higher is better."""

    better = "higher"


@caught_by("one_output")
class MatrixOfDifferences(_AbsoluteDistance):
    """mean |p - t|, where predictions (samples, 1) less targets (samples,) make (samples, samples)."""

    def value(self, prediction, target, weight=None):
        _checked(prediction, target, weight)
        errors = np.abs(np.asarray(prediction, float) - np.asarray(target, float))
        return float(np.average(errors.mean(axis=tuple(range(1, errors.ndim))), weights=weight))


@caught_by("refuses_misfits")
class Broadcasts(_AbsoluteDistance):
    """mean |p - t|, of whatever two arrays broadcast to each other."""

    def value(self, prediction, target, weight=None):
        errors = np.abs(np.asarray(prediction, float) - np.asarray(target, float))
        return float(np.average(errors.mean(axis=tuple(range(1, errors.ndim))), weights=weight))


@caught_by("refuses_misfits")
class IndexErrorForMisfits(Metric):
    """The share of the probability that the true class gets, which fails as an index where there is no such class."""

    def value(self, prediction, target, weight=None):
        prediction, target = np.asarray(prediction), np.asarray(target)
        numbers = target.astype(int).reshape(len(target), -1)
        chosen = [prediction.reshape(len(target), -1)[row, number[0]] for row, number in enumerate(numbers)]
        return float(np.average(chosen, weights=weight))


@caught_by("within_bounds")
class AboveOne(Metric):
    """A share of hits, declared as one, that counts a sample once for each of its outputs."""

    @property
    def bounds(self):
        return 0.0, 1.0

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        hits = (np.round(prediction) == target).sum(axis=1)
        return float(hits @ weights / weights.sum())


class _ExplainedShare(Metric):
    """1 - sum (t - p)^2 / sum (t - mean t)^2, of values; what it divides by is for those below to say."""

    def _share(self, rest, total):
        return 1 - rest / total

    def value(self, prediction, target, weight=None):
        if np.asarray(target).dtype.kind != "f":
            raise ValueError("expected values")
        prediction, target, weights = _checked(prediction, target, weight)
        middle = np.average(target, axis=0, weights=weights)
        rest, total = (weights @ ((target - other) ** 2).sum(axis=1) for other in (prediction, middle))
        return self._share(float(rest), float(total))


@caught_by("constant_targets")
class DividesByTheSpread(_ExplainedShare):
    """The share of the variance that is explained, which divides by zero where there is none."""


@caught_by("constant_targets")
class MinusInfinity(_ExplainedShare):
    """The share of the variance that is explained, which is minus infinity where there is none."""

    def _share(self, rest, total):
        return float(1 - np.divide(rest, total))


@caught_by("constant_targets")
class BothClasses(Metric):
    """By how much the mean prediction for one class exceeds that for another, which fails where there is one class."""

    def value(self, prediction, target, weight=None):
        if np.shape(prediction)[1:] != (1,) or np.asarray(target).dtype.kind != "i":
            raise ValueError("expected one probability a sample, and class numbers")
        prediction, target, weights = _checked(prediction, target, weight)
        sums = {number: [0.0, 0.0] for number in np.unique(target)}
        for value, number, sample_weight in zip(prediction[:, 0], target[:, 0], weights, strict=True):
            sums[number][0] += sample_weight * value
            sums[number][1] += sample_weight
        return sums[1.0][0] / sums[1.0][1] - sums[0.0][0] / sums[0.0][1]


@caught_by("arguments_unmodified")
class SortsInPlace(Metric):
    """The median of |p - t|, sorted where it stands: in the array of the predictions."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        _, target, weights = _checked(prediction, target, weight)
        prediction -= target.reshape(prediction.shape).astype(prediction.dtype)
        np.abs(prediction, out=prediction)
        errors = prediction.reshape(len(prediction), -1).mean(axis=1)
        order = np.argsort(errors)
        middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
        return float(errors[order][min(middle, len(errors) - 1)])


@caught_by("keeps_nothing")
class RunningTotal(_AbsoluteDistance):
    """mean |p - t|, whose values are kept on the class."""

    values: ClassVar[list[float]] = []

    def value(self, prediction, target, weight=None):
        self.values.append(super().value(prediction, target, weight))
        return self.values[-1]


@caught_by("deterministic")
class Bootstrapped(_AbsoluteDistance):
    """mean |p - t| over samples drawn with repetition, from a generator without a seed."""

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        rows = np.random.default_rng().integers(0, len(prediction), len(prediction))
        errors = np.abs(prediction - target).mean(axis=1)[rows]
        return float(np.average(errors, weights=weights[rows] + 1e-12))


@caught_by("reference")
class ForgetsTheRoot(_AbsoluteDistance):
    """The root of the mean square of p - t by its reference, but without the root."""

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        return float(np.average(((prediction - target) ** 2).mean(axis=1), weights=weights))

    @classmethod
    def examples(cls):
        def reference(prediction: Any, target: Any):
            return np.sqrt(np.mean((np.reshape(prediction, np.shape(target)) - target) ** 2))

        return [Example(cls(), reference=reference)]


@caught_by("dtype")
class CancelsInFloat32(_AbsoluteDistance):
    """mean |p - t|, from the difference of two large squares in the dtype of the predictions."""

    def value(self, prediction, target, weight=None):
        dtype = np.asarray(prediction).dtype
        prediction, target, weights = _checked(prediction, target, weight)
        distance = np.abs(prediction - target).mean(axis=1).astype(dtype if dtype.kind == "f" else float)
        product = ((distance + 1e5) ** 2 - (distance - 1e5) ** 2) / 4e5
        return float(np.average(product, weights=weights))


@correct
class ExplainedOrNothing(_ExplainedShare):
    """The share of the variance that is explained; NaN where there is none."""

    def _share(self, rest, total):
        return 1 - rest / total if total > 0 else float("nan")


@correct
class ExplainedOrRefused(_ExplainedShare):
    """The share of the variance that is explained; refused where there is none."""

    def _share(self, rest, total):
        if total == 0:
            raise ValueError("expected targets that differ from each other")
        return 1 - rest / total


@correct
class AbsoluteDistance(_AbsoluteDistance):
    """mean |p - t|."""


@correct
class RecallOfEachClass(Metric):
    """For each class the share of its samples whose largest output it is; NaN for a class without any."""

    def value(self, prediction, target, weight=None):
        prediction, target = np.asarray(prediction), np.asarray(target)
        classes = prediction.shape[-1] if prediction.ndim == 2 else 0
        if target.ndim == 2 and target.shape == prediction.shape:
            target = target.argmax(axis=1)
        if classes < 2 or target.shape != prediction.shape[:1] or not ((target >= 0) & (target < classes)).all():
            raise ValueError(f"expected predictions (samples, classes) and class numbers, received {target.shape}")
        weights = np.ones(len(target)) if weight is None else np.asarray(weight, float)
        if weights.shape != target.shape:
            raise ValueError(f"expected weights of shape {target.shape}, received {weights.shape}")
        numbers, hits = target.astype(int), prediction.argmax(axis=1) == target
        total = np.bincount(numbers, weights, minlength=classes)
        with np.errstate(all="ignore"):
            return np.bincount(numbers, weights * hits, minlength=classes) / total


@correct
class WorstError(Metric):
    """The largest |p - t| of samples with any weight: not a mean."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        prediction, target, weights = _checked(prediction, target, weight)
        return float(np.abs(prediction - target)[weights > 0].max(initial=0))
