"""Layers that go wrong with some batches: of one row or none, large ones, those of a fit, one after another."""

from __future__ import annotations

import numpy as np

from microframe import Example, FittedLayer, Layer
from microframe.standard.initializers import GlorotUniform, Ones
from planted_bugs.planting import caught_by, correct

_BLOCK = 32
_OPENINGS: dict[int, float] = {}


class _Centred(FittedLayer):
    """x less the mean of the training data, right but for how that is learnt."""

    def build(self, scope, shape):
        scope.state("mean", shape)
        return shape

    def forward(self, ctx, x):
        return x - ctx.state["mean"].astype(x.dtype)

    def backward(self, ctx, dy):
        return dy


@caught_by("fitting")
class MeanOfTheLastBatch(_Centred):
    """x less the mean of the training data, of which each batch overwrites what was learnt from the one before."""

    def fit(self, state, batches):
        for batch in batches:
            state["mean"][...] = batch.mean(axis=0)


@caught_by("fitting")
class MeanOfMeans(_Centred):
    """x less the mean of the means of all batches, of which the last, which is smaller, counts like the others."""

    def fit(self, state, batches):
        state["mean"][...] = np.mean([batch.mean(axis=0) for batch in batches], axis=0)


@caught_by("fitting")
class ReadsTwice(FittedLayer):
    """x over its standard deviation, for which fit goes through the batches again when it has the mean."""

    def build(self, scope, shape):
        scope.state("deviation", shape, fill=1.0)
        return shape

    def fit(self, state, batches):
        rows = total = squares = 0.0
        for batch in batches:
            rows, total = rows + len(batch), total + batch.sum(axis=0)
        for batch in batches:
            squares = squares + np.square(batch - total / rows).sum(axis=0)
        state["deviation"][...] = np.sqrt(squares / rows)

    def forward(self, ctx, x):
        return x / ctx.state["deviation"].astype(x.dtype)

    def backward(self, ctx, dy):
        return dy / ctx.state["deviation"].astype(dy.dtype)


@caught_by("fitting", raises=TypeError)
class CountsBatches(_Centred):
    """x less the mean of the training data, for which fit asks how many batches there are."""

    def fit(self, state, batches):
        rows = np.concatenate(list(batches)) if len(batches) > 1 else batches[0]
        state["mean"][...] = rows.mean(axis=0)


@correct
class Clipped(FittedLayer):
    """x within the 10th and the 90th percentile of the training data, which are known when all of it is."""

    def build(self, scope, shape):
        scope.state("limits", (2, *shape))
        return shape

    def fit(self, state, batches):
        state["limits"][...] = np.percentile(np.concatenate([*batches]), (10, 90), axis=0)

    def forward(self, ctx, x):
        low, high = ctx.state["limits"].astype(x.dtype)
        ctx.save((x > low) & (x < high))
        return np.clip(x, low, high)

    def backward(self, ctx, dy):
        return dy * ctx.saved[0]


@caught_by("state")
class UnbiasedVariance(Layer):
    """x over a variance that follows the batches; that of a batch is divided by the rows less one, be it 0."""

    def build(self, scope, shape):
        scope.state("variance", shape, fill=1.0)
        return shape

    def forward(self, ctx, x):
        variance = ctx.state["variance"].copy()
        if ctx.training and len(x):
            ctx.state["variance"][...] = 0.9 * variance + 0.1 * x.var(axis=0, ddof=1)
        ctx.save(variance)
        return x / variance

    def backward(self, ctx, dy):
        return dy / ctx.saved[0]


