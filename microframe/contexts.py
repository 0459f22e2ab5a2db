"""What the network hands its layers: one context that keeps and reuses, for training, and one that does neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from microframe.arrays import Array, Generator
from microframe.errors import UsageError


class InferenceContext:
    """The context of a prediction: nothing is kept, so that threads can share it."""

    __slots__ = ("empty", "parameters", "state")

    training = False
    needs_input_gradient = False
    gradients: Mapping[str, Array] = {}
    saved: tuple[Any, ...] = ()

    def __init__(
        self, parameters: Mapping[str, Array], state: Mapping[str, Array], empty: Callable[..., Array]
    ) -> None:
        self.parameters = parameters
        self.state = state
        self.empty = empty

    @property
    def rng(self) -> Generator:
        raise UsageError("a layer may draw random numbers in training only; test ctx.training first")

    def save(self, *values: Any) -> None:
        """Keep nothing."""


class Arena:
    """Arrays that come back in the same order: set `used` to 0, and the same calls of `empty` give the same arrays."""

    __slots__ = ("_arrays", "dtype", "used")

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.used = 0
        self._arrays: list[Array] = []

    def empty(self, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """An array with unspecified content; a new one only where this call of the round asks for another shape."""
        index = self.used
        self.used = index + 1
        if index < len(self._arrays):
            array = self._arrays[index]
            if array.shape == shape and (dtype is None or array.dtype == dtype):
                return array
            self._arrays[index] = np.empty(shape, dtype or self.dtype)
        else:
            self._arrays.append(np.empty(shape, dtype or self.dtype))
        return self._arrays[index]


class TrainingContext(Arena):
    """The context of one layer in training."""

    __slots__ = ("gradients", "needs_input_gradient", "parameters", "rng", "saved", "state")

    training = True

    def __init__(
        self,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array],
        state: Mapping[str, Array],
        rng: Generator,
        dtype: np.dtype[Any],
        needs_input_gradient: bool,
    ) -> None:
        super().__init__(dtype)
        self.parameters = parameters
        self.gradients = gradients
        self.state = state
        self.rng = rng
        self.needs_input_gradient = needs_input_gradient
        self.saved: tuple[Any, ...] = ()

    def save(self, *values: Any) -> None:
        self.saved = values
