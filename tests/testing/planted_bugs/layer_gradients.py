"""Layers whose backward pass is not the derivative of their forward pass."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from microframe import Example, Layer
from microframe.standard.initializers import GlorotUniform, Ones, Zeros
from planted_bugs.planting import caught_by


@caught_by("parameter_gradients")
class SignOfCenter(Layer):
    """x - center, with the gradient of the center as if it were added."""

    def build(self, scope, shape):
        scope.parameter("center", shape, Zeros())
        return shape

    def forward(self, ctx, x):
        return x - ctx.parameters["center"]

    def backward(self, ctx, dy):
        ctx.gradients["center"][...] = dy.sum(axis=0)
        return dy


@caught_by("input_gradients")
class MissingTranspose(Layer):
    """x @ kernel with a square kernel, whose input gradient is dy @ kernel and not dy @ kernel.T."""

    def build(self, scope, shape):
        scope.parameter("kernel", (shape[-1], shape[-1]), GlorotUniform())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x @ ctx.parameters["kernel"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        features = x.shape[-1]
        np.matmul(x.reshape(-1, features).T, dy.reshape(-1, features), out=ctx.gradients["kernel"])
        return dy @ ctx.parameters["kernel"]


@caught_by("parameter_gradients")
class TransposedKernelGradient(Layer):
    """x @ kernel with a square kernel, whose gradient is dy.T @ x and not x.T @ dy."""

    def build(self, scope, shape):
        (features,) = shape
        scope.parameter("kernel", (features, features), GlorotUniform())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x @ ctx.parameters["kernel"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.matmul(dy.T, x, out=ctx.gradients["kernel"])
        return dy @ ctx.parameters["kernel"].T


@caught_by("parameter_gradients")
class MeanOfBiasGradient(Layer):
    """A bias whose gradient is averaged over the batch, as if the loss had not done so."""

    def build(self, scope, shape):
        scope.parameter("bias", shape, Zeros(), decay=False)
        return shape

    def forward(self, ctx, x):
        return x + ctx.parameters["bias"]

    def backward(self, ctx, dy):
        np.mean(dy, axis=0, out=ctx.gradients["bias"])
        return dy


@caught_by("input_gradients")
class MeanOfInputGradient(Layer):
    """A squashing whose input gradient is divided by the number of samples."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        y = np.tanh(x)
        ctx.save(y)
        return y

    def backward(self, ctx, dy):
        (y,) = ctx.saved
        return dy * (1 - y * y) / len(dy)


@caught_by("gradients_overwritten")
class ForgottenBias(Layer):
    """Scale and bias, of which backward fills the gradient of the scale alone."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones(), decay=False)
        scope.parameter("bias", shape, Zeros(), decay=False)
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"] + ctx.parameters["bias"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.sum(dy * x, axis=0, out=ctx.gradients["scale"])
        return dy * ctx.parameters["scale"]


@caught_by("gradients_overwritten")
class Accumulating(Layer):
    """A scale whose gradient is added to what was there, as in frameworks that zero gradients first."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        ctx.gradients["scale"][...] += (dy * x).sum(axis=0)
        return dy * ctx.parameters["scale"]


@caught_by("gradients_overwritten")
class ReplacingGradient(Layer):
    """A scale whose gradient is put in the place of the array that it should be written into."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        ctx.gradients["scale"] = (dy * x).sum(axis=0)
        return dy * ctx.parameters["scale"]


@caught_by("unneeded_input_gradient")
class SkipsWhatIsUnneeded(Layer):
    """A scale that leaves backward before its own gradient where nobody needs that of the input."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"]

    def backward(self, ctx, dy):
        if not ctx.needs_input_gradient:
            return None
        (x,) = ctx.saved
        np.sum(dy * x, axis=0, out=ctx.gradients["scale"])
        return dy * ctx.parameters["scale"]


@caught_by("parameter_gradients")
class LastStepOnly(Layer):
    """A kernel applied at each step of a sequence, with the gradient of the last step instead of the sum of all."""

    def build(self, scope, shape):
        steps, features = shape
        scope.parameter("kernel", (features, 3), GlorotUniform())
        return steps, 3

    def forward(self, ctx, x):
        ctx.save(x)
        return x @ ctx.parameters["kernel"]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.matmul(x[:, -1].T, dy[:, -1], out=ctx.gradients["kernel"])
        return dy @ ctx.parameters["kernel"].T


@caught_by("parameter_gradients")
class LostRepetitions(Layer):
    """A table of vectors looked up by number, whose gradient counts a number that comes twice only once."""

    input_dtype: ClassVar[str | None] = "int64"

    def build(self, scope, shape):
        scope.parameter("table", (4, 3), GlorotUniform())
        return *shape, 3

    def forward(self, ctx, x):
        ctx.save(x)
        return ctx.parameters["table"][x]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        gradient = ctx.gradients["table"]
        gradient.fill(0)
        gradient[x] += dy


@caught_by("input_gradients")
class ForgottenActivation(Layer):
    """tanh(x @ kernel), whose backward pass leaves out the derivative of tanh on the way to the input."""

    def build(self, scope, shape):
        (features,) = shape
        scope.parameter("kernel", (features, 3), GlorotUniform())
        return (3,)

    def forward(self, ctx, x):
        y = np.tanh(x @ ctx.parameters["kernel"])
        ctx.save(x, y)
        return y

    def backward(self, ctx, dy):
        x, y = ctx.saved
        np.matmul(x.T, dy * (1 - y * y), out=ctx.gradients["kernel"])
        return dy @ ctx.parameters["kernel"].T


@caught_by("input_gradients")
class StatisticsTakenAsConstants(Layer):
    """Each sample over its own root mean square, differentiated as if that were a constant."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-5)
        ctx.save(root)
        return x / root

    def backward(self, ctx, dy):
        (root,) = ctx.saved
        return dy / root


@caught_by("input_gradients")
class UnscaledDropout(Layer):
    """Dropout that divides what it keeps by the share kept, but not its gradient."""

    differs_in_training = True
    rate: float = 0.5

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if not ctx.training:
            return x
        mask = (ctx.rng.random(x.shape) >= self.rate).astype(x.dtype)
        ctx.save(mask)
        return x * mask / (1 - self.rate)

    def backward(self, ctx, dy):
        (mask,) = ctx.saved
        return dy * mask


@caught_by("input_gradients")
class DrawsAgain(Layer):
    """Dropout whose backward draws a mask of its own."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return x * self._mask(ctx, x) if ctx.training else x

    def backward(self, ctx, dy):
        return dy * self._mask(ctx, dy)

    def _mask(self, ctx, x):
        return np.where(ctx.rng.random(x.shape) < 0.5, 0, 2).astype(x.dtype)


@caught_by("input_gradients")
class HalfASlope(Layer):
    """max(x, 0) with half the gradient, shown on inputs that are mostly zero, where any slope up to 1 is right."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return np.maximum(x, x.dtype.type(0))

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        return dy * (x > 0) / 2

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=(np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.5]]),))]
