"""Losses whose value, or the gradient of it, is another than they say."""

from __future__ import annotations

import numpy as np

from microframe import Example, Loss
from planted_bugs.planting import caught_by


def _per_sample(values):
    return values.mean(axis=tuple(range(1, values.ndim)))


@caught_by("gradient")
class GradientOfHalf(Loss):
    """The mean of (p - t)^2, with the gradient of (p - t)^2 / 2."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out /= out.size


@caught_by("gradient")
class GradientOfTheSum(Loss):
    """The mean of |p - t|, with a gradient that is not divided by the number of samples."""

    def sample_values(self, prediction, target):
        return _per_sample(np.abs(prediction - target))

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        np.sign(out, out)
        out /= out[0].size if len(out) else 1


@caught_by("gradient")
class SignOfTheDifference(Loss):
    """The mean of (p - t)^4, with the gradient for t in place of that for p."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 4)

    def gradient(self, prediction, target, out):
        np.subtract(target, prediction, out)
        out *= 4 * out * out / out.size


@caught_by("gradient")
class NeverCut(Loss):
    """Huber's loss, quadratic up to 10 and straight beyond, with the gradient of the quadratic all the way."""

    delta: float = 10.0

    def sample_values(self, prediction, target):
        distance = np.abs(prediction - target)
        straight = self.delta * (distance - self.delta / 2)
        return _per_sample(np.where(distance < self.delta, distance**2 / 2, straight))

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out /= out.size


@caught_by("gradient")
class SumOfManyOutputs(Loss):
    """(p - t)^2, averaged over up to 16 outputs, but summed over more, where the gradient is still that of the mean."""

    def sample_values(self, prediction, target):
        squares = ((prediction - target) ** 2).reshape(len(prediction), -1)
        return squares.mean(axis=1) if squares.shape[1] <= 16 else squares.sum(axis=1)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("reduction")
class OneValueAnOutput(Loss):
    """(p - t)^2 for each output, not reduced to one number a sample."""

    def sample_values(self, prediction, target):
        return (prediction - target) ** 2

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("reduction")
class MeanOfSamples(Loss):
    """(p - t)^2 averaged over the samples, one value an output."""

    def sample_values(self, prediction, target):
        return ((prediction - target) ** 2).mean(axis=0)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("reduction")
class SumOfTheBatch(Loss):
    """The mean of (p - t)^2, whose value is summed over the batch, and its gradient as well."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def value(self, prediction, target, weight=None):
        values = self.sample_values(prediction, target)
        return float(values.sum() if weight is None else np.dot(values, weight))

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 * len(out) / out.size


@caught_by("sample_weights")
class IgnoresWeights(Loss):
    """The mean of (p - t)^2, with a faster value that forgets the weights of samples."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def value(self, prediction, target, weight=None):
        difference = prediction - target
        return float(np.vdot(difference, difference)) / difference.size

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("sample_weights")
class DividesByWeights(Loss):
    """The mean of (p - t)^2, weighted by a mean over the weights in place of one over the samples."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def value(self, prediction, target, weight=None):
        return float(np.average(self.sample_values(prediction, target), weights=weight))

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("value_and_gradient")
class DisagreesWithItself(Loss):
    """The mean of (p - t)^2 / 2, whose value_and_gradient forgets the half."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2) / 2

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out /= out.size

    def value_and_gradient(self, prediction, target, out, empty=np.empty):
        np.subtract(prediction, target, out)
        value = float(np.vdot(out, out)) / out.size
        out /= out.size
        return value


@caught_by("value_and_gradient")
class TakesEmptyForZeros(Loss):
    """The mean of (p - t)^2, whose value_and_gradient adds up in an array that is not cleared first."""

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size

    def value_and_gradient(self, prediction, target, out, empty=np.zeros):
        squares = empty(prediction.shape)
        squares += (prediction - target) ** 2
        self.gradient(prediction, target, out)
        return float(squares.mean())


@caught_by("reference")
class SlopeForgotten(Loss):
    """Huber's loss by its reference; beyond 1 the straight line is |d| and not |d| - 1/2."""

    def sample_values(self, prediction, target):
        distance = np.abs(prediction - target)
        return _per_sample(np.where(distance < 1, distance**2 / 2, distance))

    def gradient(self, prediction, target, out):
        np.clip(prediction - target, -1, 1, out=out)
        out /= out.size

    @classmethod
    def examples(cls):
        def reference(prediction, target):
            distance = np.abs(prediction - target)
            return np.mean(np.where(distance < 1, distance**2 / 2, distance - 0.5))

        return [Example(cls(), reference=reference)]
