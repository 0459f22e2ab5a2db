"""The state of a training run that an exact continuation needs, as plain values and arrays."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.errors import UsageError, format_path
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.network import Network
from microframe.storage import NUMBER_KEY, check_tensors
from microframe.values import describe_value

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Checkpoint:
    """Everything that an exact continuation needs beside the configuration, the data and the history so far.

    Attributes:
        progress: plain JSON values: position, random states, what callbacks remember.
        arrays: the arrays of the same, by path; the parameters are the ones being trained, which differ from those
            that predict when weights are averaged or the best ones were restored.
    """

    progress: dict[str, Any]
    arrays: Arrays


def copy_network(network: Network) -> Arrays:
    """Copies of the parameters and of the layers' state."""
    state = {
        f"optimizer/state/{layer}/{name}": array.copy()
        for layer, states in network.state.items()
        for name, array in states.items()
    }
    return {"optimizer/parameters": network.parameters.copy(), **state}


def restore_network(network: Network, arrays: Mapping[str, Array]) -> None:
    """Put back, in place, what `copy_network` copied."""
    network.parameters[:] = arrays["optimizer/parameters"]
    for layer, states in network.state.items():
        for name, array in states.items():
            array[...] = arrays[f"optimizer/state/{layer}/{name}"]


def copy_memories(memories: Sequence[Memory]) -> tuple[list[dict[str, Any]], Arrays]:
    """What callbacks remember, its arrays apart.

    Raises:
        UsageError: a callback remembers something that a model file has no place for; the message names both.
    """
    plain: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for index, memory in enumerate(memories):
        place = f"{format_path(('training', 'callbacks', index))}: memory"
        own = {name: value.copy() for name, value in memory.items() if isinstance(value, np.ndarray)}
        check_tensors(own, place)
        plain.append(_plain({name: value for name, value in memory.items() if name not in own}, place))
        arrays |= {f"callbacks/{index}/{name}": array for name, array in own.items()}
    return plain, arrays


def _plain(value: Any, place: str) -> Any:
    """A copy of `value` as JSON values, in which numbers need not be finite; `place` is for the message of an error."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list | tuple):
        return [_plain(element, f"{place}[{index}]") for index, element in enumerate(value)]
    if isinstance(value, dict):
        odd = next((name for name in value if not isinstance(name, str) or name == NUMBER_KEY), None)
        if odd is not None:
            raise UsageError(f"{place}: expected names other than {NUMBER_KEY!r} as keys, received {odd!r}")
        return {str(name): _plain(element, f"{place}[{name!r}]") for name, element in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UsageError(
        f"{place}: expected a number, a string, a truth value, None, or a list or dict of these (arrays stand in the "
        f"memory itself), received {describe_value(value)}"
    )


def restore_memories(callbacks: Sequence[Callback], memories: Sequence[Memory], checkpoint: Checkpoint) -> None:
    """Give each callback the memory of the one of its type, in order; the configuration may have changed since."""
    left = list(enumerate(checkpoint.progress["callbacks"]))
    for callback, memory in zip(callbacks, memories, strict=True):
        memory.clear()
        match = next((entry for entry in left if entry[1] == callback.type), None)
        if match is not None:
            left.remove(match)
            arrays = below(f"callbacks/{match[0]}/", checkpoint.arrays)
            memory.update(copy.deepcopy(checkpoint.progress["memories"][match[0]]))
            memory.update({name: array.copy() for name, array in arrays.items()})


def below(prefix: str, arrays: Mapping[str, Array]) -> Arrays:
    """The arrays whose path starts with `prefix`, by the rest of it."""
    return {path.removeprefix(prefix): array for path, array in arrays.items() if path.startswith(prefix)}
