"""An optimizer alone, on a small vector of parameters, for checks to feed gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.interfaces import Optimizer
from microframe.interfaces.optimizer import ParameterSlice
from microframe.optimization import BLOCK_SIZE, OptimizerState

SIZE = 23
LAYOUT = (ParameterSlice("kernel", (5, 3), 0, 15, decay=True), ParameterSlice("bias", (8,), 15, SIZE, decay=False))
_PLAIN = {"weight_decay": 0.0, "l1": 0.0, "l2": 0.0, "clip_value": None, "clip_norm": None, "average": None}


class OptimizerBench:
    """An optimizer with parameters, which start from random numbers.

    Args:
        optimizer: the rule.
        dtype: of the parameters.
        layout: where each parameter lies in the vector.
        block_size: how many elements are treated at a time where the rule is elementwise.

    Attributes:
        parameters: the vector that changes.
        start: what it was at first.
        state: the optimizer at work.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        dtype: str = "float64",
        layout: Sequence[ParameterSlice] = LAYOUT,
        block_size: int = BLOCK_SIZE,
    ) -> None:
        self.start = np.random.default_rng(0).standard_normal(layout[-1].stop).astype(dtype)
        self.parameters = self.start.copy()
        self._gradients = np.zeros_like(self.start)
        self.state = OptimizerState(optimizer, self.parameters, self._gradients, layout, block_size)

    def follow(self, gradients: Iterable[Array], factor: float = 1.0) -> OptimizerBench:
        """Take a step for each of the gradients, with a factor on the learning rate."""
        for gradient in gradients:
            self._gradients[...] = gradient
            self.state.step(factor)
        return self

    def descend(self, gradient: Callable[[Array], Array], steps: int) -> OptimizerBench:
        """Take so many steps, each along what `gradient` gives for the parameters."""
        for _ in range(steps):
            self.follow([gradient(self.parameters)])
        return self

    def arrays(self) -> dict[str, Array]:
        """Copies of the parameters and of the slots, by what they are called in messages."""
        slots = {f"the slot {name!r}": array.copy() for name, array in self.state.slots.items()}
        return {"the parameters": self.parameters.copy(), **slots}


@dataclass
class BareContext:
    """The `OptimizerContext` of a step that nothing is done around."""

    slots: Mapping[str, Array]
    step: int
    learning_rate: float
    empty: Callable[..., Array]
    layout: Sequence[ParameterSlice]


def optimizer_of(example: Example) -> Optimizer:
    """The optimizer that `example` shows."""
    optimizer = example.component
    assert isinstance(optimizer, Optimizer)
    return optimizer


def plain(optimizer: Optimizer, **fields: Any) -> Optimizer:
    """The rule with nothing done around it, but for what `fields` say of those that every optimizer has."""
    changes: dict[str, Any] = _PLAIN | fields
    return dataclasses.replace(optimizer, **changes)


def random_gradients(steps: int, *, seed: int = 1) -> Array:
    """Gradients for so many steps, (steps, SIZE); one parameter never has any."""
    gradients = np.random.default_rng(seed).standard_normal((steps, SIZE))
    gradients[:, 3] = 0.0
    return gradients
