"""Initializers: constants, random draws, and the scalings that keep the variance of signals steady through layers.

Random values are drawn in float64 and rounded to the parameter's dtype, so one seed means the same network in
float32 and in float64.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
import numpy as np

from microframe.arrays import Array, Generator, Shape
from microframe.component import Component
from microframe.interfaces.initializer import Initializer, fans
from microframe.plugins import hookimpl
from microframe.values import NonNegativeFloat, NonNegativeInteger

TRUNCATED_DEVIATION = math.sqrt(1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2)))
"""The standard deviation, 0.8796, of a standard normal variable that is cut at +-2.

For a cut at +-c the variance is 1 - 2 c phi(c) / P(|z| < c), with phi the standard normal density.
"""

LegacySeed = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class Zeros(Initializer):
    """Zero everywhere."""

    def fill(self, out: Array, rng: Generator) -> None:
        out.fill(0)

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return 0.0, 0.0


class Ones(Initializer):
    """One everywhere."""

    def fill(self, out: Array, rng: Generator) -> None:
        out.fill(1)

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return 1.0, 1.0


class Constant(Initializer):
    """Given values.

    Fields:
        value: a number, a list of numbers, or a list of lists (rows) of one length; broadcast to the parameter's
            shape, so a list of n numbers fits any shape that ends in n.

    `fill` raises ValueError if `value` does not broadcast to the shape of the parameter.
    """

    value: float | tuple[float | tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if isinstance(self.value, tuple) and len({_length(row) for row in self.value}) > 1:
            raise ValueError("value to be a number, a list of numbers, or rows of one length")

    def fill(self, out: Array, rng: Generator) -> None:
        values = np.asarray(self.value)
        try:
            out[...] = np.broadcast_to(values, out.shape)
        except ValueError as error:
            expected = f"expected a value that broadcasts to shape {out.shape}"
            raise ValueError(f"{expected}, received shape {values.shape}") from error

    def bounds(self, shape: Shape) -> tuple[float, float]:
        values = np.asarray(self.value)
        return float(values.min()), float(values.max())

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(2.5), cls((1.0, -2.5)), cls(((1.0, 2.0), (3.0, 4.0)))]


class Normal(Initializer):
    """Draws from the normal distribution.

    Fields:
        mean: default 0.
        standard_deviation: default 0.05.
    """

    mean: float = 0.0
    standard_deviation: NonNegativeFloat = 0.05

    def fill(self, out: Array, rng: Generator) -> None:
        out[...] = rng.normal(self.mean, self.standard_deviation, out.shape)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(mean=1.0, standard_deviation=2.0)]


class Uniform(Initializer):
    """Draws from the uniform distribution on [low, high).

    Fields:
        low: default -0.05.
        high: default 0.05; above `low`.
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError("low to be less than high")

    def fill(self, out: Array, rng: Generator) -> None:
        out[...] = rng.uniform(self.low, self.high, out.shape)

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return self.low, self.high

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(low=-2.0, high=3.0)]


class TruncatedNormal(Initializer):
    """Draws from the normal distribution; one farther than two standard deviations from the mean is drawn again.

    Fields:
        mean: default 0.
        standard_deviation: default 0.05; of the distribution before the cut, as in Keras. That of the values is
            0.8796 times as large.
    """

    mean: float = 0.0
    standard_deviation: NonNegativeFloat = 0.05

    def fill(self, out: Array, rng: Generator) -> None:
        out[...] = self.mean + self.standard_deviation * _truncated_standard_normal(out.shape, rng)

    def bounds(self, shape: Shape) -> tuple[float, float]:
        reach = 2 * self.standard_deviation
        return self.mean - reach, self.mean + reach

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(mean=1.0, standard_deviation=0.2)]


class GlorotUniform(Initializer):
    """Uniform on +-sqrt(6 / (fan in + fan out)), a variance of 2 / (fan in + fan out)  (Glorot & Bengio, 2010)."""

    def fill(self, out: Array, rng: Generator) -> None:
        _fill_uniform(out, rng, _glorot_variance(out.shape))

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return _uniform_bounds(_glorot_variance(shape))


class GlorotNormal(Initializer):
    """Normal with variance 2 / (fan in + fan out)  (Glorot & Bengio, 2010).

    Cut at two standard deviations, and widened beforehand so that the variance is right after the cut, as in Keras.
    """

    def fill(self, out: Array, rng: Generator) -> None:
        _fill_normal(out, rng, _glorot_variance(out.shape))

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return _normal_bounds(_glorot_variance(shape))


class HeUniform(Initializer):
    """Uniform on +-sqrt(6 / fan in), a variance of 2 / fan in, for relu layers  (He et al., 2015, arXiv:1502.01852)."""

    def fill(self, out: Array, rng: Generator) -> None:
        _fill_uniform(out, rng, _he_variance(out.shape))

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return _uniform_bounds(_he_variance(shape))


class HeNormal(Initializer):
    """Normal with variance 2 / fan in, for relu layers  (He et al., 2015, arXiv:1502.01852).

    Cut at two standard deviations, and widened beforehand so that the variance is right after the cut, as in Keras.
    """

    def fill(self, out: Array, rng: Generator) -> None:
        _fill_normal(out, rng, _he_variance(out.shape))

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return _normal_bounds(_he_variance(shape))


