"""Losses that go wrong at extremes, with some dtypes or memory layouts, or keep things; and right ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from microframe import Activation, Example, Loss
from microframe.standard.activations import Sigmoid
from planted_bugs.planting import caught_by, correct

_LAST: dict[str, Any] = {}


def _per_sample(values):
    return values.mean(axis=tuple(range(1, values.ndim)))


@caught_by("extremes")
class OverflowingLogCosh(Loss):
    """log cosh(p - t), whose cosh overflows long before its logarithm would."""

    def sample_values(self, prediction, target):
        return _per_sample(np.log(np.cosh(prediction - target)))

    def gradient(self, prediction, target, out):
        np.tanh(prediction - target, out)
        out /= out.size


@caught_by("extremes")
class LogarithmOfZero(Loss):
    """-(t log p + (1 - t) log(1 - p)), which is 0 * -inf where p is exactly 0 or 1."""

    needs_probabilities = True

    def sample_values(self, prediction, target):
        return _per_sample(-(target * np.log(prediction) + (1 - target) * np.log(1 - prediction)))

    def gradient(self, prediction, target, out):
        np.divide(prediction - target, prediction * (1 - prediction) * out.size, out)


@caught_by("dtype_kept")
class Float64Values(Loss):
    """The mean of (p - t)^2 with one weight an output, which makes float64 of float32."""

    def sample_values(self, prediction, target):
        values = ((prediction - target) ** 2).reshape(len(prediction), -1)
        return values @ np.full(values.shape[1], 1 / values.shape[1])

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("prepare")
class Float64Targets(Loss):
    """The mean of (p - t)^2, whose targets are prepared in float64 whatever the network's dtype."""

    def prepare(self, target, output_shape, dtype):
        return np.asarray(target, dtype=float).reshape(len(target), *output_shape)

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target.astype(prediction.dtype)) ** 2)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out, casting="same_kind")
        out *= 2 / out.size


@caught_by("prepare")
class BroadcastsTargets(Loss):
    """The mean of (p - t)^2, which takes targets of any shape that broadcasts to the predictions."""

    def prepare(self, target, output_shape, dtype):
        return np.broadcast_to(np.asarray(target, dtype).reshape(len(target), -1), (len(target), *output_shape))

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("arguments_unmodified")
class CutsThePrediction(Loss):
    """-t log p, with p cut to more than 0 in the array of the prediction."""

    needs_probabilities = True

    def sample_values(self, prediction, target):
        np.maximum(prediction, 1e-7, out=prediction)
        return _per_sample(-target * np.log(prediction))

    def gradient(self, prediction, target, out):
        np.divide(-target, np.maximum(prediction, 1e-7), out)
        out /= out.size


@caught_by("memory_layouts")
class OrderOfMemory(Loss):
    """The mean of (p - t)^2, which pairs values in the order in which they lie in memory."""

    def sample_values(self, prediction, target):
        difference = np.ravel(prediction, order="K") - np.ravel(target, order="K")
        return _per_sample((difference**2).reshape(len(prediction), -1))

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("keeps_nothing")
class KeepsTheDifference(Loss):
    """The mean of (p - t)^2, which keeps p - t on itself for the gradient."""

    def sample_values(self, prediction, target):
        object.__setattr__(self, "difference", prediction - target)
        return _per_sample(self.difference**2)

    def gradient(self, prediction, target, out):
        np.multiply(prediction - target, 2 / out.size, out)


@caught_by("interleaved")
class DifferenceInTheModule(Loss):
    """The mean of (p - t)^2, which keeps p - t beside itself for the gradient."""

    def sample_values(self, prediction, target):
        _LAST["difference"] = prediction - target
        return _per_sample(_LAST["difference"] ** 2)

    def gradient(self, prediction, target, out):
        difference = _LAST.get("difference")
        if difference is None or difference.shape != out.shape:
            difference = prediction - target
        np.multiply(difference, 2 / out.size, out)


@caught_by("no_global_random_state")
class GlobalLabelNoise(Loss):
    """The mean of (p - t)^2, with a little noise on the targets from NumPy's global generator."""

    def prepare(self, target, output_shape, dtype):
        values = super().prepare(target, output_shape, dtype)
        return values + np.random.normal(0, 1e-3, values.shape).astype(dtype)  # noqa: NPY002

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


@caught_by("deterministic")
class UnseededLabelNoise(Loss):
    """The mean of (p - t)^2, with a little noise on the targets from a new generator each time."""

    def prepare(self, target, output_shape, dtype):
        values = super().prepare(target, output_shape, dtype)
        return values + np.random.default_rng().normal(0, 1e-3, values.shape).astype(dtype)

    def sample_values(self, prediction, target):
        return _per_sample((prediction - target) ** 2)

    def gradient(self, prediction, target, out):
        np.subtract(prediction, target, out)
        out *= 2 / out.size


