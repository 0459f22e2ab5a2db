"""Layers that go wrong for some inputs, large ones, equal ones or those of other axes, or leave values unwritten."""

from __future__ import annotations

import numpy as np

from microframe import Example, Layer
from microframe.standard.initializers import Zeros
from planted_bugs.planting import caught_by, correct


@caught_by("input_gradients")
class ForgottenCap(Layer):
    """min(max(x, 0), 6), whose backward knows of 0 but not of 6."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return np.clip(x, 0, 6)

    def backward(self, ctx, dy):
        return dy * (ctx.saved[0] > 0)


class _Shares(Layer):
    """Softmax over the last axis, by what is right for inputs that are not large."""

    def build(self, scope, shape):
        if not shape:
            raise ValueError("an input with at least one axis beside the batch")
        return shape

    def forward(self, ctx, x):
        y = np.exp(x - self._offset(x))
        y /= y.sum(axis=-1, keepdims=True)
        ctx.save(y)
        return y

    def _offset(self, x):
        return x.dtype.type(0)

    def backward(self, ctx, dy):
        (y,) = ctx.saved
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@caught_by("extremes")
class SharesWithoutMaximum(_Shares):
    """Softmax over the last axis without the maximum subtracted first."""


@correct
class SharesOfAnySize(_Shares):
    """Softmax over the last axis."""

    def _offset(self, x):
        return x.max(axis=-1, keepdims=True)


@caught_by("extremes")
class OverflowsBackward(Layer):
    """A sigmoid by tanh, whose gradient goes by exp(-x) / (1 + exp(-x))^2, which is inf / inf for large -x."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return 0.5 + 0.5 * np.tanh(x / 2)

    def backward(self, ctx, dy):
        odds = np.exp(-ctx.saved[0])
        return dy * odds / (1 + odds) ** 2


@correct
class Exponentials(Layer):
    """exp(x) of the first half of the features times the second half: infinite for large x, and NaN is not far."""

    def build(self, scope, shape):
        if len(shape) != 1 or shape[0] % 2:
            raise ValueError("an even number of features")
        return (shape[0] // 2,)

    def forward(self, ctx, x):
        first, second = np.split(x, 2, axis=1)
        ctx.save(np.exp(first), second)
        return np.exp(first) * second - np.exp(first)

    def backward(self, ctx, dy):
        grown, second = ctx.saved
        return np.concatenate([dy * grown * (second - 1), dy * grown], axis=1)


@correct
class Direction(Layer):
    """x over its length, which has no value at 0."""

    def build(self, scope, shape):
        if not shape:
            raise ValueError("an input with at least one axis beside the batch")
        return shape

    def forward(self, ctx, x):
        length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        y = x / length
        ctx.save(y, length)
        return y

    def backward(self, ctx, dy):
        # dx = (dy - y (dy . y)) / length
        y, length = ctx.saved
        return (dy - y * (dy * y).sum(axis=-1, keepdims=True)) / length


@caught_by("parameter_gradients", raises=ValueError)
class BiasOfMatrices(Layer):
    """x + bias for inputs with any axes, whose gradient is summed over the first alone."""

    def build(self, scope, shape):
        scope.parameter("bias", shape[-1:], Zeros(), decay=False)
        return shape

    def forward(self, ctx, x):
        return x + ctx.parameters["bias"]

    def backward(self, ctx, dy):
        ctx.gradients["bias"][...] = dy.sum(axis=0)
        return dy


@caught_by("output_shape")
class FlattensTheLastAxes(Layer):
    """All values of a sample in one row, or so build says; but sequences lose their features alone."""

    def build(self, scope, shape):
        return (int(np.prod(shape)),)

    def forward(self, ctx, x):
        ctx.save(x.shape)
        return x.reshape(len(x), *x.shape[1:-2], int(np.prod(x.shape[-2:] if x.ndim > 2 else x.shape[1:])))

    def backward(self, ctx, dy):
        return dy.reshape(ctx.saved[0])


class _Largest(Layer):
    """The largest of three neighbouring steps, shown on zeros too."""

    def build(self, scope, shape):
        steps, features = shape
        if steps < 3:
            raise ValueError("at least three steps")
        return steps - 2, features

    def forward(self, ctx, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
        y = windows.max(axis=-1)
        ctx.save(x.shape, self._shares(windows == y[..., None]))
        return y

    def backward(self, ctx, dy):
        shape, shares = ctx.saved
        dx = np.zeros(shape, dy.dtype)
        for offset in range(3):
            dx[:, offset : shape[1] - 2 + offset] += dy * shares[..., offset]
        return dx

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=(np.zeros((3, 5, 2)),)), Example(cls(), inputs=((5, 2),))]


@caught_by("input_gradients")
class AllOfTheLargest(_Largest):
    """The largest of three neighbouring steps; each of several equal ones gets the whole gradient."""

    def _shares(self, is_largest):
        return is_largest


@correct
class FirstOfTheLargest(_Largest):
    """The largest of three neighbouring steps; of equal ones the first gets the gradient."""

    def _shares(self, is_largest):
        return is_largest & (is_largest.cumsum(axis=-1) == 1)


@correct
class SharedByTheLargest(_Largest):
    """The largest of three neighbouring steps; equal ones share the gradient."""

    def _shares(self, is_largest):
        return is_largest / is_largest.sum(axis=-1, keepdims=True)


@correct
class DifferenceOfPeaks(Layer):
    """What is above 0 of the first feature less what is of the second, shown on zeros, where kinks cancel."""

    def build(self, scope, shape):
        return (1,)

    def forward(self, ctx, x):
        ctx.save(x)
        return np.maximum(x[:, :1], 0) - np.maximum(x[:, 1:], 0)

    def backward(self, ctx, dy):
        return dy * (ctx.saved[0] > 0) * np.array([1, -1], dy.dtype)

    @classmethod
    def examples(cls):
        return [Example(cls(), inputs=(np.zeros((3, 2)),))]


@caught_by("output_shape")
class UnwrittenBorder(Layer):
    """x with a border, which is left as the array came."""

    def build(self, scope, shape):
        (features,) = shape
        return (features + 2,)

    def forward(self, ctx, x):
        y = ctx.empty((len(x), x.shape[1] + 2))
        y[:, 1:-1] = x
        return y

    def backward(self, ctx, dy):
        return dy[:, 1:-1]


@caught_by("input_gradients")
class UnclearedMask(Layer):
    """max(x, 0), with a mask in an array of truth values that is taken to be false at first."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        mask = ctx.empty(x.shape, dtype=np.bool_)
        mask |= x > 0
        ctx.save(mask)
        return np.where(x > 0, x, x.dtype.type(0))

    def backward(self, ctx, dy):
        return dy * ctx.saved[0]


@correct
class Reversal(Layer):
    """x, with the gradient times -1 (Ganin & Lempitsky, 2015)."""

    gradient_is_exact = False

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return x

    def backward(self, ctx, dy):
        return -dy
