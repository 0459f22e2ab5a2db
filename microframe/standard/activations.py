"""The standard activations.

Each writes into `out` and preserves its dtype. Overflow of an exponential is intended where it leads to the right
limit, so call them under ``np.errstate(all="ignore")``, as networks do.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.interfaces import Activation, Context
from microframe.plugins import hookimpl
from microframe.standard.constants import ONE, ZERO, constant
from microframe.standard.error_function import erf
from microframe.values import Fraction, PositiveFloat


def _apart(array: Array, out: Array) -> Array:
    """`array`, or a copy of it where it would be lost by writing into `out`."""
    return array.copy() if array is out else array


class Linear(Activation):
    """x itself; costs nothing in a layer."""

    def forward(self, x: Array, out: Array) -> None:
        if out is not x:
            np.copyto(out, x)

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        if out is not dy:
            np.copyto(out, dy)

    def apply(self, ctx: Context, x: Array) -> tuple[Array | None, Array]:
        return None, x

    def pull_back(self, ctx: Context, dy: Array, x: Array | None, y: Array) -> Array:
        return dy


class ReLU(Activation):
    """max(0, x) (Nair and Hinton, 2010); its derivative at 0 is taken as 0."""

    type = "relu"

    def forward(self, x: Array, out: Array) -> None:
        np.maximum(x, ZERO[x.dtype], out=out)

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        dy = _apart(dy, out)
        np.sign(y, out)
        out *= dy


class Sigmoid(Activation):
    """1 / (1 + exp(-x)), from 0 to 1; accurate relative to its value in both tails."""

    def probabilities(self, y: Array) -> Array:
        # A lone output is the probability of the second of two classes.
        return np.concatenate([1 - y, y], axis=-1) if y.shape[-1] == 1 else y

    def forward(self, x: Array, out: Array) -> None:
        _sigmoid(x, out)

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        # y' = exp(-x) / (1 + exp(-x))^2 = y (1 - y)
        dy = _apart(dy, out)
        np.subtract(ONE[y.dtype], y, out)
        out *= y
        out *= dy


class HardSigmoid(Activation):
    """x / 6 + 1 / 2, cut to between 0 and 1: a sigmoid of straight lines (Howard et al., 2019, arXiv:1905.02244)."""

    def forward(self, x: Array, out: Array) -> None:
        np.multiply(x, 1 / 6, out)
        out += 0.5
        np.maximum(out, ZERO[x.dtype], out=out)
        np.minimum(out, ONE[x.dtype], out=out)

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        # y' = 1/6 where 0 < y < 1, which is where the sign of y (1 - y) is 1 and not 0.
        dy = _apart(dy, out)
        np.subtract(ONE[y.dtype], y, out)
        out *= y
        np.sign(out, out)
        out *= 1 / 6
        out *= dy


class Tanh(Activation):
    """The hyperbolic tangent, from -1 to 1."""

    def forward(self, x: Array, out: Array) -> None:
        np.tanh(x, out)

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        # y' = 1 - y^2
        dy = _apart(dy, out)
        np.multiply(y, y, out)
        np.subtract(ONE[y.dtype], out, out)
        out *= dy


class _Scratched(Activation):
    """An activation whose formulas need arrays besides the result, which a layer takes from its context."""

    @abstractmethod
    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        """Write f(x) into `out`, which may be `x` unless `needs_input`; `empty(shape)` gives scratch arrays."""

    @abstractmethod
    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        """Write dy * f'(x) into `out`, which is not `dy`."""

    def forward(self, x: Array, out: Array) -> None:
        self._forward(_apart(x, out) if self.needs_input else x, out, partial(np.empty, dtype=out.dtype))

    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        self._backward(_apart(dy, out), x, y, out, partial(np.empty, dtype=out.dtype))

    def apply(self, ctx: Context, x: Array) -> tuple[Array | None, Array]:
        y = ctx.empty(x.shape) if self.needs_input else x
        self._forward(x, y, ctx.empty)
        return (x if self.needs_input else None), y

    def pull_back(self, ctx: Context, dy: Array, x: Array | None, y: Array) -> Array:
        out = ctx.empty(dy.shape)
        self._backward(dy, x, y, out, ctx.empty)
        return out


