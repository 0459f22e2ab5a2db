"""How good the scores and the decisions of a classifier are: accuracy, areas and log loss."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import KW_ONLY

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.interfaces import Loss, Metric
from microframe.standard.metrics.outcomes import Outcome, outcome, weighted_mean
from microframe.values import PositiveInteger


class Accuracy(Metric):
    """The share of right decisions.

    With one class a sample: the share of samples whose largest output is that of their class; a lone output says
    class 1 when it exceeds `threshold`. With several labels a sample: the share of all yes-or-no decisions that are
    right, label by label (not the share of samples without any error). NaN when a prediction is NaN.

    Fields:
        threshold: what a lone output, or an output that is a label of its own, must exceed to say yes; None, the
            default, for what the loss says, which is 0.5 for probabilities.
        multi_label: whether targets of the prediction's shape hold several labels (True) or one class as a one-hot
            row (False); None tells by whether every row sums to one.
    """

    _: KW_ONLY
    threshold: float | None = None

    def beside(self, loss: Loss) -> Metric:
        return self if self.threshold is not None else dataclasses.replace(self, threshold=loss.threshold)

    multi_label: bool | None = None

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        result = outcome(prediction, target, weight, self.multi_label)
        if result.undefined:
            return math.nan
        right = (result.decisions(0.5 if self.threshold is None else self.threshold) == result.truth).astype(np.float64)
        return float(weighted_mean(right, result.weight).mean())

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(cls(), reference=lambda prediction, target: (prediction.argmax(axis=1) == target).mean()),
            cls(threshold=0.3),
            cls(multi_label=True),
        ]


class TopKAccuracy(Metric):
    """The share of samples whose class is among the `k` with the largest outputs.

    Of equal outputs the lower class number counts as the larger, as for accuracy. NaN when a prediction is NaN.

    Fields:
        k: how many guesses there are; there must be more classes than that.
    """

    k: PositiveInteger = 5

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        result = outcome(prediction, target, weight, multi_label=None)
        outputs = result.scores.shape[1]
        if result.multi_label or outputs <= self.k:
            raise ValueError(f"expected one class a sample and more than {self.k} outputs, received {outputs}")
        if result.undefined:
            return math.nan
        own = np.take_along_axis(result.scores, result.truth[:, None], axis=1)
        ties_before = (result.scores == own) & (np.arange(outputs) < result.truth[:, None])
        rank = ((result.scores > own) | ties_before).sum(axis=1)
        return float(weighted_mean((rank < self.k).astype(np.float64), result.weight))

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            cls(),
            Example(cls(2), reference=lambda prediction, target: (prediction.argmin(axis=1) != target).mean()),
        ]


class ROCAUC(Metric):
    """The area under the receiver operating characteristic.

    It is the chance that a random positive sample scores higher than a random negative one, where a tie counts half
    (Hanley and McNeil, 1982). With one output or two, class 1 is the positive one. With more classes: the mean
    over the classes of the area of each against the rest; with several labels: the mean over the labels. Classes
    that have no positive or no negative sample are left out of the mean. NaN when none is left, or when a
    prediction is NaN.

    Fields:
        multi_label: as for accuracy.
    """

    type = "roc_auc"

    _: KW_ONLY
    multi_label: bool | None = None

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        result = outcome(prediction, target, weight, self.multi_label)
        if result.undefined:
            return math.nan
        areas = [area_under_roc(scores, positive, result.weight) for scores, positive in _one_against_rest(result)]
        defined = [area for area in areas if not math.isnan(area)]
        return sum(defined) / len(defined) if defined else math.nan

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), cls(multi_label=True)]


class LogLoss(Metric):
    """The mean of -log(probability given to what is true), in nats.

    Probabilities are first cut to [eps, 1 - eps], where eps is the machine epsilon of their dtype, so that the loss
    of a confident error is large but finite. A target that is a distribution over classes gives the cross-entropy.
    With several labels: the mean over samples and labels of each label's own log loss. NaN when a prediction is NaN.

    Fields:
        multi_label: as for accuracy.
    """

    better = "lower"

    _: KW_ONLY
    multi_label: bool | None = None

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        result = outcome(prediction, target, weight, self.multi_label)
        if result.undefined:
            return math.nan
        if result.scores.min() < -1e-6 or result.scores.max() > 1 + 1e-6:
            raise ValueError("expected probabilities between 0 and 1 (a model that ends in softmax or sigmoid)")
        return float(weighted_mean(_negative_log_likelihood(result), result.weight))

    @property
    def bounds(self) -> tuple[float, float]:
        return 0.0, math.inf

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [
            Example(
                cls(), reference=lambda prediction, target: -np.log(prediction[np.arange(len(target)), target]).mean()
            ),
            cls(multi_label=True),
        ]


def area_under_roc(scores: Array, positive: Array, weight: Array) -> float:
    """The area for one class; all three (samples,), `positive` bool. NaN without both positives and negatives."""
    rank = np.unique(scores, return_inverse=True)[1]
    positives = np.bincount(rank, weight * positive)
    negatives = np.bincount(rank, weight * ~positive)
    pairs = positives.sum() * negatives.sum()
    if not pairs:
        return math.nan
    won = positives @ (negatives.cumsum() - negatives / 2)
    return float(won / pairs)


def _one_against_rest(result: Outcome) -> Iterator[tuple[Array, Array]]:
    """For each class or label that has an area of its own: its scores, and whether each row is positive."""
    if result.multi_label:
        yield from zip(result.scores.T, result.truth.T, strict=True)
    elif result.classes == 2:
        yield result.scores[:, -1], result.truth == 1
    else:
        for number, scores in enumerate(result.scores.T):
            yield scores, result.truth == number


def _negative_log_likelihood(result: Outcome) -> Array:
    """For each row, float64 (rows,)."""
    scores = result.scores.astype(np.float64)
    epsilon = np.finfo(result.scores.dtype if result.scores.dtype.kind == "f" else np.float64).eps
    yes = np.log(np.clip(scores, epsilon, 1 - epsilon))
    if result.multi_label or scores.shape[1] == 1:
        no = np.log(np.clip(1 - scores, epsilon, 1 - epsilon))
        truth = result.truth[:, None] if result.distribution is None else result.distribution
        log_likelihood: Array = (truth * yes + (1 - truth) * no).mean(axis=1)
    elif result.distribution is None:
        log_likelihood = np.take_along_axis(yes, result.truth[:, None], axis=1)[:, 0]
    else:
        log_likelihood = (result.distribution * yes).sum(axis=1)
    return -log_likelihood
