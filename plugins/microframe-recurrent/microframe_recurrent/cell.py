"""The step that a recurrent layer repeats, and the arrays that its steps work in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

import microframe
from microframe import Array

if TYPE_CHECKING:
    from microframe_recurrent.recurrent import Recurrent


Activated: TypeAlias = tuple[Array | None, Array]
"""What `Activation.apply` gives: of its argument what its backward needs, and the result."""


class Cell(ABC):
    """What a recurrent layer computes for one batch: a step, and the arrays of all steps.

    Args:
        ctx: of the layer.
        projected: x W + b of every step, (time, batch, gates * units), in the order in which steps are taken. The cell
            may write into it, and in backward replaces it with its gradient.
        layer: whose cell it is.

    Attributes:
        hidden: the hidden states, one array: (time + 1, batch, units), where the first is that before the first step
            and zero. In inference, unless the output is that of every step, (2, batch, units), written in turns.
        states: for each state, the first of them the hidden one, its value before the first step and after each.
    """

    def __init__(self, ctx: microframe.Context, projected: Array, layer: Recurrent) -> None:
        self.ctx = ctx
        self.steps, self.batch, self.width = projected.shape
        self.units = layer.units
        self.activation = layer.activation
        self.projected = projected
        self.hidden = self._state(keep=layer.return_sequences or ctx.training)
        self.states = [self._taken_in_turns(self.hidden)]
        self.recurrent_kernel = ctx.parameters["recurrent_kernel"]

    @abstractmethod
    def forward(self, step: int) -> None:
        """Compute the states after `step`, ``states[...][step + 1]``, from those before it."""

    def prepare_backward(self) -> None:
        """Make the arrays that `backward` works in."""
        # A product with a transposed matrix takes much longer than with one that lies as it is read.
        self.transposed_kernel = self.ctx.empty(self.recurrent_kernel.shape[::-1])
        np.copyto(self.transposed_kernel, self.recurrent_kernel.T)

    @abstractmethod
    def backward(self, step: int, gradients: Sequence[Array]) -> None:
        """From the gradients with respect to the states after `step` to those before it, in place.

        Also overwrites ``projected[step]`` with its gradient.
        """

    def fill_gradients(self, gradients: Mapping[str, Array]) -> None:
        """Write the gradients of the parameters that the recurrent product takes, after the last `backward`."""
        # Each step adds h^T dz, with the state h before it: one product over all steps and rows is their sum.
        self.states_before.T.dot(self.projected.reshape(-1, self.width), gradients["recurrent_kernel"])

    @property
    def states_before(self) -> Array:
        """The hidden states before each step, (time * batch, units), in training."""
        return self.hidden[:-1].reshape(-1, self.units)

    def _state(self, *, keep: bool) -> Array:
        state = self.ctx.empty((self.steps + 1 if keep else 2, self.batch, self.units))
        state[0] = 0
        return state

    def _for_each_step(self, *shape: int) -> Array:
        """Arrays in one: in training one for each step, for backward to read, and in inference one for all."""
        return self.ctx.empty((self.steps if self.ctx.training else 1, *shape))

    def _taken_in_turns(self, arrays: Array) -> list[Array]:
        """The array of each step, and of the one after the last, from `arrays` over and over."""
        each = list(arrays)
        return [each[step % len(each)] for step in range(self.steps + 1)]

    def _by_gate(self, x: Array) -> Array:
        """(..., batch, gates * units) as (..., gates, batch, units), a view: what a step reads gate by gate."""
        return np.swapaxes(x.reshape(*x.shape[:-1], x.shape[-1] // self.units, self.units), -2, -3)