class Softmax(_Scratched):
    """exp(x) / sum exp(x) over the last axis: probabilities of classes."""

    def probabilities(self, y: Array) -> Array:
        return y

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        # The maximum cancels, and without it every exponent is at most 0.
        row = np.maximum.reduce(x, axis=-1, out=empty((*x.shape[:-1], 1)), keepdims=True)
        np.subtract(x, row, out)
        np.exp(out, out)
        out /= np.add.reduce(out, axis=-1, out=row, keepdims=True)

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # dy_i/dx_j = y_i (1[i = j] - y_j), so dx_j = y_j (dy_j - sum_i dy_i y_i).
        np.multiply(dy, y, out)
        row = np.add.reduce(out, axis=-1, out=empty((*y.shape[:-1], 1)), keepdims=True)
        np.subtract(dy, row, out)
        out *= y


class LeakyReLU(_Scratched):
    """x where x > 0, slope * x elsewhere (Maas, Hannun and Ng, 2013).

    Args:
        slope: the derivative for negative x, from 0 to 1; 0.01 by default.
    """

    type = "leaky_relu"
    slope: Fraction = 0.01

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        scratch = np.multiply(x, constant(self.slope)[x.dtype], empty(x.shape))
        np.maximum(x, scratch, out=out)

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # y' = 1 where y > 0 and slope elsewhere, for a slope from 0 to 1 the larger of the slope and the sign of y.
        np.sign(y, out)
        np.maximum(out, constant(self.slope)[out.dtype], out=out)
        out *= dy

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(0.3), reference=lambda x: np.where(x > 0, x, 0.3 * x)), cls(), cls(0.0)]


class _ExponentialLinear(_Scratched):
    """scale * x where x > 0, scale * alpha * (exp(x) - 1) elsewhere."""

    @abstractmethod
    def _shape(self) -> tuple[float, float]:
        """scale, and scale * alpha."""

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        scale, depth = self._shape()
        scratch = np.minimum(x, ZERO[x.dtype], out=empty(x.shape))
        np.expm1(scratch, scratch)
        scratch *= depth
        np.maximum(x, ZERO[x.dtype], out=out)
        out *= scale
        out += scratch

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # y' = depth exp(x) = y + depth where y <= 0, and scale = depth + (scale - depth) elsewhere.
        scale, depth = self._shape()
        scratch = np.maximum(y, ZERO[y.dtype], out=empty(y.shape))
        np.sign(scratch, scratch)
        scratch *= scale - depth
        np.minimum(y, ZERO[y.dtype], out=out)
        out += depth
        out += scratch
        out *= dy


class ELU(_ExponentialLinear):
    """x where x > 0, alpha * (exp(x) - 1) elsewhere (Clevert et al., 2016, arXiv:1511.07289).

    Args:
        alpha: minus the limit for very negative x; 1 by default.
    """

    alpha: PositiveFloat = 1.0

    def _shape(self) -> tuple[float, float]:
        return 1.0, self.alpha

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(0.5), reference=lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))), cls(), cls(2.0)]


class SELU(_ExponentialLinear):
    """scale * ELU(x), with the constants that keep mean 0 and variance 1 (Klambauer et al., 2017, arXiv:1706.02515)."""

    def _shape(self) -> tuple[float, float]:
        return 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772


class Softplus(_Scratched):
    """log(1 + exp(x)), a smooth max(0, x) (Dugas et al., 2001)."""

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        # max(0, x) + log(1 + exp(-|x|)), whose exponent never overflows.
        scratch = np.absolute(x, empty(x.shape))
        np.negative(scratch, scratch)
        np.exp(scratch, scratch)
        np.log1p(scratch, scratch)
        np.maximum(x, ZERO[x.dtype], out=out)
        out += scratch

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # y' = exp(x) / (1 + exp(x)) = 1 - exp(-y)
        np.negative(y, out)
        np.expm1(out, out)
        out *= dy
        np.negative(out, out)


class Softsign(_Scratched):
    """x / (1 + |x|), from -1 to 1 (Bergstra et al., 2009)."""

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        scratch = np.absolute(x, empty(x.shape))
        scratch += ONE[x.dtype]
        np.divide(x, scratch, out)

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # y' = 1 / (1 + |x|)^2 = (1 - |y|)^2
        np.absolute(y, out)
        np.subtract(ONE[y.dtype], out, out)
        np.multiply(out, out, out)
        out *= dy