class OwnSigmoid(Activation):
    """1 / (1 + exp(-x)), as a plugin has it that brings its own."""

    def forward(self, x, out):
        np.copyto(out, 0.5 + 0.5 * np.tanh(x / 2))

    def backward(self, dy, x, y, out):
        np.multiply(dy, y * (1 - y), out=out)


class _Logistic(Loss):
    """The mean of log(1 + exp(z)) - t z, for logits z; its gradient is 0 beyond a limit."""

    scale: float = 1.0
    limit: float = 1e9

    def sample_values(self, prediction, target):
        return _per_sample(np.logaddexp(0, prediction) - target * prediction)

    def gradient(self, prediction, target, out):
        np.subtract(0.5 + 0.5 * np.tanh(prediction / 2), target, out)
        out *= self.scale / out.size * (np.abs(prediction) < self.limit)


class _Entropy(Loss):
    """-(t log p + (1 - t) log(1 - p)), with p cut to between the machine epsilon and 1 less that."""

    needs_probabilities = True

    def _cut(self, prediction):
        epsilon = np.finfo(prediction.dtype).eps
        return np.clip(prediction, epsilon, 1 - epsilon)

    def sample_values(self, prediction, target):
        cut = self._cut(prediction)
        return _per_sample(-(target * np.log(cut) + (1 - target) * np.log1p(-cut)))

    def gradient(self, prediction, target, out):
        cut = self._cut(prediction)
        np.divide((cut - target) * (cut == prediction), cut * (1 - cut), out)
        out /= out.size


@caught_by("fused_gradient")
class FusedByHalf(_Entropy):
    """Binary cross-entropy whose form for logits has half the gradient."""

    def fuse(self, activation: Any):
        return _Logistic(0.5) if type(activation) is Sigmoid else None


@caught_by("fused_gradient")
class FusedUpTo20(_Entropy):
    """Binary cross-entropy whose form for logits has no gradient where they are beyond 20."""

    def fuse(self, activation: Any):
        return _Logistic(limit=20.0) if type(activation) is Sigmoid else None


@caught_by("fused_gradient")
class FusedWithItsOwnUpsideDown(_Entropy):
    """Binary cross-entropy whose form for logits, for the sigmoid of its own module, has the sign of -gradient."""

    def fuse(self, activation: Any):
        return _Logistic(-1.0) if type(activation) is OwnSigmoid else None


@correct
class FusedWithItsOwn(_Entropy):
    """Binary cross-entropy with a form for the logits of the sigmoid of its own module."""

    def fuse(self, activation: Any):
        return _Logistic() if isinstance(activation, OwnSigmoid) else None


@correct
class FusedRightly(_Entropy):
    """Binary cross-entropy with a form for logits that is finite for all of them."""

    def fuse(self, activation: Any):
        return _Logistic() if type(activation) is Sigmoid else None


@correct
class SumOfOutputs(Loss):
    """|p - t| summed over the outputs of a sample, with a kink where they are equal; no probabilities needed."""

    def sample_values(self, prediction, target):
        return np.abs(prediction - target).reshape(len(prediction), -1).sum(axis=1)

    def gradient(self, prediction, target, out):
        np.sign(prediction - target, out)
        out /= max(len(out), 1)

    @classmethod
    def examples(cls):
        def reference(prediction, target):
            return np.abs(prediction - target).sum() / len(prediction)

        return [Example(cls(), reference=reference)]


@correct
class Welsch(Loss):
    """1 - exp(-(p - t)^2 / 2), which is flat far away (Dennis and Welsch, 1978)."""

    def sample_values(self, prediction, target):
        return _per_sample(-np.expm1(-((prediction - target) ** 2) / 2))

    def gradient(self, prediction, target, out):
        difference = prediction - target
        np.divide(difference * np.exp(-(difference**2) / 2), out.size, out)


@correct
class Pinball(Loss):
    """The loss of the 0.9 quantile: 0.9 (t - p) above the prediction, 0.1 (p - t) below; not symmetric."""

    quantile: float = 0.9

    def sample_values(self, prediction, target):
        difference = target - prediction
        return _per_sample(np.maximum(self.quantile * difference, (self.quantile - 1) * difference))

    def gradient(self, prediction, target, out):
        out[...] = np.where(target > prediction, -self.quantile, 1 - self.quantile)
        out /= out.size
