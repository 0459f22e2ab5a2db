"""Losses of predicted values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.standard.constants import ONE, constant
from microframe.standard.losses.elementwise import ElementwiseLoss
from microframe.targets import class_rows
from microframe.values import PositiveFloat


class _Squares(ElementwiseLoss):
    """factor * (prediction - target)^2."""

    factor: ClassVar[float] = 1.0

    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        np.subtract(prediction, target, out)
        np.square(out, out)
        out *= self.factor

    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        np.subtract(prediction, target, out)
        out *= 2 * self.factor

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        np.subtract(prediction, target, out)
        scale = self.factor / self.count(prediction)
        value = scale * float(np.vdot(out, out))
        if scale != 0.5:
            out *= constant(2 * scale)[out.dtype]
        return value


class MeanSquaredError(_Squares):
    """(prediction - target)^2, averaged over the outputs of a sample."""


class SquaredError(_Squares):
    """(prediction - target)^2, summed over the outputs of a sample."""

    reduction = "sum"


class BrierScore(_Squares):
    """(p - t)^2, summed over the classes: the squared error of probabilities for labels of classes (Brier, 1950).

    Targets are class numbers (samples,) or rows of probabilities (samples, classes). The outputs p need not sum to 1.
    """

    reduction = "sum"
    target = "classes"

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return class_rows(target, output_shape, dtype)


class HalfSquaredError(_Squares):
    """(prediction - target)^2 / 2, summed over the outputs of a sample: its gradient for one sample is the error."""

    reduction = "sum"
    factor = 0.5


class MeanAbsoluteError(ElementwiseLoss):
    """|prediction - target|, averaged over the outputs of a sample; its derivative at 0 is taken as 0."""

    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        np.subtract(prediction, target, out)
        np.absolute(out, out)

    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        np.subtract(prediction, target, out)
        np.sign(out, out)


class Huber(ElementwiseLoss):
    """Quadratic for small errors e = prediction - target and linear for large ones, averaged over the outputs.

    e^2 / 2 where |e| <= delta, delta * (|e| - delta / 2) elsewhere (Huber, 1964).

    Args:
        delta: where the two meet; 1 by default.
    """

    delta: PositiveFloat = 1.0

    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        # With c, the error cut to +- delta, both branches are c (e - c / 2) = c (2 e - c) / 2.
        self.element_derivatives(prediction, target, out, empty)
        error = np.subtract(prediction, target, empty(prediction.shape))
        error += error
        error -= out
        out *= error
        out *= 0.5

    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        np.subtract(prediction, target, out)
        np.maximum(out, -self.delta, out=out)
        np.minimum(out, self.delta, out=out)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        def reference(prediction: Array, target: Array) -> Any:
            error = np.abs(prediction - target)
            return np.where(error <= 0.3, error**2 / 2, 0.3 * (error - 0.15)).mean()

        return [Example(cls(delta=0.3), reference=reference), cls()]


class Poisson(ElementwiseLoss):
    """prediction - target * log(prediction), averaged over the outputs of a sample.

    The negative log-likelihood of counts under the predicted rates, but for log(target!), which no prediction
    changes. Rates below the machine epsilon of the dtype count as that in the logarithm.
    """

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        values = super().prepare(target, output_shape, dtype)
        if not (values >= 0).all():
            raise ValueError(f"counts of at least 0, received {values.min():g}")
        return values

    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        np.maximum(prediction, np.finfo(prediction.dtype).eps, out=out)
        np.log(out, out)
        out *= target
        np.subtract(prediction, out, out)

    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        # 1 - target / prediction, the second term only where the logarithm is not cut off
        epsilon = np.finfo(prediction.dtype).eps
        np.maximum(prediction, epsilon, out=out)
        np.divide(target, out, out)
        out *= np.greater_equal(prediction, epsilon, empty(prediction.shape))
        np.subtract(ONE[out.dtype], out, out)
