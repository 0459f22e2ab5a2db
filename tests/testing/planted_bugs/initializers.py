"""Initializers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from microframe import Initializer
from planted_bugs.planting import caught_by, correct


@caught_by("fills_all")
class SparseWithGaps(Initializer):
    """Normal draws in half of the elements, and nothing in the others."""

    def fill(self, out, rng):
        chosen = rng.random(out.shape) < 0.5
        out[chosen] = rng.standard_normal(int(chosen.sum()))


@caught_by("fills_all")
class ReturnsItsValues(Initializer):
    """Normal draws that are returned and not written."""

    def fill(self, out, rng):
        return rng.normal(0, 0.05, out.shape).astype(out.dtype)


@caught_by("fills_all")
class MatricesOnly(Initializer):
    """A variance by the number of inputs, read from the shape as if it always had two axes at least."""

    def fill(self, out, rng):
        inputs = out.shape[-2]
        out[...] = rng.normal(0, 1 / np.sqrt(inputs), out.shape)


@caught_by("no_global_random_state")
class GlobalDraws(Initializer):
    """Normal draws from NumPy's global generator."""

    def fill(self, out, rng):
        out[...] = np.random.normal(0, 0.05, out.shape)  # noqa: NPY002


@caught_by("deterministic")
class UnseededDraws(Initializer):
    """Normal draws from a new generator."""

    def fill(self, out, rng):
        out[...] = np.random.default_rng().normal(0, 0.05, out.shape)


@caught_by("within_bounds")
class IgnoresItsBounds(Initializer):
    """Uniform draws between `low` and `high`, which are used as mean and deviation."""

    low: float = -0.1
    high: float = 0.1

    def bounds(self, shape):
        return self.low, self.high

    def fill(self, out, rng):
        out[...] = rng.normal((self.low + self.high) / 2, self.high - self.low, out.shape)


@caught_by("within_bounds")
class InfiniteForOneInput(Initializer):
    """A deviation of 1 / sqrt(inputs - 1), which is infinite where there is one."""

    def fill(self, out, rng):
        inputs = out.shape[0] if out.ndim else 1
        with np.errstate(all="ignore"):
            out[...] = np.divide(rng.standard_normal(out.shape), np.sqrt(inputs - 1.0))


@caught_by("keeps_nothing")
class RemembersDraws(Initializer):
    """Normal draws, kept for the next parameter of that shape."""

    drawn: ClassVar[dict[tuple[int, ...], Any]] = {}

    def fill(self, out, rng):
        out[...] = self.drawn.setdefault(out.shape, rng.normal(0, 0.05, out.shape))


@caught_by("only_out_changes")
class FillsTheWholeVector(Initializer):
    """One constant, written through to the array that the parameter is a view of."""

    def fill(self, out, rng):
        whole = out if out.base is None else out.base
        whole[...] = 0.5


@caught_by("dtype_kept", raises=TypeError)
class Float64Only(Initializer):
    """Normal draws straight into the array, which the generator refuses unless it is told the dtype of float32."""

    def fill(self, out, rng):
        rng.standard_normal(out=out)


@caught_by("dtype_kept")
class BitsForFloat64(Initializer):
    """Random bits divided by their number in float64, which are not as many in float32."""

    def fill(self, out, rng):
        bits = 8 * out.dtype.itemsize - (11 if out.dtype == np.float64 else 8)
        out[...] = rng.integers(0, 2**bits, out.shape) / 2**53


@correct
class DrawsInItsDtype(Initializer):
    """Normal draws in the dtype of the array, which are others in float32 than in float64."""

    def fill(self, out, rng):
        out[...] = rng.standard_normal(out.shape, dtype=out.dtype)


@correct
class SparseRows(Initializer):
    """Normal draws in half of the elements and zero in the others, for arrays of any shape, also of none."""

    share: float = 0.5

    def fill(self, out, rng):
        out[...] = np.where(rng.random(out.shape) < self.share, rng.standard_normal(out.shape), 0)


@correct
class OrthogonalRows(Initializer):
    """A matrix with orthonormal rows; it refuses arrays with fewer than two axes or more rows than columns."""

    def fill(self, out, rng):
        if out.ndim != 2 or out.shape[0] > out.shape[1]:
            raise ValueError(f"expected a matrix with at least as many columns as rows, received shape {out.shape}")
        q, _ = np.linalg.qr(rng.standard_normal(out.shape[::-1]))
        out[...] = q.T


@correct
class Published(Initializer):
    """The numbers of a published network: a generator of its own with a seed, and not that of the run."""

    seed: int = 3

    def fill(self, out, rng):
        out[...] = np.random.default_rng(self.seed).uniform(-1, 1, out.shape)
