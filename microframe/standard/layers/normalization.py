"""Layers that normalise to mean 0 and variance 1, over the batch or within each sample, and then scale and shift."""

from __future__ import annotations

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example, Part
from microframe.interfaces import Context, Initializer, Layer, Scope
from microframe.standard.layers.rows import rows, sum_each_row, sum_rows
from microframe.values import PositiveFloat, ProperFraction


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, for each element of the last axis.

    In training, mean and variance are those of the batch over all axes but the last; in inference they are moving
    averages, which each training step follows: moving = momentum * moving + (1 - momentum) * batch. Both variances
    are divided by n  (Ioffe & Szegedy, 2015, arXiv:1502.03167).

    Fields:
        momentum: how much of the moving averages stays at each step; default 0.99.
        epsilon: added to the variance; default 0.001.
        gamma_initializer: for the scale, shape (features,); default ones.
        beta_initializer: for the shift, shape (features,); default zeros. Weight decay leaves out both.

    Shapes: (batch, ..., features) -> the same.
    """

    differs_in_training = True

    momentum: ProperFraction = 0.99
    epsilon: PositiveFloat = 1e-3
    gamma_initializer: Part[Initializer] = Part("ones")
    beta_initializer: Part[Initializer] = Part("zeros")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        _declare_scale_and_shift(scope, input_shape, self.gamma_initializer, self.beta_initializer)
        scope.state("moving_mean", input_shape[-1:])
        scope.state("moving_variance", input_shape[-1:], fill=1.0)
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        if ctx.training:
            return self._forward_in_training(ctx, x)
        y = np.subtract(x, ctx.state["moving_mean"], out=ctx.empty(x.shape))
        y *= ctx.parameters["gamma"] / np.sqrt(ctx.state["moving_variance"] + self.epsilon)
        y += ctx.parameters["beta"]
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # With n = (x - m) / s, where the mean m and the deviation s depend on x themselves, over N rows
        #   dn = gamma dy,   dgamma = sum dy n,   dbeta = sum dy,
        #   dx = (dn - mean of dn - n * mean of dn n) / s = gamma / s * (dy - (dbeta + n dgamma) / N).
        normal, deviation = ctx.saved
        dx = ctx.empty(dy.shape)
        dy, out = rows(dy), rows(dx)
        _fill_gradients(ctx, dy, normal, scratch=out)
        if not ctx.needs_input_gradient:
            return None
        np.multiply(normal, ctx.gradients["gamma"], out=out)
        out += ctx.gradients["beta"]
        out /= -len(dy)
        out += dy
        out *= np.divide(ctx.parameters["gamma"], deviation, out=ctx.empty(deviation.shape))
        return dx

    def _forward_in_training(self, ctx: Context, x: Array) -> Array:
        y = ctx.empty(x.shape)
        x, out = rows(x), rows(y)
        mean, variance, deviation = (ctx.empty(x.shape[1:]) for _ in range(3))
        sum_rows(x, mean)
        mean /= len(x)
        centred = np.subtract(x, mean, out=ctx.empty(x.shape))
        sum_rows(np.multiply(centred, centred, out=out), variance)
        variance /= len(x)
        np.add(variance, self.epsilon, out=deviation)
        np.sqrt(deviation, out=deviation)
        self._follow(ctx.state["moving_mean"], mean)
        self._follow(ctx.state["moving_variance"], variance)
        normal = np.divide(centred, deviation, out=centred)
        ctx.save(normal, deviation)
        np.multiply(normal, ctx.parameters["gamma"], out=out)
        out += ctx.parameters["beta"]
        return y

    def _follow(self, moving: Array, value: Array) -> None:
        """Move `moving` towards `value`, which is used up."""
        moving *= self.momentum
        value *= 1 - self.momentum
        moving += value

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), Example(cls(momentum=0.5, epsilon=0.1), ((3, 2, 4),))]


class LayerNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance over the last axis.

    Training and inference are the same, whatever the batch  (Ba, Kiros & Hinton, 2016, arXiv:1607.06450).

    Fields:
        epsilon: added to the variance; default 0.001.
        gamma_initializer: for the scale, shape (features,); default ones.
        beta_initializer: for the shift, shape (features,); default zeros. Weight decay leaves out both.

    Shapes: (batch, ..., features) -> the same.
    """

    epsilon: PositiveFloat = 1e-3
    gamma_initializer: Part[Initializer] = Part("ones")
    beta_initializer: Part[Initializer] = Part("zeros")

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        _declare_scale_and_shift(scope, input_shape, self.gamma_initializer, self.beta_initializer)
        return input_shape

    def forward(self, ctx: Context, x: Array) -> Array:
        y = ctx.empty(x.shape)
        x, out = rows(x), rows(y)
        mean = _mean_of_each_row(ctx, x)
        normal = np.subtract(x, mean, out=ctx.empty(x.shape))
        deviation = _mean_of_each_row(ctx, np.multiply(normal, normal, out=out))
        deviation += self.epsilon
        np.sqrt(deviation, out=deviation)
        normal /= deviation
        ctx.save(normal, deviation)
        np.multiply(normal, ctx.parameters["gamma"], out=out)
        out += ctx.parameters["beta"]
        return y

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # With n = (x - m) / s, where the mean m and the deviation s depend on x themselves, within each row
        #   dn = gamma dy,   dx = (dn - mean of dn - n * mean of dn n) / s;   over all rows
        #   dgamma = sum dy n,   dbeta = sum dy.
        normal, deviation = ctx.saved
        dx = ctx.empty(dy.shape)
        dy, out = rows(dy), rows(dx)
        _fill_gradients(ctx, dy, normal, scratch=out)
        if not ctx.needs_input_gradient:
            return None
        d_normal = np.multiply(dy, ctx.parameters["gamma"], out=ctx.empty(dy.shape))
        mean = _mean_of_each_row(ctx, d_normal)
        slope = _mean_of_each_row(ctx, np.multiply(d_normal, normal, out=out))
        np.multiply(normal, slope, out=out)
        out += mean
        np.subtract(d_normal, out, out=out)
        out /= deviation
        return dx

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), Example(cls(epsilon=0.1), ((5, 4),))]


def _declare_scale_and_shift(scope: Scope, input_shape: Shape, gamma: Initializer, beta: Initializer) -> None:
    if not input_shape:
        raise ValueError("an input with at least one axis beside the batch")
    scope.parameter("gamma", input_shape[-1:], gamma, decay=False)
    scope.parameter("beta", input_shape[-1:], beta, decay=False)


def _fill_gradients(ctx: Context, dy: Array, normal: Array, scratch: Array) -> None:
    """The gradients of scale and shift, y = gamma * normal + beta, with all arrays (rows, features)."""
    sum_rows(np.multiply(dy, normal, out=scratch), ctx.gradients["gamma"])
    sum_rows(dy, ctx.gradients["beta"])


def _mean_of_each_row(ctx: Context, x: Array) -> Array:
    """(rows, features) -> (rows, 1)."""
    mean = sum_each_row(x, ctx.empty(x.shape[:1]))
    mean /= x.shape[1]
    return mean[:, None]
