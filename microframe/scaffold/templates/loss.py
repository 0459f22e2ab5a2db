"""A loss for microframe: the logarithm of the hyperbolic cosine."""

from __future__ import annotations

import numpy as np

from microframe import Component, Example, Loss, hookimpl
from microframe.arrays import Array
from microframe.values import PositiveFloat


class PartName(Loss):
    """s^2 log cosh(e / s) of the error e = prediction - target, averaged over the outputs.

    About e^2 / 2 for errors that are small beside the scale s, and s |e| for large ones: a
    smooth Huber loss, whose gradient is at most s.

    Fields:
        scale: s; default 1.
    """

    scale: PositiveFloat = 1.0

    def sample_values(self, prediction: Array, target: Array) -> Array:
        # log cosh u = |u| + log((1 + exp(-2 |u|)) / 2), where no exponential overflows, and
        # with expm1 and log1p no digits are lost for small u either.
        error = np.subtract(prediction, target)
        error /= self.scale
        np.abs(error, out=error)
        values = np.expm1(-2 * error)
        values *= 0.5
        np.log1p(values, out=values)
        values += error
        values *= self.scale**2
        sample_values: Array = values.mean(axis=tuple(range(1, values.ndim)))
        return sample_values

    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        # d/de s^2 log cosh(e / s) = s tanh(e / s), over the number of samples and of outputs
        np.subtract(prediction, target, out=out)
        out /= self.scale
        np.tanh(out, out=out)
        out *= self.scale / prediction.size

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls(), reference=_reference), Example(cls(0.3))]


def _reference(prediction: Array, target: Array) -> float:
    return float(np.log(np.cosh(prediction - target)).mean())


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
