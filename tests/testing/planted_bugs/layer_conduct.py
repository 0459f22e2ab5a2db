"""Layers whose formulas are right, and which go wrong with some shapes, dtypes or memory layouts, or spoil arrays."""

from __future__ import annotations

import numpy as np

from microframe import Example, Layer
from microframe.standard.initializers import GlorotUniform, Zeros
from planted_bugs.planting import caught_by


@caught_by("output_shape")
class SqueezesBatchOfOne(Layer):
    """The mean over time, which loses the batch axis too when there is one sample."""

    def build(self, scope, shape):
        _, features = shape
        return (features,)

    def forward(self, ctx, x):
        ctx.save(x)
        return np.squeeze(x.mean(axis=1, keepdims=True))

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        return np.broadcast_to(dy.reshape(len(x), 1, -1) / x.shape[1], x.shape).astype(x.dtype)


@caught_by("output_shape", raises=ValueError)
class CannotTakeNoRows(Layer):
    """One row of features a sample, by a reshape that leaves an axis open, which no rows at all cannot fill."""

    def build(self, scope, shape):
        return (int(np.prod(shape)),)

    def forward(self, ctx, x):
        ctx.save(x)
        return x.reshape(len(x), -1)

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        return dy.reshape(x.shape)

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=((3, 2),))]


@caught_by("output_shape")
class AnnouncesOneTooFew(Layer):
    """Differences between steps `lag` apart, for which build announces one step too few."""

    lag: int = 2

    def build(self, scope, shape):
        steps, features = shape
        return steps - self.lag - 1, features

    def forward(self, ctx, x):
        ctx.save(x)
        return x[:, self.lag :] - x[:, : -self.lag]

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        dx = np.zeros_like(x)
        dx[:, self.lag :] += dy
        dx[:, : -self.lag] -= dy
        return dx


@caught_by("dtype_kept")
class Float64Output(Layer):
    """Zeros around the features, in NumPy's default dtype."""

    def build(self, scope, shape):
        (features,) = shape
        return (features + 2,)

    def forward(self, ctx, x):
        padded = np.zeros((len(x), x.shape[1] + 2))
        padded[:, 1:-1] = x
        return padded

    def backward(self, ctx, dy):
        return dy[:, 1:-1]


@caught_by("dtype_kept")
class Float64Gradient(Layer):
    """Every other step of a sequence, whose gradient is spread over zeros in NumPy's default dtype."""

    def build(self, scope, shape):
        steps, features = shape
        return (steps + 1) // 2, features

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x[:, ::2]

    def backward(self, ctx, dy):
        (shape,) = ctx.saved
        dx = np.zeros(shape)
        dx[:, ::2] = dy
        return dx


@caught_by("dtype_kept")
class Float64Frequencies(Layer):
    """Each feature over a constant of its own, which comes as a float64 array and makes the quotient one."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return x / np.sqrt(np.arange(1, x.shape[-1] + 1))

    def backward(self, ctx, dy):
        return (dy / np.sqrt(np.arange(1, dy.shape[-1] + 1))).astype(dy.dtype)


@caught_by("arguments_unmodified")
class ModifiesInput(Layer):
    """x - center, computed in the array of the input."""

    def build(self, scope, shape):
        scope.parameter("center", shape, Zeros())
        return shape

    def forward(self, ctx, x):
        x -= ctx.parameters["center"]
        return x

    def backward(self, ctx, dy):
        np.sum(-dy, axis=0, out=ctx.gradients["center"])
        return dy


@caught_by("arguments_unmodified")
class ModifiesOutputGradient(Layer):
    """max(x, 0), which zeroes the gradient with respect to its output where it stands."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return np.maximum(x, x.dtype.type(0))

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        dy[x <= 0] = 0
        return dy


@caught_by("arguments_unmodified")
class ModifiesParameter(Layer):
    """x @ kernel, with columns of length one that forward writes back into the parameter."""

    def build(self, scope, shape):
        (features,) = shape
        scope.parameter("kernel", (features, 3), GlorotUniform())
        return (3,)

    def forward(self, ctx, x):
        kernel = ctx.parameters["kernel"]
        kernel /= np.linalg.norm(kernel, axis=0)
        ctx.save(x)
        return x @ kernel

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.matmul(x.T, dy, out=ctx.gradients["kernel"])
        return dy @ ctx.parameters["kernel"].T


@caught_by("arguments_unmodified")
class OverwritesItsOutput(Layer):
    """tanh x, whose backward computes the gradient in the array of the output, which metrics have yet to read."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        y = np.tanh(x)
        ctx.save(y)
        return y

    def backward(self, ctx, dy):
        (y,) = ctx.saved
        y *= y
        np.subtract(1, y, out=y)
        y *= dy
        return y


@caught_by("memory_layouts")
class AssumesStrides(Layer):
    """Sums of neighbouring features through a view whose strides are those of a contiguous input."""

    def build(self, scope, shape):
        (features,) = shape
        return (features - 1,)

    def forward(self, ctx, x):
        rows, features = x.shape
        strides = (features * x.itemsize, x.itemsize, x.itemsize)
        return np.lib.stride_tricks.as_strided(x, (rows, features - 1, 2), strides).sum(axis=-1)

    def backward(self, ctx, dy):
        dx = ctx.empty((len(dy), dy.shape[1] + 1))
        dx[:, :-1] = dy
        dx[:, -1] = 0
        dx[:, 1:] += dy
        return dx


@caught_by("memory_layouts")
class WritesIntoACopy(Layer):
    """max(x, 0), whose gradient is cleared through a flat array, which is a copy for some orders of memory."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return np.maximum(x, x.dtype.type(0))

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        dx = dy.copy(order="K")
        dx.reshape(-1)[x.reshape(-1) <= 0] = 0
        return dx


@caught_by("reference")
class EpsilonOutsideTheRoot(Layer):
    """x / sqrt(mean x^2 + epsilon) by its reference, but x / (sqrt(mean x^2) + epsilon) in fact."""

    epsilon: float = 0.1

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        root = np.sqrt(np.mean(x * x, axis=-1, keepdims=True))
        ctx.save(x, root)
        return x / (root + self.epsilon)

    def backward(self, ctx, dy):
        # With q = root + epsilon: dx = dy / q - x (sum dy x) / (n root q^2)
        x, root = ctx.saved
        quotient = root + self.epsilon
        inner = np.mean(dy * x, axis=-1, keepdims=True)
        return dy / quotient - x * inner / (root * quotient * quotient)

    @classmethod
    def examples(cls):
        def reference(parameters, x):
            return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 0.1)

        return [Example(cls(), inputs=((6,),), reference=reference)]
