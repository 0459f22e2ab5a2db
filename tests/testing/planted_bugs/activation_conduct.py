"""Activations whose formulas are right, and which spoil arrays, keep what they should not, or draw from elsewhere."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from microframe import Activation
from planted_bugs.planting import caught_by

_SCRATCH: dict[Any, Any] = {}
_INSIDE: dict[Any, Any] = {}
_SLOPES: dict[int, float] = {}


@caught_by("in_place")
class LosesItsInput(Activation):
    """x / (1 + |x|), whose denominator is written over x before it is divided."""

    def forward(self, x, out):
        np.abs(x, out)
        out += 1
        np.divide(x, out, out)

    def backward(self, dy, x, y, out):
        # y' = 1 / (1 + |x|)^2 = (1 - |y|)^2
        np.multiply(dy, (1 - np.abs(y)) ** 2, out)


@caught_by("in_place")
class LosesItsGradient(Activation):
    """tanh x, whose derivative is written over dy before they are multiplied."""

    def forward(self, x, out):
        np.tanh(x, out)

    def backward(self, dy, x, y, out):
        np.multiply(y, y, out)
        np.subtract(1, out, out)
        out *= dy


@caught_by("shape_and_dtype")
class WritesNothing(Activation):
    """max(x, 0) in a new array that is called `out` and never seen again."""

    def forward(self, x, out):
        out = np.maximum(x, 0)  # noqa: F841  # this is the bug

    def backward(self, dy, x, y, out):
        np.multiply(dy, y > 0, out)


@caught_by("arguments_unmodified")
class SquaresItsOutput(Activation):
    """tanh x, whose backward squares y where it stands."""

    def forward(self, x, out):
        np.tanh(x, out)

    def backward(self, dy, x, y, out):
        y *= y
        np.multiply(dy, 1 - y, out)


@caught_by("memory_layouts")
class FlatCopy(Activation):
    """Leaky relu by way of ravel(), which is a copy of an array that isn't contiguous."""

    def forward(self, x, out):
        out[...] = x
        out.ravel()[x.ravel() < 0] *= 0.1

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.where(y < 0, 0.1, 1), out)


@caught_by("keeps_nothing")
class SlopeOnTheClass(Activation):
    """x over the largest value seen so far, which is kept on the class."""

    largest: ClassVar[list[float]] = [1.0]

    def forward(self, x, out):
        self.largest[0] = max(self.largest[0], float(np.max(np.abs(x), initial=0)))
        np.divide(x, 4, out)

    def backward(self, dy, x, y, out):
        np.divide(dy, 4, out)


@caught_by("threads")
class SharedScratch(Activation):
    """Softmax whose exponentials go through one array for all calls of a shape."""

    def forward(self, x, out):
        scratch = _SCRATCH.setdefault((x.shape, x.dtype), np.empty_like(x))
        np.subtract(x, x.max(axis=-1, keepdims=True), scratch)
        np.exp(scratch, scratch)
        np.divide(scratch, scratch.sum(axis=-1, keepdims=True), out)

    def backward(self, dy, x, y, out):
        inner = (dy * y).sum(axis=-1, keepdims=True)
        np.multiply(dy - inner, y, out)


@caught_by("threads")
class SharedWithinALine(Activation):
    """tanh 2x, with 2x in an array for all calls of a shape, which is written and read in one line."""

    def forward(self, x, out):
        scratch = _INSIDE.setdefault((x.shape, x.dtype), np.empty_like(x))
        np.tanh(np.multiply(x, 2, scratch), out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, 2 * (1 - y * y), out)


@caught_by("interleaved")
class MaskOfTheLastCall(Activation):
    """max(-1, min(x, 1)), whose backward reads the mask that forward left in the module."""

    def forward(self, x, out):
        _SCRATCH["mask"] = np.abs(x) < 1
        np.clip(x, -1, 1, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.resize(_SCRATCH["mask"], dy.shape), out)


@caught_by("save_and_load")
class SlopeInTheModule(Activation):
    """A slope of its own for each instance, which is no field, and so not saved."""

    def forward(self, x, out):
        np.multiply(x, self._slope(), out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, self._slope(), out)

    def _slope(self):
        return _SLOPES.setdefault(id(self), 1 / (2 + len(_SLOPES)))


@caught_by("no_global_random_state")
class RandomSlopes(Activation):
    """Relu with slopes below zero from NumPy's global generator."""

    needs_input = True

    def forward(self, x, out):
        np.multiply(x, np.where(x < 0, np.random.uniform(0.1, 0.3, x.shape), 1), out)  # noqa: NPY002

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.where(x < 0, y / np.where(x == 0, 1, x), 1), out)


@caught_by("deterministic")
class UnseededSlopes(Activation):
    """Relu with slopes below zero from a new generator each time."""

    needs_input = True

    def forward(self, x, out):
        np.multiply(x, np.where(x < 0, np.random.default_rng().uniform(0.1, 0.3, x.shape), 1), out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, np.where(x < 0, y / np.where(x == 0, 1, x), 1), out)
