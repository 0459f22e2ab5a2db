"""What can be counted of a classifier's decisions: the confusion matrix, precision, recall and F1."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from dataclasses import KW_ONLY
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.interfaces import Loss, Metric
from microframe.standard.metrics.outcomes import Outcome, class_numbers, outcome


def confusion_matrix(prediction: Array, target: Array, classes: int, threshold: float = 0.5) -> NDArray[np.int64]:
    """How many samples of each class were taken for each class.

    Args:
        prediction: scores, (samples, classes), or (samples, 1) for two classes.
        target: class numbers (samples,), or one-hot rows (samples, classes).
        classes: how many there are.
        threshold: what a lone output must exceed to say class 1.

    Returns:
        (classes, classes): the row is the true class, the column the predicted one.

    Raises:
        ValueError: they don't fit together, or a prediction is NaN.
    """
    result = outcome(prediction, target, None, multi_label=False)
    if result.undefined:
        raise ValueError("expected predictions without NaN")
    truth, decided = (class_numbers(numbers, classes) for numbers in (result.truth, result.decisions(threshold)))
    return np.bincount(truth * classes + decided, minlength=classes**2).reshape(classes, classes)


class CountMetric(Metric):
    """A ratio, for each class, of samples that were counted, averaged over the classes. The base of those below.

    A class of which there is nothing to divide by counts as 0. NaN when a prediction is NaN.

    Fields:
        average: ``"macro"``: the mean over the classes that occur among the targets or the decisions (over all
            labels with several labels a sample); ``"micro"``: the ratio of the counts summed over classes;
            ``"weighted"``: the mean weighted by how often each class is the true one; ``"none"``: a number for each
            class.
        threshold: what a lone output, or an output that is a label of its own, must exceed to say yes; None, the
            default, for what the loss says, which is 0.5 for probabilities.
        multi_label: whether targets of the prediction's shape hold several labels (True) or one class as a one-hot
            row (False); None tells by whether every row sums to one.
    """

    average: Literal["macro", "micro", "weighted", "none"] = "macro"
    _: KW_ONLY
    threshold: float | None = None

    def beside(self, loss: Loss) -> Metric:
        return self if self.threshold is not None else dataclasses.replace(self, threshold=loss.threshold)

    multi_label: bool | None = None

    @abstractmethod
    def ratio(self, hits: Array, decided: Array, actual: Array) -> Array:
        """The metric from weighted counts, each (classes,).

        Args:
            hits: how often each class was rightly decided for.
            decided: how often each class was decided for.
            actual: how often each class is the true one.
        """

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float | Array:
        result = outcome(prediction, target, weight, self.multi_label)
        if result.undefined:
            return np.full(result.classes, np.nan) if self.average == "none" else math.nan
        decisions = result.decisions(0.5 if self.threshold is None else self.threshold)
        counts = _counts(result, decisions)
        if self.average == "micro":
            return float(self.ratio(*(count.sum(keepdims=True) for count in counts))[0])
        ratios = self.ratio(*counts)
        if self.average == "none":
            return ratios
        if self.average == "weighted":
            return float(divide(counts[2] @ ratios, counts[2].sum()))
        return float(ratios[_occurs(result, decisions)].mean())

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            cls(),
            Example(cls("micro"), reference=lambda prediction, target: (prediction.argmax(axis=1) == target).mean()),
            cls("weighted", threshold=0.3),
            cls("none"),
            cls(multi_label=True),
        ]


class Precision(CountMetric):
    """Of the samples decided for a class, the share that belongs to it.

    Fields: see `CountMetric`.
    """

    def ratio(self, hits: Array, decided: Array, actual: Array) -> Array:
        return divide(hits, decided)


class Recall(CountMetric):
    """Of the samples that belong to a class, the share decided for it.

    Fields: see `CountMetric`.
    """

    def ratio(self, hits: Array, decided: Array, actual: Array) -> Array:
        return divide(hits, actual)


class F1(CountMetric):
    """The harmonic mean of precision and recall, 2 hits / (decided + actual).

    Fields: see `CountMetric`.
    """

    def ratio(self, hits: Array, decided: Array, actual: Array) -> Array:
        return divide(2 * hits, decided + actual)


def divide(numerator: Array, denominator: Array) -> Array:
    """Elementwise, 0 where the denominator is 0."""
    zero = denominator == 0
    return np.where(zero, 0.0, numerator / np.where(zero, 1.0, denominator))


def _counts(result: Outcome, decisions: Array) -> tuple[Array, Array, Array]:
    """The weighted counts that `CountMetric.ratio` takes."""
    truth, weight = result.truth, result.weight
    if result.multi_label:
        return weight @ (decisions & truth), weight @ decisions, weight @ truth
    hits, decided, actual = (
        np.bincount(numbers, weights, minlength=result.classes)
        for numbers, weights in ((truth, weight * (decisions == truth)), (decisions, weight), (truth, weight))
    )
    return hits, decided, actual


def _occurs(result: Outcome, decisions: Array) -> Array:
    """Which classes are the true one or decided for at least once, bool (classes,); all labels do."""
    if result.multi_label:
        return np.ones(result.classes, dtype=bool)
    return np.bincount(np.concatenate([result.truth, decisions]), minlength=result.classes) > 0
