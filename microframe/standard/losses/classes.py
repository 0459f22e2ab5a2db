"""Losses of probabilities over classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from microframe import targets
from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.interfaces import Activation, Loss
from microframe.standard.activations import LogSoftmax, Softmax
from microframe.standard.constants import constant
from microframe.values import PositiveFloat, ProperFraction


class CrossEntropy(Loss):
    """-sum t log p over the classes (last axis), averaged over any axes between them and the batch.

    Predictions p are probabilities, of which those below the machine epsilon of the dtype (1.2e-7 in float32) count as
    that in the logarithm and have gradient 0. After a softmax or log_softmax, training uses the logits, which need no
    such cut.

    Targets are class numbers (samples, *others) or rows of probabilities (samples, *others, classes), from which t
    follows as class_weights * ((1 - label_smoothing) * target + label_smoothing / classes).

    Args:
        label_smoothing: the share of each target that is spread over all classes (Szegedy et al., 2016,
            arXiv:1512.00567); 0 by default.
        class_weights: a weight for each class; all 1 by default. The value stays a mean over samples, not divided by
            their weights.
    """

    target = "classes"
    needs_probabilities = True
    label_smoothing: ProperFraction = 0.0
    class_weights: tuple[PositiveFloat, ...] | None = None

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        rows = targets.class_rows(target, output_shape, dtype)
        rows *= 1 - self.label_smoothing
        rows += self.label_smoothing / output_shape[-1]
        if self.class_weights is not None:
            weights, classes = np.array(self.class_weights, dtype), output_shape[-1]
            if len(weights) != classes:
                raise ValueError(f"class_weights for {classes} classes, one for each output, received {len(weights)}")
            rows *= weights
        return rows

    def sample_values(self, prediction: Array, target: Array) -> Array:
        return mean_of_sample(_negative_log_likelihood(prediction, target))

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        _negative_log_likelihood_gradient(prediction, target, out, np.empty_like(out))

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        value = -_weighted_logarithms(prediction, target, out)
        _negative_log_likelihood_gradient(prediction, target, out, empty(out.shape))
        return value

    def fuse(self, activation: Activation) -> Loss | None:
        return _SoftmaxCrossEntropy(self) if type(activation) in (Softmax, LogSoftmax) else None

    @classmethod
    def examples(cls) -> list[Component | Example]:
        plain = Example(cls(), reference=lambda p, t: -(t * np.log(p)).sum(axis=-1).mean())
        return [plain, cls(label_smoothing=0.2), cls(label_smoothing=0.1, class_weights=(0.5, 1.0, 2.0, 3.0))]


class KLDivergence(Loss):
    """sum t log(t / p) over the classes (last axis), averaged over any axes between them and the batch.

    The Kullback-Leibler divergence of predicted probabilities p from target probabilities t (samples, *others,
    classes), in nats. Predictions below the machine epsilon of the dtype are treated as by cross_entropy; after a
    softmax, training uses the logits.
    """

    needs_probabilities = True

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return targets.probability_rows(targets.numeric(target), output_shape, dtype)

    def sample_values(self, prediction: Array, target: Array) -> Array:
        return mean_of_sample(_negative_log_likelihood(prediction, target) - _entropy(target))

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        _negative_log_likelihood_gradient(prediction, target, out, np.empty_like(out))

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        value = _weighted_logarithms(target, target, out) - _weighted_logarithms(prediction, target, out)
        _negative_log_likelihood_gradient(prediction, target, out, empty(out.shape))
        return value

    def fuse(self, activation: Activation) -> Loss | None:
        return _SoftmaxKLDivergence(self) if type(activation) is Softmax else None


class _SoftmaxCrossEntropy(Loss):
    """Cross-entropy as a function of logits z, p = softmax(z): log(sum exp(z)) sum t - sum t z."""

    target = "classes"
    loss: CrossEntropy

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return self.loss.prepare(target, output_shape, dtype)

    def sample_values(self, prediction: Array, target: Array) -> Array:
        return mean_of_sample(_softmax_negative_log_likelihood(prediction, target))

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        self.value_and_gradient(prediction, target, out)

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        totals = None
        if self.loss.class_weights is not None:
            totals = empty((*target.shape[:-1], 1))
            np.add.reduce(target, axis=-1, out=totals, keepdims=True)
        return _softmax_value_and_gradient(prediction, target, totals, out, empty)


class _SoftmaxKLDivergence(Loss):
    """The Kullback-Leibler divergence as a function of logits."""

    loss: KLDivergence

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return self.loss.prepare(target, output_shape, dtype)

    def sample_values(self, prediction: Array, target: Array) -> Array:
        return mean_of_sample(_softmax_negative_log_likelihood(prediction, target) - _entropy(target))

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        _softmax_value_and_gradient(prediction, target, None, out, np.empty)

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        negative_entropy = _weighted_logarithms(target, target, out)
        return _softmax_value_and_gradient(prediction, target, None, out, empty) + negative_entropy


def mean_of_sample(rows: Array) -> Array:
    """Values (batch, *others) averaged over the others."""
    return rows if rows.ndim == 1 else rows.reshape(len(rows), -1).mean(axis=1)


def _negative_log_likelihood(prediction: Array, target: Array) -> Array:
    """-sum t log p for each row."""
    logarithms = np.maximum(prediction, np.finfo(prediction.dtype).eps)
    np.log(logarithms, logarithms)
    logarithms *= target
    rows: Array = logarithms.sum(axis=-1)
    return np.negative(rows, rows)


def _weighted_logarithms(probabilities: Array, target: Array, scratch: Array) -> float:
    """sum t log p for each row, averaged over all rows; `scratch` has the shape of both."""
    np.maximum(probabilities, np.finfo(probabilities.dtype).eps, out=scratch)
    np.log(scratch, scratch)
    rows: int = scratch.size // scratch.shape[-1]
    return float(np.vdot(target, scratch)) / rows


def _negative_log_likelihood_gradient(prediction: Array, target: Array, out: Array, scratch: Array) -> None:
    # -t / p where the logarithm is not cut off, divided by the number of rows
    epsilon = np.finfo(prediction.dtype).eps
    np.maximum(prediction, epsilon, out=out)
    np.divide(target, out, out)
    out *= np.greater_equal(prediction, epsilon, scratch)
    out *= -prediction.shape[-1] / prediction.size


def _entropy(target: Array) -> Array:
    """-sum t log t for each row, with 0 log 0 = 0."""
    return _negative_log_likelihood(target, target)


def _softmax_negative_log_likelihood(logits: Array, target: Array) -> Array:
    """log(sum exp(z)) sum t - sum t z for each row."""
    row: Array = logits.max(axis=-1)
    shifted = logits - row[..., None]
    np.add.reduce(np.exp(shifted), axis=-1, out=row)
    rows: Array = target.sum(axis=-1)
    rows *= np.log(row, row)
    shifted *= target
    rows -= np.add.reduce(shifted, axis=-1, out=row)
    return rows


def _softmax_value_and_gradient(
    logits: Array, target: Array, totals: Array | None, out: Array, empty: Callable[..., Array]
) -> float:
    """Write the gradient of the mean over all rows into `out` and return that mean.

    Args:
        logits: z, (batch, *others, classes).
        target: t, of that shape.
        totals: sum t for each row, (batch, *others, 1); None where it is 1.
        out: of the shape of `logits`.
        empty: gives scratch arrays of a shape.
    """
    row = empty((*logits.shape[:-1], 1))
    np.maximum.reduce(logits, axis=-1, out=row, keepdims=True)
    np.subtract(logits, row, out)
    value = -float(np.vdot(target, out))
    np.exp(out, out)
    np.add.reduce(out, axis=-1, out=row, keepdims=True)
    out /= row
    np.log(row, row)
    # d/dz_j of log(sum exp(z)) sum t - sum t z is softmax(z)_j sum t - t_j.
    if totals is None:
        value += float(np.add.reduce(row, axis=None))
    else:
        value += float(np.vdot(totals, row))
        out *= totals
    out -= target
    if row.size > 1:
        out *= constant(1 / row.size)[out.dtype]
    return value / row.size
