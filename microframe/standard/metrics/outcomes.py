"""A classifier's predictions and their targets in one form, which the metrics of classes work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microframe.arrays import Array


@dataclass(frozen=True, eq=False)
class Outcome:
    """Predictions beside their targets, one row for each thing that was classified.

    Attributes:
        scores: (rows, outputs).
        truth: class numbers (rows,) when each row has one class, or bool (rows, outputs) when each output is a yes
            or no of its own.
        distribution: the target as given, (rows, outputs), or None when it was class numbers.
        weight: (rows,) float64; ones where none was given.
    """

    scores: Array
    truth: Array
    distribution: Array | None
    weight: Array

    @property
    def multi_label(self) -> bool:
        """Whether each output is a yes or no of its own."""
        return self.truth.ndim == 2

    @property
    def classes(self) -> int:
        """How many classes (or labels) there are; one output tells two classes apart."""
        outputs = self.scores.shape[1]
        return 2 if outputs == 1 else outputs

    @property
    def undefined(self) -> bool:
        """Whether some score is NaN, which leaves every metric without a value."""
        return bool(np.isnan(self.scores).any())

    def decisions(self, threshold: float) -> Array:
        """What the scores say, in the form of `truth`: the class of the largest score, or score > `threshold`."""
        if self.multi_label:
            return self.scores > threshold
        if self.scores.shape[1] == 1:
            return (self.scores[:, 0] > threshold).astype(np.int64)
        largest: Array = np.argmax(self.scores, axis=1)
        return largest


def outcome(prediction: Array, target: Array, weight: Array | None, multi_label: bool | None = None) -> Outcome:
    """Bring predictions and targets into one form.

    Args:
        prediction: (samples, ..., outputs), or (samples,) for one output. Axes in between (time, height and width)
            hold things that are classified one by one.
        target: class numbers of the shape of `prediction` without its last axis, or an array of its very shape.
        weight: a weight for each sample, (samples,).
        multi_label: how to take a target of the shape of the prediction with several outputs: as yes or no for each
            output (True) or as a distribution over classes such as a one-hot row (False). None tells by the rows:
            they are distributions if each of them sums to one.

    Raises:
        ValueError: they don't fit together.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    if prediction.ndim == 1:
        prediction = prediction[:, None]
    if prediction.ndim == 0 or prediction.size == 0:
        raise ValueError(f"expected predictions of at least one sample, received shape {prediction.shape}")
    outputs = prediction.shape[-1]
    scores = prediction.reshape(-1, outputs)
    weights = sample_weights(weight, len(prediction)).repeat(len(scores) // len(prediction))
    if target.shape == prediction.shape and outputs > 1:
        rows = _distributions(target.reshape(-1, outputs))
        if _is_multi_label(rows, multi_label):
            return Outcome(scores, rows > 0.5, rows, weights)
        return Outcome(scores, rows.argmax(axis=1), rows, weights)
    if target.shape not in (prediction.shape, prediction.shape[:-1]) or (multi_label and outputs > 1):
        accepted = f"{prediction.shape}" if multi_label else f"{prediction.shape[:-1]} or {prediction.shape}"
        raise ValueError(f"expected targets of shape {accepted}, received {target.shape}")
    return Outcome(scores, class_numbers(target.ravel(), max(outputs, 2)), None, weights)


def class_numbers(target: Array, classes: int) -> Array:
    """`target` as int64, after a check that it holds whole numbers from 0 to `classes` - 1."""
    expected = f"expected class numbers from 0 to {classes - 1}"
    if target.dtype.kind not in "biuf":
        raise ValueError(f"{expected}, received {target.dtype} values")
    wrong = ~((target >= 0) & (target < classes) & (np.floor(target) == target))
    if wrong.any():
        raise ValueError(f"{expected}, received {target[wrong][0]}")
    return target.astype(np.int64)


def sample_weights(weight: Array | None, samples: int) -> Array:
    """`weight` as float64 (samples,), ones where there is none."""
    if weight is None:
        return np.ones(samples)
    weights = np.asarray(weight, dtype=np.float64)
    if weights.shape != (samples,):
        raise ValueError(f"expected weights of shape {(samples,)}, received {weights.shape}")
    return weights


def weighted_mean(values: Array, weight: Array) -> Array:
    """The mean of `values` (rows, ...) over the rows, NaN where the weights sum to zero."""
    total = weight.sum()
    if not total:
        return np.full(values.shape[1:], np.nan)
    mean: Array = np.tensordot(weight, values, axes=1) / total
    return mean


def _distributions(target: Array) -> Array:
    if target.dtype.kind not in "biuf" or not ((target >= 0) & (target <= 1)).all():
        raise ValueError("expected targets of the prediction's shape to lie between 0 and 1")
    return target.astype(np.float64)


def _is_multi_label(rows: Array, multi_label: bool | None) -> bool:
    if multi_label:
        return True
    are_distributions = np.allclose(rows.sum(axis=1), 1, atol=1e-3)
    if multi_label is False and not are_distributions:
        raise ValueError("expected targets whose rows sum to one, as one-hot rows do")
    return not are_distributions
