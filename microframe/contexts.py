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

    def nested(self, name: str, needs_input_gradient: bool | None = None) -> InferenceContext:
        return InferenceContext(_nested_arrays(self.parameters, name), _nested_arrays(self.state, name), self.empty)


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
        wanted = dtype or self.dtype
        if index < len(self._arrays):
            array = self._arrays[index]
            if array.shape == shape and array.dtype == wanted:
                return array
            self._arrays[index] = np.empty(shape, wanted)
        else:
            self._arrays.append(np.empty(shape, wanted))
        return self._arrays[index]


class TrainingContext(Arena):
    """The context of one layer in training."""

    __slots__ = ("_nested", "gradients", "needs_input_gradient", "parameters", "rng", "saved", "state")

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
        self._nested: dict[str, NestedContext] = {}

    def save(self, *values: Any) -> None:
        self.saved = values

    def nested(self, name: str, needs_input_gradient: bool | None = None) -> NestedContext:
        inner = self._nested.get(name)
        if inner is None:
            inner = self._nested[name] = NestedContext(self, name)
        inner.wanted = needs_input_gradient
        return inner


class NestedContext:
    """The context, in training, of a layer inside another one: its own arrays and savings, all else the outer one's."""

    __slots__ = ("_name", "_nested", "_outer", "empty", "gradients", "parameters", "saved", "wanted")

    training = True
    parameters: Mapping[str, Array]
    gradients: Mapping[str, Array]
    empty: Callable[..., Array]

    def __init__(self, outer: TrainingContext | NestedContext, name: str) -> None:
        self._outer = outer
        self._name = name
        self.wanted: bool | None = None
        self.parameters = _nested_arrays(outer.parameters, name)
        self.gradients = _nested_arrays(outer.gradients, name)
        self.empty = outer.empty
        self.saved: tuple[Any, ...] = ()
        self._nested: dict[str, NestedContext] = {}

    @property
    def state(self) -> Mapping[str, Array]:
        return _nested_arrays(self._outer.state, self._name)

    @property
    def rng(self) -> Generator:
        return self._outer.rng

    @property
    def needs_input_gradient(self) -> bool:
        return self._outer.needs_input_gradient if self.wanted is None else self.wanted

    def save(self, *values: Any) -> None:
        self.saved = values

    def nested(self, name: str, needs_input_gradient: bool | None = None) -> NestedContext:
        inner = self._nested.get(name)
        if inner is None:
            inner = self._nested[name] = NestedContext(self, name)
        inner.wanted = needs_input_gradient
        return inner


def _nested_arrays(arrays: Mapping[str, Array], name: str) -> dict[str, Array]:
    """The arrays of the layer inside that is called `name`, by the names that it knows."""
    prefix = nested_name(name, "")
    return {path.removeprefix(prefix): array for path, array in arrays.items() if path.startswith(prefix)}


def nested_name(name: str, array: str) -> str:
    """What an array of the layer inside that is called `name` is called outside."""
    return f"{name}_{array}"
