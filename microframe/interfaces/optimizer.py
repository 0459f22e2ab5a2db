"""The optimizer interface: how parameters follow their gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Protocol

from microframe.arrays import Array, Shape
from microframe.component import Component, Part
from microframe.interfaces.schedule import Schedule
from microframe.values import NonNegativeFloat, PositiveFloat, ProperFraction


@dataclass(frozen=True)
class ParameterSlice:
    """Where one parameter lies in the flat vector, ``parameters[start:stop].reshape(shape)``."""

    name: str
    shape: Shape
    start: int
    stop: int
    decay: bool


class OptimizerContext(Protocol):
    """What an optimizer is handed with each update."""

    @property
    def slots(self) -> Mapping[str, Array]:
        """The optimizer's own vectors by name, of the shape of the parameters."""

    @property
    def step(self) -> int:
        """How many updates there were with this one, from 1."""

    @property
    def learning_rate(self) -> float:
        """The rate of this step, after the schedule."""

    @property
    def empty(self) -> Callable[..., Array]:
        """``empty(shape)``: an array with unspecified content that is reused from step to step."""

    @property
    def layout(self) -> Sequence[ParameterSlice]:
        """Where each parameter lies in the vectors; empty for an elementwise optimizer, which sees blocks."""


class Optimizer(Component):
    """A rule by which a vector of parameters follows its gradient.

    Fields of every optimizer (keyword only, but for the learning rate of those that take it first):
        learning_rate: the step length; multiplied by `schedule` where there is one.
        schedule: how the learning rate changes over training.
        weight_decay: decoupled decay: each step also subtracts rate * weight_decay * parameter.
        l1, l2: penalties l1 * sum |w| and l2 * sum w^2 / 2, through their gradients (the reported loss stays bare).
        clip_value: the gradient, penalties included, is cut to +- this, element by element.
        clip_norm: the gradient is then scaled so that its norm over all parameters is at most this.
        average: the decay of an exponential moving average of the weights, which predictions then use.

    Decay and penalties leave out the parameters declared with ``decay=False``.
    """

    kind = "optimizer"
    elementwise: ClassVar[bool] = True
    """Whether the rule treats every element alike. The vectors then come in blocks that fit the processor's cache;
    when False they come whole, and `ctx.layout` says where each parameter lies."""

    _: KW_ONLY
    learning_rate: PositiveFloat = 0.01
    schedule: Part[Schedule | None] = Part(None)
    weight_decay: NonNegativeFloat = 0.0
    l1: NonNegativeFloat = 0.0
    l2: NonNegativeFloat = 0.0
    clip_value: PositiveFloat | None = None
    clip_norm: PositiveFloat | None = None
    average: ProperFraction | None = None

    def slots(self) -> Mapping[str, float]:
        """The vectors that the optimizer keeps between steps: name -> what they are filled with at first."""
        return {}

    @abstractmethod
    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        """Change `parameters` in place.

        Args:
            parameters: the flat parameter vector, or a block of it (see `elementwise`).
            gradients: the gradient that goes with it; may be used as scratch space.
            ctx: slots of the same shape, step, rate.
        """
