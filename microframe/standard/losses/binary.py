"""Cross-entropy of independent yes-or-no outputs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from microframe import targets
from microframe.arrays import Array, Shape
from microframe.interfaces import Activation, Loss
from microframe.standard.activations import Sigmoid
from microframe.standard.constants import ONE, ZERO, constant
from microframe.standard.losses.elementwise import ElementwiseLoss


class BinaryCrossEntropy(ElementwiseLoss):
    """-(t log p + (1 - t) log(1 - p)), averaged over the outputs of a sample.

    Predictions p are probabilities, cut to between epsilon and 1 - epsilon, the machine epsilon of the dtype (1.2e-7
    in float32); where they are cut the gradient is 0. After a sigmoid, training uses the logits, which need no cut.

    Targets t are class numbers 0 and 1 (samples,) for a single output, or an array (samples, *outputs) of values from
    0 to 1, such as a table of several labels, or the share of yes, for each sample.
    """

    target = "classes"
    needs_probabilities = True

    def takes_labels(self, target: Array) -> bool:
        """Labels, unless they are shares between 0 and 1."""
        is_share = target.dtype.kind == "f" and bool((target != np.floor(target)).any())
        return super().takes_labels(target) and not is_share

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        return targets.binary(target, output_shape, dtype)

    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        # log(1 - p) - t (log(1 - p) - log p), times -1
        cut = _cut(prediction, empty)
        np.log(cut, out)
        np.subtract(ONE[cut.dtype], cut, cut)
        np.log(cut, cut)
        np.subtract(cut, out, out)
        out *= target
        out -= cut

    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        # -t / p + (1 - t) / (1 - p) = (p - t) / (p (1 - p))
        cut = _cut(prediction, empty)
        inside = np.equal(cut, prediction, empty(prediction.shape))
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

    def element_values(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), whose exponent never overflows
        scratch = np.multiply(target, prediction, empty(prediction.shape))
        np.maximum(prediction, ZERO[out.dtype], out=out)
        out -= scratch
        np.copysign(prediction, constant(-1)[out.dtype], scratch)
        np.exp(scratch, scratch)
        out += np.log1p(scratch, scratch)

    def element_derivatives(self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array]) -> None:
        # 1 / (1 + exp(-z)) - t
        np.negative(prediction, out)
        np.exp(out, out)
        out += ONE[out.dtype]
        np.reciprocal(out, out)
        out -= target

    def value_and_gradient(
        self, prediction: Array, target: Array, out: Array, empty: Callable[..., Array] = np.empty
    ) -> float:
        # (1 - t) log(1 + exp(z)) + t log(1 + exp(-z)): no term is below 0, so that none is lost in another's rounding,
        # as a small value would be in log(1 + exp(z)) - t z. The odds exp(z) and their inverse serve the gradient too.
        values, rest = empty(prediction.shape), empty(prediction.shape)
        one = ONE[out.dtype]
        np.exp(prediction, out)
        np.log1p(out, values)
        np.subtract(one, target, rest)
        total = np.vdot(rest, values)
        np.reciprocal(out, out)
        np.log1p(out, values)
        value = float(total + np.vdot(target, values)) / out.size
        out += one
        np.reciprocal(out, out)
        out -= target
        out *= constant(1 / out.size)[out.dtype]
        # exp overflows for |z| > 88 in float32, which is rare: only then the value is computed with more care.
        if not value < math.inf:
            self.element_values(prediction, target, values, lambda *_: rest)
            value = float(np.add.reduce(values, axis=None)) / values.size
        return value


def _cut(prediction: Array, empty: Callable[..., Array]) -> Array:
    """A copy of probabilities with those within the machine epsilon of 0 and 1 moved to there."""
    epsilon = np.finfo(prediction.dtype).eps
    cut: Array = np.maximum(prediction, epsilon, out=empty(prediction.shape))
    np.minimum(cut, 1 - epsilon, out=cut)
    return cut