class LogSoftmax(_Scratched):
    """x - log sum exp(x) over the last axis: logarithms of the probabilities of classes."""

    def probabilities(self, y: Array) -> Array:
        return np.exp(y)

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        row = np.maximum.reduce(x, axis=-1, out=empty((*x.shape[:-1], 1)), keepdims=True)
        np.subtract(x, row, out)
        np.add.reduce(np.exp(out, empty(x.shape)), axis=-1, out=row, keepdims=True)
        out -= np.log(row, row)

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # dy_i/dx_j = 1[i = j] - exp(y_j), so dx_j = dy_j - exp(y_j) sum_i dy_i.
        np.exp(y, out)
        out *= np.add.reduce(dy, axis=-1, out=empty((*y.shape[:-1], 1)), keepdims=True)
        np.subtract(dy, out, out)


class _Gated(_Scratched):
    """x * gate(x), where the gate rises from 0 to 1 and is 1/2 at 0."""

    needs_input = True

    @abstractmethod
    def _gate(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        """Write gate(x) into `out`."""

    @abstractmethod
    def _derivative(self, x: Array, gate: Array, out: Array) -> None:
        """Write gate(x) + x * gate'(x) into `out`; `gate` may be overwritten."""

    def _forward(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        self._gate(x, out, empty)
        out *= x

    def _backward(self, dy: Array, x: Array | None, y: Array, out: Array, empty: Callable[..., Array]) -> None:
        # The gate is y / x. The offsets make that 1/2 at 0, and are lost in rounding unless x is almost 0.
        assert x is not None
        np.add(x, 2e-30, out)
        gate = np.add(y, 1e-30, empty(y.shape))
        gate /= out
        self._derivative(x, gate, out)
        out *= dy


class SiLU(_Gated):
    """x * sigmoid(x), also known as swish (Elfwing et al., 2018, arXiv:1702.03118)."""

    type = "silu"

    def _gate(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        _sigmoid(x, out)

    def _derivative(self, x: Array, gate: Array, out: Array) -> None:
        # gate + x gate (1 - gate) = gate (1 + x (1 - gate))
        np.subtract(ONE[x.dtype], gate, out)
        out *= x
        out += ONE[x.dtype]
        out *= gate


class GELU(_Gated):
    """x * Phi(x), with the normal distribution function Phi (Hendrycks and Gimpel, 2016, arXiv:1606.08415).

    Args:
        approximate: whether to use Phi(x) = sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)) of that paper, often written
            with a tanh, by which x * Phi(x) is off by up to 5e-4; False by default.
    """

    approximate: bool = False

    def _gate(self, x: Array, out: Array, empty: Callable[..., Array]) -> None:
        if self.approximate:
            _odd_cubic(x, 0.044715, out)
            _sigmoid(out, out)
        else:
            erf(x, out, empty(x.shape), math.sqrt(0.5))
            out += ONE[x.dtype]
            out *= 0.5

    def _derivative(self, x: Array, gate: Array, out: Array) -> None:
        if self.approximate:
            # gate' = gate (1 - gate) v', v = c (x + b x^3), so that x v' = c (x + 3 b x^3).
            _odd_cubic(x, 3 * 0.044715, out)
            out *= gate
            np.subtract(ONE[x.dtype], gate, gate)
            out *= gate
            out -= gate
            out += ONE[x.dtype]
        else:
            # Phi' = exp(-x^2 / 2) / sqrt(2 pi)
            np.multiply(x, x, out)
            out *= -0.5
            np.exp(out, out)
            out *= 1 / math.sqrt(2 * math.pi)
            out *= x
            out += gate

    @classmethod
    def examples(cls) -> list[Component | Example]:
        scale = math.sqrt(2 / math.pi)
        with_tanh = Example(
            cls(approximate=True), reference=lambda x: x / 2 * (1 + np.tanh(scale * (x + 0.044715 * x**3)))
        )
        return [cls(), with_tanh]


def _sigmoid(x: Array, out: Array) -> None:
    # exp(-x) overflows to inf for very negative x, whose reciprocal 0 is the right limit.
    np.negative(x, out)
    np.exp(out, out)
    out += ONE[x.dtype]
    np.reciprocal(out, out)


def _odd_cubic(x: Array, cubic: float, out: Array) -> None:
    """Write 2 sqrt(2 / pi) (x + cubic * x^3) into `out`."""
    np.multiply(x, x, out)
    out *= cubic
    out += ONE[x.dtype]
    out *= x
    out *= 2 * math.sqrt(2 / math.pi)


@hookimpl
def microframe_components() -> list[type[Component]]:
    """The standard activations."""
    return [
        Linear,
        ReLU,
        LeakyReLU,
        ELU,
        SELU,
        GELU,
        SiLU,
        Softplus,
        Softsign,
        Sigmoid,
        HardSigmoid,
        Tanh,
        Softmax,
        LogSoftmax,
    ]
