"""Cross-entropy of independent yes-or-no outputs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from microframe.arrays import Array, Shape
from microframe.interfaces import Activation, Loss
from microframe.standard.activations import Sigmoid
from microframe.standard.constants import ONE, ZERO, constant
from microframe.standard.losses import targets
from microframe.standard.losses.elementwise import ElementwiseLoss


class BinaryCrossEntropy(ElementwiseLoss):
    """-(t log p + (1 - t) log(1 - p)), averaged over the outputs of a sample.

    Predictions p are probabilities, cut to between epsilon and 1 - epsilon, the machine epsilon of the dtype (1.2e-7
    in float32); where they are cut the gradient is 0. After a sigmoid, training uses the logits, which need no cut.

    Targets t are class numbers 0 and 1 (samples,) for a single output, or an array (samples, *outputs) of values from
    0 to 1, such as a table of several labels for each sample.
    """

    target = "classes"

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return targets.binary(target, output_shape, dtype)

    def element_values(self, prediction: Array, target: Array, out: Array) -> None:
        # log(1 - p) - t (log(1 - p) - log p), times -1
        cut = _cut(prediction)
        np.log(cut, out)
        np.subtract(ONE[cut.dtype], cut, cut)
        np.log(cut, cut)
        np.subtract(cut, out, out)
        out *= target
        out -= cut

    def element_derivatives(self, prediction: Array, target: Array, out: Array) -> None:
        # -t / p + (1 - t) / (1 - p) = (p - t) / (p (1 - p))
        cut = _cut(prediction)
        inside = cut == prediction
        np.subtract(cut, target, out)
        out /= cut
        np.subtract(ONE[cut.dtype], cut, cut)
        out /= cut
        out *= inside

    def fuse(self, activation: Activation) -> Loss | None:
        return _SigmoidBinaryCrossEntropy(self) if type(activation) is Sigmoid else None


class _SigmoidBinaryCrossEntropy(ElementwiseLoss):
    """Binary cross-entropy as a function of logits z, p = sigmoid(z): log(1 + exp(z)) - t z."""

    target = "classes"
    loss: BinaryCrossEntropy

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return self.loss.prepare(target, output_shape, dtype)

    def element_values(self, prediction: Array, target: Array, out: Array) -> None:
        # log(1 + exp(z)) = log(1 + exp(-|z|)) + max(z, 0), whose exponent never overflows
        np.absolute(prediction, out)
        np.negative(out, out)
        np.exp(out, out)
        np.log1p(out, out)
        out += np.maximum(prediction, ZERO[out.dtype]) - target * prediction

    def element_derivatives(self, prediction: Array, target: Array, out: Array) -> None:
        # exp(z) / (1 + exp(z)) - t
        np.exp(prediction, out)
        _odds_to_probabilities(out)
        out -= target

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        values = empty(prediction.shape)
        np.exp(prediction, out)
        np.log1p(out, values)
        value = (float(np.add.reduce(values, axis=None)) - float(np.vdot(target, prediction))) / values.size
        _odds_to_probabilities(out)
        out -= target
        out *= constant(1 / values.size)[out.dtype]
        # exp(z) overflows for z > 88 in float32, and the difference of two large sums may be a rounding error below
        # 0: both are rare, and only then the value is computed with more care.
        return value if 0 <= value < math.inf else self.value(prediction, target)


def _cut(prediction: Array) -> Array:
    """A copy of probabilities with those within the machine epsilon of 0 and 1 moved to there."""
    epsilon = np.finfo(prediction.dtype).eps
    cut: Array = np.maximum(prediction, epsilon)
    np.minimum(cut, 1 - epsilon, out=cut)
    return cut


def _odds_to_probabilities(odds: Array) -> None:
    """Replace odds = exp(z) by 1 / (1 + 1 / odds) = sigmoid(z), right for odds of 0 and inf too."""
    np.reciprocal(odds, odds)
    odds += ONE[odds.dtype]
    np.reciprocal(odds, odds)
