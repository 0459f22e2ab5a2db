"""The hinge loss, for scores with a margin."""

from __future__ import annotations

import numpy as np

from microframe.arrays import Array, Shape
from microframe.interfaces import Loss
from microframe.standard.constants import ONE, ZERO, constant
from microframe.standard.losses import targets
from microframe.standard.losses.classes import mean_of_sample


class Hinge(Loss):
    """How far scores are from being right by a margin of 1; averaged over axes between the batch and the scores.

    For a single score z (last axis of length 1): max(0, 1 - s z), with the sign s = -1 for class 0 and +1 for class 1;
    targets are class numbers 0 and 1, or the signs themselves.

    For a score of each class: max(0, 1 + the highest score of a wrong class - the score of the right class) (Crammer
    and Singer, 2001); targets are class numbers (samples, *others) or one-hot rows.
    """

    target = "classes"
    threshold = 0.0

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        if output_shape[-1] == 1:
            return _signs(targets.numeric(target), output_shape, dtype)
        rows = targets.class_rows(target, output_shape, dtype)
        if not np.isin(rows, (0, 1)).all():
            raise ValueError("one-hot rows, received rows with several classes")
        return rows

    def sample_values(self, prediction: Array, target: Array) -> Array:
        rows = _shortfalls(prediction, target)
        return mean_of_sample(np.maximum(rows, ZERO[rows.dtype]))

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        # 1 - s z falls by s; for classes, the highest wrong score counts 1 and the right one -1. Nothing where the
        # margin is kept.
        short = _shortfalls(prediction, target) > 0
        np.negative(target, out)
        if prediction.shape[-1] > 1:
            highest = _wrong_scores(prediction, target).argmax(axis=-1, keepdims=True)
            np.put_along_axis(out, highest, 1, axis=-1)
        out *= short[..., None]
        out *= constant(1 / short.size)[out.dtype]


def _shortfalls(prediction: Array, target: Array) -> Array:
    """By how much each row fails to keep its margin, negative where it does keep it: (batch, *others)."""
    rows: Array = ONE[prediction.dtype] - (prediction * target).sum(axis=-1)
    if prediction.shape[-1] > 1:
        rows += _wrong_scores(prediction, target).max(axis=-1)
    return rows


def _wrong_scores(prediction: Array, target: Array) -> Array:
    """The scores, that of the right class replaced by -inf."""
    return np.where(target > 0, prediction.dtype.type(-np.inf), prediction)


def _signs(values: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """Classes 0 and 1, or signs, as signs of shape (samples, *output_shape)."""
    if values.shape[1:] == output_shape[:-1]:
        values = values[..., None]
    if values.shape[1:] != output_shape:
        raise ValueError(f"targets of shape {output_shape} for each sample, received {values.shape[1:]}")
    if not any(np.isin(values, (negative, 1)).all() for negative in (0, -1)):
        received = ", ".join(f"{value:g}" for value in np.unique(values)[:5])
        raise ValueError(f"class numbers 0 and 1, or signs -1 and 1, received {received}")
    return np.where(values > 0, 1, -1).astype(dtype)