class LecunUniform(Initializer):
    """Uniform on +-sqrt(3 / fan in), a variance of 1 / fan in  (LeCun et al., Efficient BackProp, 1998)."""

    def fill(self, out: Array, rng: Generator) -> None:
        _fill_uniform(out, rng, _lecun_variance(out.shape))

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return _uniform_bounds(_lecun_variance(shape))


class LecunNormal(Initializer):
    """Normal with variance 1 / fan in  (LeCun et al., Efficient BackProp, 1998); what selu layers need.

    Cut at two standard deviations, and widened beforehand so that the variance is right after the cut, as in Keras.
    """

    def fill(self, out: Array, rng: Generator) -> None:
        _fill_normal(out, rng, _lecun_variance(out.shape))

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return _normal_bounds(_lecun_variance(shape))


class Orthogonal(Initializer):
    """A random matrix with orthonormal columns, or rows where there are fewer  (Saxe et al., 2013, arXiv:1312.6120).

    An array with more than two axes is taken as the matrix (product of all extents but the last, last extent).

    Fields:
        gain: what the matrix is multiplied by; default 1.

    `fill` raises ValueError for an array with fewer than two axes.
    """

    gain: float = 1.0

    def fill(self, out: Array, rng: Generator) -> None:
        if out.ndim < 2:
            raise ValueError(f"expected an array with at least two axes, received shape {out.shape}")
        rows, columns = math.prod(out.shape[:-1]), out.shape[-1]
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        # QR leaves the sign of each column to the implementation; with a positive diagonal of R it is unique, and q is
        # then uniform over all orthogonal matrices (Mezzadri, 2007, arXiv:math-ph/0609050).
        q *= self.gain * np.copysign(1.0, np.diagonal(r))
        out[...] = (q if rows >= columns else q.T).reshape(out.shape)

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return -abs(self.gain), abs(self.gain)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(gain=-1.5)]


class Identity(Initializer):
    """The identity matrix times `gain`; a matrix that isn't square has zeros beyond its diagonal.

    Fields:
        gain: default 1.

    `fill` raises ValueError for an array that isn't a matrix.
    """

    gain: float = 1.0

    def fill(self, out: Array, rng: Generator) -> None:
        if out.ndim != 2:
            raise ValueError(f"expected an array with two axes, received shape {out.shape}")
        out.fill(0)
        np.fill_diagonal(out, self.gain)

    def bounds(self, shape: Shape) -> tuple[float, float]:
        return min(self.gain, 0.0), max(self.gain, 0.0)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(gain=-2.0)]


class LegacyNormal(Initializer):
    """Normal draws from ``numpy.random.RandomState(seed)``, to start from the numbers of a published notebook.

    That generator is frozen: its stream will not change. A notebook that calls ``numpy.random.seed(seed)`` and then
    draws normal variables only gets these values, row by row; `skip` counts the draws it made before. The run's own
    generator is not used, and NumPy's global generator is neither read nor changed.

    Fields:
        seed: of the generator, below 2**32.
        mean: default 0.
        standard_deviation: default 1.
        skip: how many normal draws come before; default 0.
    """

    seed: LegacySeed
    mean: float = 0.0
    standard_deviation: NonNegativeFloat = 1.0
    skip: NonNegativeInteger = 0

    def fill(self, out: Array, rng: Generator) -> None:
        stream = np.random.RandomState(self.seed)
        stream.standard_normal(self.skip)
        out[...] = stream.normal(self.mean, self.standard_deviation, out.shape)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(0), cls(3, mean=1.0, standard_deviation=0.1, skip=100)]


def _length(row: float | tuple[float, ...]) -> int | None:
    return len(row) if isinstance(row, tuple) else None


def _glorot_variance(shape: Shape) -> float:
    return 2 / max(sum(fans(shape)), 1)


def _he_variance(shape: Shape) -> float:
    return 2 / max(fans(shape)[0], 1)


def _lecun_variance(shape: Shape) -> float:
    return 1 / max(fans(shape)[0], 1)


def _uniform_bounds(variance: float) -> tuple[float, float]:
    limit = math.sqrt(3 * variance)
    return -limit, limit


def _normal_bounds(variance: float) -> tuple[float, float]:
    limit = 2 * math.sqrt(variance) / TRUNCATED_DEVIATION
    return -limit, limit


def _fill_uniform(out: Array, rng: Generator, variance: float) -> None:
    out[...] = rng.uniform(*_uniform_bounds(variance), out.shape)


def _fill_normal(out: Array, rng: Generator, variance: float) -> None:
    out[...] = math.sqrt(variance) / TRUNCATED_DEVIATION * _truncated_standard_normal(out.shape, rng)


def _truncated_standard_normal(shape: Shape, rng: Generator) -> Array:
    """Standard normal draws between -2 and 2, float64: those outside, about one in 22, are drawn again."""
    values = rng.standard_normal(math.prod(shape))
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values[outside] = rng.standard_normal(outside.size)
        outside = outside[np.abs(values[outside]) > 2]
    return values.reshape(shape)


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [
        Zeros,
        Ones,
        Constant,
        Normal,
        Uniform,
        TruncatedNormal,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LecunUniform,
        LecunNormal,
        Orthogonal,
        Identity,
        LegacyNormal,
    ]