class _Kernel(Layer):
    """x @ kernel, right but for what is done by blocks of rows."""

    def build(self, scope, shape):
        (features,) = shape
        scope.parameter("kernel", (features, 3), GlorotUniform())
        return (3,)

    def forward(self, ctx, x):
        ctx.save(x)
        return x @ ctx.parameters["kernel"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.matmul(x.T, dy, out=ctx.gradients["kernel"])
        return dy @ ctx.parameters["kernel"].T


@caught_by("many_rows")
class GradientOfTheLastBlock(_Kernel):
    """x @ kernel, whose gradient is computed by blocks of 32 rows, each written over the one before."""

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        gradient = ctx.gradients["kernel"]
        gradient.fill(0)
        for start in range(0, len(x), _BLOCK):
            np.matmul(x[start : start + _BLOCK].T, dy[start : start + _BLOCK], out=gradient)
        return dy @ ctx.parameters["kernel"].T


@caught_by("many_rows")
class ForgottenRest(_Kernel):
    """x @ kernel by blocks of 32 rows where there are as many, without the rows that are left over."""

    def forward(self, ctx, x):
        ctx.save(x)
        y = np.zeros((len(x), 3), x.dtype)
        blocks = max(len(x) // _BLOCK, 1)
        size = min(_BLOCK, len(x))
        for block in range(blocks):
            rows = slice(block * size, (block + 1) * size)
            np.matmul(x[rows], ctx.parameters["kernel"], out=y[rows])
        return y


@correct
class SumOfBlocks(_Kernel):
    """x @ kernel, whose gradient is added up by blocks of 32 rows."""

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        gradient = ctx.gradients["kernel"]
        gradient.fill(0)
        for start in range(0, len(x), _BLOCK):
            gradient += x[start : start + _BLOCK].T @ dy[start : start + _BLOCK]
        return dy @ ctx.parameters["kernel"].T


@caught_by("gradients_overwritten")
class MeanOfNoRows(Layer):
    """A scale whose gradient is the mean over the rows times their number, which is NaN if there are none."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        ctx.gradients["scale"][...] = np.mean(x * dy, axis=0) * len(x)
        return dy * ctx.parameters["scale"]


@caught_by("noise")
class SameNoise(Layer):
    """Dropout that makes a generator from its seed at each step, so that it drops the same elements for ever."""

    differs_in_training = True
    seed: int = 0

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if not ctx.training:
            return x
        mask = np.where(np.random.default_rng(self.seed).random(x.shape) < 0.5, 0, 2).astype(x.dtype)
        ctx.save(mask)
        return x * mask

    def backward(self, ctx, dy):
        return dy * ctx.saved[0]


@correct
class MixedWithTheNext(Layer):
    """Three quarters of each row and a quarter of the next in training: it reads other rows, but draws nothing."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return 0.75 * x + 0.25 * np.roll(x, -1, axis=0) if ctx.training else x

    def backward(self, ctx, dy):
        return 0.75 * dy + 0.25 * np.roll(dy, 1, axis=0)


@correct
class HardInInference(Layer):
    """A sigmoid of 5 x in training, and 0 or 1 in inference: they differ without any noise."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if not ctx.training:
            return (x > 0).astype(x.dtype)
        y = 0.5 + 0.5 * np.tanh(2.5 * x)
        ctx.save(y)
        return y

    def backward(self, ctx, dy):
        (y,) = ctx.saved
        return 5 * dy * y * (1 - y)


@correct
class RareNoise(Layer):
    """Drops one row in twenty in training, so that a batch often comes out whole."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if not ctx.training:
            return x
        kept = (ctx.rng.random(len(x)) >= 0.05).reshape(-1, *(1,) * (x.ndim - 1))
        ctx.save(kept)
        return x * kept

    def backward(self, ctx, dy):
        return dy * ctx.saved[0]


@caught_by("save_and_load")
class OpeningInTheModule(Layer):
    """x times a gate for each step and an opening of the layer's own, which is no field, and so not saved."""

    def build(self, scope, shape, gate_shape):
        if gate_shape != shape[:1]:
            raise ValueError(f"gates of shape {shape[:1]}, one for each step")
        return shape

    def forward(self, ctx, x, gate):
        opening = gate[..., None] * _OPENINGS.setdefault(id(self), 1 / (2 + len(_OPENINGS)))
        ctx.save(x, opening)
        return x * opening

    def backward(self, ctx, dy):
        x, opening = ctx.saved
        return dy * opening, (dy * x).sum(axis=-1) * _OPENINGS[id(self)]

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=((4, 3), (4,)))]
