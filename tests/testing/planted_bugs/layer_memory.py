"""Layers that keep what they should not, or draw from where they should not."""

from __future__ import annotations

import random
from typing import Any, ClassVar

import numpy as np

from microframe import Example, FittedLayer, Layer
from planted_bugs.planting import caught_by

_LAST: dict[str, Any] = {}
_BUFFERS: dict[tuple[int, ...], Any] = {}
_FITTED: dict[int, Any] = {}


@caught_by("keeps_nothing")
class InputOnItself(Layer):
    """tanh x, which keeps its output on itself for backward, past the frozen attributes."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        object.__setattr__(self, "y", np.tanh(x))
        return self.y

    def backward(self, ctx, dy):
        return dy * (1 - self.y**2)


@caught_by("keeps_nothing")
class CacheOnItself(Layer):
    """Sines of positions added to a sequence, kept in the dictionary of the instance once they are computed."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if "positions" not in self.__dict__:
            self.__dict__["positions"] = np.sin(np.arange(x.shape[1], dtype=x.dtype))
        return x + self.__dict__["positions"].astype(x.dtype)[:, None]

    def backward(self, ctx, dy):
        return dy

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=((5, 4),))]


@caught_by("keeps_nothing")
class CacheOnTheClass(Layer):
    """2 x, which counts its calls in a list of the class."""

    calls: ClassVar[list[int]] = []

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        self.calls.append(len(x))
        return 2 * x

    def backward(self, ctx, dy):
        return 2 * dy


@caught_by("keeps_nothing")
class SizeKeptByBuild(Layer):
    """The mean of the features, whose number build keeps on the layer, as it is the habit elsewhere."""

    def build(self, scope, shape):
        object.__setattr__(self, "features", shape[-1])
        return (1,)

    def forward(self, ctx, x):
        return x.sum(axis=-1, keepdims=True) / self.features

    def backward(self, ctx, dy):
        return np.repeat(dy / self.features, self.features, axis=-1)


@caught_by("keeps_nothing")
class FittedOnItself(FittedLayer):
    """x less the mean of the training data, which fit keeps on the layer and not in its state."""

    def build(self, scope, shape):
        return shape

    def fit(self, state, batches):
        object.__setattr__(self, "mean", np.concatenate(list(batches)).mean(axis=0))

    def forward(self, ctx, x):
        return x - self.mean.astype(x.dtype)

    def backward(self, ctx, dy):
        return dy


@caught_by("save_and_load")
class FittedInTheModule(FittedLayer):
    """x over the largest value of the training data, which is kept beside the layer and so not saved."""

    def build(self, scope, shape):
        return shape

    def fit(self, state, batches):
        _FITTED[id(self)] = max(float(np.abs(batch).max()) for batch in batches)

    def forward(self, ctx, x):
        return x / _FITTED.get(id(self), 1.0)

    def backward(self, ctx, dy):
        return dy / _FITTED.get(id(self), 1.0)


@caught_by("interleaved_passes")
class ReadsTheLastPass(Layer):
    """x^2, whose backward reads the input of whatever pass came last."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if ctx.training:
            _LAST["x"] = x
        return x * x

    def backward(self, ctx, dy):
        return 2 * _LAST["x"] * dy


@caught_by("threads")
class SharedBuffer(Layer):
    """2 x, always written into the same array for inputs of the same shape, to save allocations."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        key = (*x.shape, x.itemsize)
        return np.multiply(x, 2, out=_BUFFERS.setdefault(key, np.empty(x.shape, x.dtype)))

    def backward(self, ctx, dy):
        return 2 * dy


@caught_by("input_gradients")
class TakesEmptyForZeros(Layer):
    """Sums of neighbouring features, whose gradient is added up in an array that is not cleared first."""

    def build(self, scope, shape):
        return (shape[0] - 1,)

    def forward(self, ctx, x):
        return x[:, 1:] + x[:, :-1]

    def backward(self, ctx, dy):
        dx = ctx.empty((len(dy), dy.shape[1] + 1))
        dx[:, 1:] += dy
        dx[:, :-1] += dy
        return dx


@caught_by("no_global_random_state")
class GlobalNoise(Layer):
    """x plus noise in training, from NumPy's global generator."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return x + np.random.rand(*x.shape).astype(x.dtype) if ctx.training else x  # noqa: NPY002

    def backward(self, ctx, dy):
        return dy


@caught_by("no_global_random_state")
class GlobalCoin(Layer):
    """Drops a whole batch now and then in training, by a coin of Python's global generator."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        factor = 0.0 if ctx.training and random.random() < 0.2 else 1.0
        ctx.save(factor)
        return x * factor

    def backward(self, ctx, dy):
        return dy * ctx.saved[0]


@caught_by("steps_repeat")
class UnseededNoise(Layer):
    """x plus noise in training, from a new generator each time."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return x + np.random.default_rng().standard_normal(x.shape).astype(x.dtype) if ctx.training else x

    def backward(self, ctx, dy):
        return dy


class _Tracking(Layer):
    """x less a mean that follows the batches, right but for when it does so."""

    def build(self, scope, shape):
        scope.state("mean", shape)
        return shape

    def forward(self, ctx, x):
        y = x - ctx.state["mean"]
        self._follow(ctx, x)
        return y

    def _follow(self, ctx, x):
        if ctx.training and len(x):
            ctx.state["mean"][...] = 0.9 * ctx.state["mean"] + 0.1 * x.mean(axis=0)

    def backward(self, ctx, dy):
        return dy


@caught_by("state")
class StateInInference(_Tracking):
    """x less a mean that follows the batches, of predictions too."""

    def _follow(self, ctx, x):
        if len(x):
            ctx.state["mean"][...] = 0.9 * ctx.state["mean"] + 0.1 * x.mean(axis=0)


@caught_by("state")
class ReplacesState(_Tracking):
    """x less a mean that follows the batches in an array of its own, which is not the one that is saved."""

    def _follow(self, ctx, x):
        if ctx.training and len(x):
            ctx.state["mean"] = 0.9 * ctx.state["mean"] + 0.1 * x.mean(axis=0)
