"""The state of a training run that an exact continuation needs, as plain values and arrays."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.network import Network

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
        f"state/{layer}/{name}": array.copy()
        for layer, states in network.state.items()
        for name, array in states.items()
    }
    return {"parameters": network.parameters.copy(), **state}


def restore_network(network: Network, arrays: Mapping[str, Array]) -> None:
    """Put back, in place, what `copy_network` copied."""
    network.parameters[:] = arrays["parameters"]
    for layer, states in network.state.items():
        for name, array in states.items():
            array[...] = arrays[f"state/{layer}/{name}"]


def copy_memories(memories: Sequence[Memory]) -> tuple[list[dict[str, Any]], Arrays]:
    """What callbacks remember, its arrays apart."""
    plain: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for index, memory in enumerate(memories):
        values = {name: value for name, value in memory.items() if not isinstance(value, np.ndarray)}
        plain.append(copy.deepcopy(values))
        arrays |= {
            f"memory/{index}/{name}": value.copy() for name, value in memory.items() if isinstance(value, np.ndarray)
        }
    return plain, arrays


def restore_memories(callbacks: Sequence[Callback], memories: Sequence[Memory], checkpoint: Checkpoint) -> None:
    """Give each callback the memory of the one of its type, in order; the configuration may have changed since."""
    left = list(enumerate(checkpoint.progress["callbacks"]))
    for callback, memory in zip(callbacks, memories, strict=True):
        memory.clear()
        match = next((entry for entry in left if entry[1] == callback.type), None)
        if match is not None:
            left.remove(match)
            arrays = below(f"memory/{match[0]}/", checkpoint.arrays)
            memory.update(copy.deepcopy(checkpoint.progress["memories"][match[0]]))
            memory.update({name: array.copy() for name, array in arrays.items()})


def below(prefix: str, arrays: Mapping[str, Array]) -> Arrays:
    """The arrays whose path starts with `prefix`, by the rest of it."""
    return {path.removeprefix(prefix): array for path, array in arrays.items() if path.startswith(prefix)}
