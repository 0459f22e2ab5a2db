"""Layers that bring every feature to a common scale, fitted on the training part before training starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.errors import DataError
from microframe.interfaces import Context, FittedLayer, Scope
from microframe.standard.layers.rows import rows


class Standardize(FittedLayer):
    """y = (x - mean) / scale, with the mean and the standard deviation of each feature of the training part.

    A feature is an element of the last axis; all other axes count as samples. The standard deviation is that of the
    population (divided by n). A feature that varies by no more than rounding errors counts as constant and has scale
    1. Until it is fitted the layer changes nothing.

    Mean and scale are float64, and so is y until it is rounded to the network's dtype. Where the layer reads the
    network's input it sees that in float64 too, so that a large offset, as of timestamps, costs a float32 network no
    digits.

    Shapes: (batch, ..., features) -> the same.

    `fit` raises DataError if there are no samples.
    """

    input_dtype = "float64"

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        scope.state("mean", _features(input_shape), dtype="float64")
        scope.state("scale", _features(input_shape), fill=1.0, dtype="float64")
        return input_shape

    def fit(self, state: Mapping[str, Array], batches: Iterable[Array]) -> None:
        samples = _samples(self, batches)
        first = next(samples)
        moments = _Moments(first)
        for x in samples:
            moments.add(x)
        state["mean"][...] = moments.mean
        _write_scale(moments.standard_deviation, _rounding(first) * np.abs(moments.mean), state["scale"])

    def forward(self, ctx: Context, x: Array) -> Array:
        y = ctx.empty(x.shape)
        deviation = np.subtract(x, ctx.state["mean"], out=_float64_for(y, ctx))
        return np.divide(deviation, ctx.state["scale"], out=y, casting="same_kind")

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        if not ctx.needs_input_gradient:
            return None
        return np.divide(dy, ctx.state["scale"], out=ctx.empty(dy.shape), casting="same_kind")

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), (shape,)) for shape in ((3,), (4, 5, 3))]


class MinMax(FittedLayer):
    """y = low + (high - low) (x - minimum) / range, so that each feature of the training part lies in [low, high].

    A feature is an element of the last axis; all other axes count as samples. The range is the maximum less the
    minimum; a feature that varies by no more than rounding errors counts as constant, has range 1, and comes out as
    `low`. New values outside the range come out outside [low, high]. Until it is fitted the layer takes every
    feature to lie in [0, 1].

    Minimum and range are float64, and so is y until it is rounded to the network's dtype. Where the layer reads the
    network's input it sees that in float64 too, so that a large offset costs a float32 network no digits.

    Fields:
        low: default 0.
        high: default 1; above `low`.

    Shapes: (batch, ..., features) -> the same.

    `fit` raises DataError if there are no samples.
    """

    input_dtype = "float64"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError("low to be less than high")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        scope.state("minimum", _features(input_shape), dtype="float64")
        scope.state("range", _features(input_shape), fill=1.0, dtype="float64")
        return input_shape

    def fit(self, state: Mapping[str, Array], batches: Iterable[Array]) -> None:
        samples = _samples(self, batches)
        first = next(samples)
        minimum, maximum = first.min(axis=0).astype(np.float64), first.max(axis=0).astype(np.float64)
        for x in samples:
            np.minimum(minimum, x.min(axis=0), out=minimum)
            np.maximum(maximum, x.max(axis=0), out=maximum)
        state["minimum"][...] = minimum
        largest = np.maximum(np.abs(minimum), np.abs(maximum))
        _write_scale(maximum - minimum, _rounding(first) * largest, state["range"])

    def forward(self, ctx: Context, x: Array) -> Array:
        y = ctx.empty(x.shape)
        exact = np.subtract(x, ctx.state["minimum"], out=_float64_for(y, ctx))
        exact /= ctx.state["range"]
        if self.high - self.low != 1:
            exact *= self.high - self.low
        return np.add(exact, self.low, out=y, casting="same_kind")

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        if not ctx.needs_input_gradient:
            return None
        dx = np.divide(dy, ctx.state["range"], out=ctx.empty(dy.shape), casting="same_kind")
        dx *= self.high - self.low
        return dx

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [Example(cls(), ((3,),)), Example(cls(-2, 5), ((4, 3),))]


class _Moments:
    """The mean and the variance of each feature, over samples that come in batches.

    Both are sums of deviations from the first sample, which takes away a large offset before anything is rounded and
    leaves a constant feature with a variance of exactly 0.
    """

    def __init__(self, x: Array) -> None:
        self._origin = x[0].astype(np.float64)
        self._count, self._shift, self._squares = _deviations(x - self._origin)

    def add(self, x: Array) -> None:
        # Of the union of samples a and b, with counts n, means m and sums of squared deviations S, it holds
        #   m = m_a + d n_b / n,   S = S_a + S_b + d^2 n_a n_b / n,   where d = m_b - m_a
        # (Chan, Golub & LeVeque, 1979). No large numbers cancel here, as they do in E[x^2] - E[x]^2.
        count, shift, squares = _deviations(x - self._origin)
        distance = shift - self._shift
        total = self._count + count
        self._shift += distance * (count / total)
        self._squares += squares + distance * distance * (self._count * count / total)
        self._count = total

    @property
    def mean(self) -> Array:
        mean: Array = self._origin + self._shift
        return mean

    @property
    def standard_deviation(self) -> Array:
        return np.sqrt(self._squares / self._count)


def _deviations(x: Array) -> tuple[int, Array, Array]:
    """The number of rows of `x`, (n, features), their mean, and their summed squared deviations from it."""
    mean = x.mean(axis=0)
    return len(x), mean, np.square(x - mean).sum(axis=0)


def _samples(layer: FittedLayer, batches: Iterable[Array]) -> Iterator[Array]:
    """The batches that aren't empty, as matrices (n, features)."""
    empty = True
    for batch in batches:
        if len(batch):
            empty = False
            yield rows(batch)
    if empty:
        raise DataError(f"{layer.name or layer.type}: expected samples to be fitted on, received none")


def _features(input_shape: Shape) -> Shape:
    if not input_shape:
        raise ValueError("an input with at least one axis beside the batch")
    return input_shape[-1:]


def _float64_for(y: Array, ctx: Context) -> Array:
    """An array to work out `y` in: itself where it is float64, and otherwise one of its shape that is."""
    return y if y.dtype == np.float64 else ctx.empty(y.shape, dtype=np.float64)


def _rounding(x: Array) -> float:
    """The rounding error of a value as it comes in `x`, relative to the value."""
    return float(np.finfo(np.result_type(x, np.float32)).eps)


def _write_scale(spread: Array, rounding: Array, out: Array) -> None:
    """`spread` into `out`, but 1 where it is nothing against the rounding errors of the values."""
    out[...] = np.where(spread > rounding, spread, 1)
