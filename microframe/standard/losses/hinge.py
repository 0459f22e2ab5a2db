"""The hinge loss, for scores with a margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from microframe import targets
from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.interfaces import Loss
from microframe.standard.constants import ONE, ZERO, constant
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
        row, highest = (np.empty((*prediction.shape[:-1], 1), prediction.dtype) for _ in range(2))
        _shortfalls(prediction, target, np.empty_like(prediction), row, highest)
        return mean_of_sample(row[..., 0])

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        self.value_and_gradient(prediction, target, out)

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        # 1 - s z falls by s; for classes, the highest wrong score counts 1, which equal ones share, and the right one
        # -1. Nothing where the margin is kept.
        row, highest = empty((*prediction.shape[:-1], 1)), empty((*prediction.shape[:-1], 1))
        _shortfalls(prediction, target, out, row, highest)
        value = float(np.add.reduce(row, axis=None)) / row.size
        if prediction.shape[-1] == 1:
            np.negative(target, out)
        else:
            np.equal(out, highest, out)
            out /= np.add.reduce(out, axis=-1, out=highest, keepdims=True)
            out -= target
        out *= np.sign(row, row)
        out *= constant(1 / row.size)[out.dtype]
        return value

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), Example(cls(), inputs=((3, 1),))]


def _shortfalls(prediction: Array, target: Array, wrong: Array, row: Array, highest: Array) -> None:
    """By how much each row fails to keep its margin, 0 where it does keep it.

    Args:
        prediction, target: (batch, *others, scores).
        wrong: of that shape, for the scores with that of the right class out of reach of the others.
        row: (batch, *others, 1), for the result.
        highest: of that shape, for the highest wrong score.
    """
    np.multiply(prediction, target, wrong)
    np.add.reduce(wrong, axis=-1, out=row, keepdims=True)
    np.subtract(ONE[row.dtype], row, row)
    if prediction.shape[-1] > 1:
        np.multiply(target, -0.5 * np.finfo(target.dtype).max, wrong)
        wrong += prediction
        row += np.maximum.reduce(wrong, axis=-1, out=highest, keepdims=True)
    np.maximum(row, ZERO[row.dtype], out=row)


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
