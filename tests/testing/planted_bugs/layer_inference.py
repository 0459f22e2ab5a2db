"""Layers that do in inference what they should do in training alone, or something else than they do in training."""

from __future__ import annotations

from typing import Any

import numpy as np

from microframe import Layer
from microframe.standard.initializers import Ones, Zeros
from planted_bugs.planting import caught_by


@caught_by("rows_apart")
class BatchMeanInInference(Layer):
    """x without the mean of its batch, in inference as in training."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return x - x.sum(axis=0) / max(len(x), 1)

    def backward(self, ctx, dy):
        return dy - dy.sum(axis=0) / max(len(dy), 1)


@caught_by("rows_apart")
class NoiseInInference(Layer):
    """Dropout that goes on in inference, with a generator of its own."""

    differs_in_training = True

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        rng = ctx.rng if ctx.training else np.random.default_rng(0)
        mask = np.where(rng.random(x.shape) < 0.5, 0, 2).astype(x.dtype)
        ctx.save(mask)
        return x * mask

    def backward(self, ctx, dy):
        (mask,) = ctx.saved
        return dy * mask


@caught_by("training_and_inference")
class UndeclaredNoise(Layer):
    """Dropout that doesn't say that it differs in training."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        if not ctx.training:
            return x
        mask = np.where(ctx.rng.random(x.shape) < 0.5, 0, 2).astype(x.dtype)
        ctx.save(mask)
        return x * mask

    def backward(self, ctx, dy):
        (mask,) = ctx.saved
        return dy * mask


@caught_by("inference_function")
class InferenceWithoutBias(Layer):
    """x * scale + bias, with a fast path for inference that leaves the bias out."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        scope.parameter("bias", shape, Zeros())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"] + ctx.parameters["bias"]

    def inference(self, ctx):
        scale = ctx.parameters["scale"]
        return lambda x: x * scale

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.sum(dy * x, axis=0, out=ctx.gradients["scale"])
        np.sum(dy, axis=0, out=ctx.gradients["bias"])
        return dy * ctx.parameters["scale"]


@caught_by("inference_function")
class InferenceOfOldParameters(Layer):
    """x * scale, whose fast path for inference copies the scale once, and so misses what training makes of it."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"]

    def inference(self, ctx):
        scale = ctx.parameters["scale"].copy()
        return lambda x: x * scale

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.sum(dy * x, axis=0, out=ctx.gradients["scale"])
        return dy * ctx.parameters["scale"]


@caught_by("threads")
class InferenceBuffer(Layer):
    """x * scale, whose fast path for inference writes each output into the array of the one before."""

    def build(self, scope, shape):
        scope.parameter("scale", shape, Ones())
        return shape

    def forward(self, ctx, x):
        ctx.save(x)
        return x * ctx.parameters["scale"]

    def inference(self, ctx):
        buffers: dict[int, Any] = {}

        def function(x):
            out = buffers.setdefault(len(x), np.empty(x.shape, x.dtype))
            return np.multiply(x, ctx.parameters["scale"], out=out)

        return function

    def backward(self, ctx, dy):
        (x,) = ctx.saved
        np.sum(dy * x, axis=0, out=ctx.gradients["scale"])
        return dy * ctx.parameters["scale"]
