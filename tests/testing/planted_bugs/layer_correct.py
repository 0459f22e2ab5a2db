"""Layers that are right in ways that a check might take for wrong."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from microframe import Activation, Example, FittedLayer, Layer, Part
from microframe.standard.initializers import GlorotUniform
from planted_bugs.planting import correct


@correct
class LargestOfSteps(Layer):
    """The largest value of each feature over time; of equal ones the first gets the gradient."""

    def build(self, scope, shape):
        _, features = shape
        return (features,)

    def forward(self, ctx, x):
        ctx.save(x.argmax(axis=1)[:, None], x.shape)
        return x.max(axis=1)

    def backward(self, ctx, dy):
        first, shape = ctx.saved
        dx = ctx.empty(shape)
        dx.fill(0)
        np.put_along_axis(dx, first, dy[:, None], axis=1)
        return dx

    @classmethod
    def examples(cls):
        ties = np.array([[[1.0, 2.0], [1.0, 0.0], [0.0, 2.0]], [[3.0, 1.0], [3.0, 1.0], [3.0, 1.0]]])
        return [Example(cls(), inputs=((5, 4),)), Example(cls(), inputs=(ties,))]


@correct
class RectifiedZeros(Layer):
    """max(x, 0), shown on inputs that are mostly zero, where it has a kink."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return np.maximum(x, x.dtype.type(0))

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        return dy * (x > 0)

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=(np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.5]]),))]


@correct
class FirstHalf(Layer):
    """The first half of the features: a view of the input."""

    def build(self, scope, shape):
        return *shape[:-1], shape[-1] // 2

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x[..., : x.shape[-1] // 2]

    def backward(self, ctx, dy):
        (shape,) = ctx.saved
        dx = ctx.empty(shape)
        dx[..., : dy.shape[-1]] = dy
        dx[..., dy.shape[-1] :] = 0
        return dx


@correct
class OneRow(Layer):
    """All values of a sample in one row: a view where memory allows it, of the gradient as well."""

    def build(self, scope, shape):
        return (int(np.prod(shape)),)

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x.reshape(len(x), int(np.prod(x.shape[1:])))

    def backward(self, ctx, dy):
        return dy.reshape(ctx.saved[0])


@correct
class DoubleTracking(Layer):
    """x less a mean that follows the batches of training, in float64 whatever the network's dtype."""

    def build(self, scope, shape):
        scope.state("mean", shape, dtype="float64")
        scope.state("batches", (), dtype="int64")
        return shape

    def forward(self, ctx, x):
        y = x - ctx.state["mean"].astype(x.dtype)
        if ctx.training and len(x):
            ctx.state["batches"][...] += 1
            ctx.state["mean"][...] += (x.mean(axis=0, dtype="float64") - ctx.state["mean"]) / ctx.state["batches"]
        return y

    def backward(self, ctx, dy):
        return dy


@correct
class MaskedMean(Layer):
    """The mean over the steps that a mask says are there; the mask has no gradient."""

    def build(self, scope, shape, mask_shape):
        if mask_shape != shape[:1]:
            raise ValueError(f"a mask of shape {shape[:1]}")
        return (shape[1],)

    def forward(self, ctx, x, mask):
        there = mask > 0
        shares = (there / np.maximum(there.sum(axis=1, keepdims=True), 1)).astype(x.dtype)
        ctx.save(shares)
        return np.einsum("bt,btf->bf", shares, x)

    def backward(self, ctx, dy):
        (shares,) = ctx.saved
        return shares[:, :, None] * dy[:, None], None

    @classmethod
    def examples(cls):
        mask = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
        return [Example(cls(), inputs=((3, 2), mask))]


@correct
class DeclaredNoise(Layer):
    """x times noise in training, drawn for whole rows from the generator of the context."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if not ctx.training:
            return x
        noise = ctx.rng.normal(1, 0.2, (len(x),) + (1,) * (x.ndim - 1)).astype(x.dtype)
        ctx.save(noise)
        return x * noise

    def backward(self, ctx, dy):
        return dy * ctx.saved[0] if ctx.needs_input_gradient else None


@correct
class InFortranOrder(Layer):
    """x @ kernel as (kernel.T @ x.T).T: outputs and gradients in the other memory order."""

    units: int = 3

    def build(self, scope, shape):
        (features,) = shape
        scope.parameter("kernel", (features, self.units), GlorotUniform())
        return (self.units,)

    def forward(self, ctx, x):
        ctx.save(x)
        return (ctx.parameters["kernel"].T @ x.T).T

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        ctx.gradients["kernel"][...] = (dy.T @ x).T
        return (ctx.parameters["kernel"] @ dy.T).T


@correct
class Shortcut(Layer):
    """x plus another layer of x, whose arrays stand in a scope of their own."""

    inner: Layer

    def build(self, scope, shape):
        return self.inner.build(scope.nested("inner"), shape)

    def forward(self, ctx, x):
        return x + self.inner.forward(ctx.nested("inner"), x)

    def backward(self, ctx, dy):
        dx = self.inner.backward(ctx.nested("inner"), dy)
        return dy + dx if ctx.needs_input_gradient else None

    @classmethod
    def examples(cls):
        return [Example(cls({"type": "dense", "units": 4, "activation": "tanh"}), inputs=((4,),))]


@correct
class TableOfVectors(Layer):
    """Vectors looked up by number; numbers have no gradient."""

    input_dtype: ClassVar[str | None] = "int64"

    def build(self, scope, shape):
        scope.parameter("table", (4, 3), GlorotUniform())
        return *shape, 3

    def forward(self, ctx, x):
        ctx.save(x)
        return ctx.parameters["table"][x]

    def backward(self, ctx, dy):
        gradient = ctx.gradients["table"]
        gradient.fill(0)
        np.add.at(gradient, ctx.saved[0], dy)

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=(np.array([[0, 3, 3], [1, 2, 0]]),))]


@correct
class OptionalGate(Layer):
    """x, times a gate where there is one."""

    def build(self, scope, shape, gate_shape=None):
        return shape

    def forward(self, ctx, x, gate=None):
        ctx.save(x, gate)
        return x if gate is None else x * gate

    def backward(self, ctx, dy):
        x, gate = ctx.saved
        return dy if gate is None else (dy * gate, dy * x)

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=((4,),)), Example(cls(), inputs=((4,), (4,)))]


@correct
class WidestColumns(FittedLayer):
    """The two columns that vary most in the training data, whose numbers are its state."""

    def build(self, scope, shape):
        (features,) = shape
        if features < 2:
            raise ValueError("at least two features")
        scope.state("columns", (2,), dtype="int64")
        return (2,)

    def fit(self, state, batches):
        state["columns"][...] = np.argsort(np.concatenate(list(batches)).std(axis=0))[-2:]

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x[:, ctx.state["columns"]]

    def backward(self, ctx, dy):
        dx = ctx.empty(ctx.saved[0])
        dx.fill(0)
        dx[:, ctx.state["columns"]] = dy
        return dx


@correct
class Activated(Layer):
    """An activation of twice the input, in an array of the layer's own where that allows it."""

    ends_in_activation = True
    activation: Part[Activation] = Part("gelu")

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        x, y = self.activation.apply(ctx, np.multiply(x, 2, out=ctx.empty(x.shape)))
        ctx.save(x, y)
        return y

    def backward(self, ctx, dy):
        return 2 * self.activation.pull_back(ctx, dy, *ctx.saved)
