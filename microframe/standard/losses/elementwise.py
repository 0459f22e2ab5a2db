"""The ground of losses that look at each output by itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import numpy as np

from microframe.arrays import Array
from microframe.interfaces import Loss
from microframe.standard.constants import constant


class ElementwiseLoss(Loss):
    """A loss that is the mean or the sum, over the outputs of a sample, of a function of each."""

    reduction: ClassVar[Literal["mean", "sum"]] = "mean"

    @abstractmethod
    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        """Write the loss of each output into `out`, which has the shape of `prediction`; `empty` gives scratch."""

    @abstractmethod
    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        """Write the derivative of the loss of each output with respect to that output into `out`."""

    def count(self, prediction: Array) -> int:
        """What the sum of all element values is divided by to give the value of the batch."""
        return prediction.size if self.reduction == "mean" else len(prediction)

    def sample_values(self, prediction: Array, target: Array) -> Array:
        values = np.empty_like(prediction)
        self.element_values(prediction, target, values, _empty(prediction))
        totals: Array = values.reshape(len(values), -1).sum(axis=1)
        totals *= len(values) / self.count(prediction)
        return totals

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        self._gradient(prediction, target, out, _empty(prediction))

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        self.element_values(prediction, target, out, empty)
        value = float(np.add.reduce(out, axis=None)) / self.count(prediction)
        self._gradient(prediction, target, out, empty)
        return value

    def _gradient(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        self.element_derivatives(prediction, target, out, empty)
        out *= constant(1 / self.count(prediction))[out.dtype]


def _empty(prediction: Array) -> Callable[..., Array]:
    return partial(np.empty, dtype=prediction.dtype)
