"""Momentum that applies the velocity of the sample before, and starts every epoch anew."""

from __future__ import annotations

from collections.abc import Mapping

from microframe import Component, Optimizer, OptimizerContext, hookimpl
from microframe.arrays import Array
from microframe.values import PositiveInteger, ProperFraction


class NotebookMomentum(Optimizer):
    """p -= u, then u = lr g + mu u, where g is the gradient at the p before; u is 0 at the start of an epoch.

    Fields:
        momentum: mu, default 0.9.
        steps_per_epoch: how many updates an epoch has; default 300.
    """

    momentum: ProperFraction = 0.9
    steps_per_epoch: PositiveInteger = 300

    def slots(self) -> Mapping[str, float]:
        return {"velocity": 0.0}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        velocity = ctx.slots["velocity"]
        if (ctx.step - 1) % self.steps_per_epoch == 0:
            velocity.fill(0)
        parameters -= velocity
        velocity *= self.momentum
        gradients *= ctx.learning_rate
        velocity += gradients


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [NotebookMomentum]
