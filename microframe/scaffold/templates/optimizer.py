"""An optimizer for microframe: gradient descent with quasi-hyperbolic momentum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from microframe import Component, Example, Optimizer, OptimizerContext, hookimpl
from microframe.arrays import Array
from microframe.values import Fraction, PositiveFloat, ProperFraction


class PartName(Optimizer):
    """p -= lr ((1 - nu) g + nu m), where m = beta m + (1 - beta) g starts from zero.

    A mean of plain gradient descent (nu = 0) and of descent along a moving average of the
    gradients (nu = 1)  (Ma and Yarats, 2018, arXiv:1810.06801, algorithm 1).

    Fields:
        learning_rate: lr; default 0.1.
        beta: how much of the moving average stays at each step; default 0.999.
        nu: the weight of the moving average, from 0 to 1; default 0.7.
    """

    learning_rate: PositiveFloat = 0.1
    beta: ProperFraction = 0.999
    nu: Fraction = 0.7

    def slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        momentum = ctx.slots["momentum"]
        momentum *= self.beta
        step = np.multiply(gradients, 1 - self.beta, out=ctx.empty(gradients.shape))
        momentum += step
        np.multiply(momentum, self.nu * ctx.learning_rate, out=step)
        parameters -= step
        gradients *= (1 - self.nu) * ctx.learning_rate
        parameters -= gradients

    @classmethod
    def examples(cls) -> list[Example]:
        return [Example(cls()), Example(cls(0.1, 0.5, 0.8), reference=_reference)]


def _reference(parameters: Array, gradients: Sequence[Array]) -> Array:
    # Written out, m after step t is the sum over s <= t of (1 - beta) beta^(t - s) g_s.
    for last in range(len(gradients)):
        ages = range(last, -1, -1)
        average = sum(0.5 ** (age + 1) * g for age, g in zip(ages, gradients, strict=False))
        parameters = parameters - 0.1 * (0.2 * gradients[last] + 0.8 * average)
    return parameters


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [PartName]
