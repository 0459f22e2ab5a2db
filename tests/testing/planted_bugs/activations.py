"""Activations whose formulas are wrong, or go wrong for some inputs; and right ones."""

from __future__ import annotations

import numpy as np

from microframe import Activation, Example
from planted_bugs.planting import caught_by, correct


@caught_by("gradient")
class TanhWithoutSquare(Activation):
    """tanh x, with the derivative 1 - y in place of 1 - y^2."""

    def forward(self, x, out):
        np.tanh(x, out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, 1 - y, out)


@caught_by("gradient", raises=TypeError)
class UndeclaredInput(Activation):
    """x sigmoid(x), whose backward reads x without needs_input."""

    def forward(self, x, out):
        np.divide(x, 1 + np.exp(-x), out=out)

    def backward(self, dy, x, y, out):
        share = 1 / (1 + np.exp(-x))
        np.multiply(dy, share + y * (1 - share), out=out)


@caught_by("gradient")
class DiagonalOfSoftmax(Activation):
    """Softmax, with the derivative of each output by its own input alone, y (1 - y)."""

    def forward(self, x, out):
        np.exp(x - x.max(axis=-1, keepdims=True), out)
        out /= out.sum(axis=-1, keepdims=True)

    def backward(self, dy, x, y, out):
        np.multiply(dy, y * (1 - y), out)

    def probabilities(self, y):
        return y


@caught_by("gradient")
class ForgottenBranch(Activation):
    """log(1 + exp(x)), and x itself above 30, where the derivative is said to be 0."""

    needs_input = True

    def forward(self, x, out):
        np.copyto(out, np.where(x > 30, x, np.log1p(np.exp(np.minimum(x, 30)))))

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.where(x > 30, 0, 0.5 + 0.5 * np.tanh(x / 2)), out)


@caught_by("precision")
class DerivativeByDifferences(Activation):
    """sin x, whose derivative is a quotient of differences 1e-6 apart, of which float32 leaves nothing."""

    needs_input = True

    def forward(self, x, out):
        np.sin(x, out)

    def backward(self, dy, x, y, out):
        step = x.dtype.type(1e-6)
        np.multiply(dy, (np.sin(x + step) - np.sin(x - step)) / (2 * step), out)


@caught_by("rows_apart")
class SoftmaxOverRows(Activation):
    """Softmax over the first axis, which is that of the samples."""

    def forward(self, x, out):
        np.exp(x - x.max(axis=0, initial=-np.inf), out)
        out /= out.sum(axis=0)

    def backward(self, dy, x, y, out):
        np.multiply(dy - (dy * y).sum(axis=0), y, out)


@caught_by("rows_apart")
class ForgottenRest(Activation):
    """x / 2, for blocks of 64 rows where there are as many, and then not for those left over."""

    def forward(self, x, out):
        np.copyto(out, x)
        rows = len(x) // 64 * 64 or len(x)
        out[:rows] /= 2

    def backward(self, dy, x, y, out):
        np.copyto(out, dy)
        rows = len(dy) // 64 * 64 or len(dy)
        out[:rows] /= 2


@caught_by("extremes")
class OverflowingSoftmax(Activation):
    """Softmax without the largest input subtracted first."""

    def forward(self, x, out):
        np.exp(x, out)
        out /= out.sum(axis=-1, keepdims=True)

    def backward(self, dy, x, y, out):
        inner = (dy * y).sum(axis=-1, keepdims=True)
        np.multiply(dy - inner, y, out)

    def probabilities(self, y):
        return y


@caught_by("extremes")
class OverflowingSigmoid(Activation):
    """exp(x) / (1 + exp(x)), which is inf / inf for large x."""

    def forward(self, x, out):
        odds = np.exp(x)
        np.divide(odds, 1 + odds, out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, y * (1 - y), out)


@caught_by("extremes")
class OverflowingSoftplus(Activation):
    """log(1 + exp(x)), which is infinite where x is only large."""

    def forward(self, x, out):
        np.log1p(np.exp(x), out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, 1 - np.exp(-y), out)


@caught_by("probabilities")
class UnequalShares(Activation):
    """A sigmoid of each class, given out as the probabilities of classes that exclude each other."""

    def forward(self, x, out):
        np.divide(1, 1 + np.exp(-x), out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, y * (1 - y), out)

    def probabilities(self, y):
        return y / y.max(axis=-1, keepdims=True)


@caught_by("reference")
class SlopeOfAThird(Activation):
    """min(max(x / 6 + 1/2, 0), 1) by its reference, but with the slope 1/3 in fact."""

    def forward(self, x, out):
        np.clip(x / 3 + 0.5, 0, 1, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy / 3, (y > 0) & (y < 1), out)

    @classmethod
    def examples(cls):
        return [Example(cls(), reference=lambda x: np.clip(x / 6 + 0.5, 0, 1))]


@correct
class Steps(Activation):
    """max(-1, min(x, 1)), with kinks at -1 and 1 and no slope beyond."""

    needs_input = True

    def forward(self, x, out):
        np.clip(x, -1, 1, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.abs(x) < 1, out)

    @classmethod
    def examples(cls):
        return [Example(cls(), reference=lambda x: np.clip(x, -1, 1))]


@correct
class UnitLength(Activation):
    """x / sqrt(1 + |x|^2) over the last axis: not elementwise, and without probabilities."""

    needs_input = True

    def forward(self, x, out):
        np.divide(x, np.sqrt(1 + (x * x).sum(axis=-1, keepdims=True)), out)

    def backward(self, dy, x, y, out):
        # With r the root: dx = (dy - y (dy . y)) / r
        root = np.sqrt(1 + (x * x).sum(axis=-1, keepdims=True))
        np.divide(dy - y * (dy * y).sum(axis=-1, keepdims=True), root, out)


@correct
class Squared(Activation):
    """x^2, which is finite as far as the dtype goes."""

    needs_input = True

    def forward(self, x, out):
        np.multiply(x, x, out)

    def backward(self, dy, x, y, out):
        np.multiply(2 * x, dy, out)


@correct
class Sign(Activation):
    """The sign of x, with the gradient of max(-1, min(x, 1)) (Courbariaux et al., 2016)."""

    needs_input = True
    gradient_is_exact = False

    def forward(self, x, out):
        np.copyto(out, np.where(x < 0, x.dtype.type(-1), x.dtype.type(1)))

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.abs(x) <= 1, out)


@correct
class FastSine(Activation):
    """sin 30 x (Sitzmann et al., 2020), which turns around many times within the inputs tried."""

    needs_input = True

    def forward(self, x, out):
        np.sin(30 * x, out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, 30 * np.cos(30 * x), out)
