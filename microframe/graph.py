"""The graph of a network: which layer reads which, checked before anything is built."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from microframe.errors import Problem, nearest, one_of
from microframe.interfaces.layer import Layer
from microframe.values import describe_name

INPUT = "input"
"""The name by which layers refer to the network's input."""

_LONGEST_NAME = 200
LAYER_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_-]{{0,{_LONGEST_NAME - 1}}}")
"""What a layer may be called, as a whole."""
_EXPECTED_NAME = f"at most {_LONGEST_NAME} letters, digits, '_' and '-', a letter first"


@dataclass(frozen=True)
class Node:
    """A layer in its place.

    Attributes:
        name: unique in the network.
        layer: what the node computes.
        sources: the positions of the values it reads; 0 is the network's input, i + 1 the output of node i.
    """

    name: str
    layer: Layer
    sources: tuple[int, ...]


def connect(layers: Sequence[Layer], path: tuple[str | int, ...], problems: list[Problem]) -> tuple[Node, ...]:
    """Name the layers and resolve what each reads; what is wrong is appended to `problems`, under `path`.

    A layer without a name is called by its type and its number among its kind; one without inputs reads the layer
    above it. Layers may only read layers above them, so the graph has no cycles.
    """
    if not layers:
        problems.append(Problem(path, "at least one layer", "none"))
    names = _name(layers)
    positions = {INPUT: 0}
    nodes = []
    for index, (layer, name) in enumerate(zip(layers, names, strict=True)):
        place = (*path, index)
        if not LAYER_NAME.fullmatch(name):
            problems.append(Problem((*place, "name"), _EXPECTED_NAME, describe_name(name)))
        if name in positions:
            problems.append(Problem((*place, "name"), "a name that no other layer has", repr(name)))
        sources = _resolve(layer, index, positions, names, place, problems)
        positions[name] = index + 1
        nodes.append(Node(name, layer, sources))
    problems.extend(_unused(nodes, path))
    return tuple(nodes)


def _name(layers: Sequence[Layer]) -> list[str]:
    taken = {layer.name for layer in layers if layer.name}
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        name = layer.name
        while name is None:
            counts[layer.type] += 1
            candidate = f"{layer.type}_{counts[layer.type]}"
            name = candidate if candidate not in taken else None
        names.append(name)
    return names


def _resolve(
    layer: Layer,
    index: int,
    positions: dict[str, int],
    names: list[str],
    place: tuple[str | int, ...],
    problems: list[Problem],
) -> tuple[int, ...]:
    """The positions of what `layer`, the one at `index` of `names`, reads."""
    if layer.inputs is None:
        return (index,)
    sources = []
    for number, name in enumerate(layer.inputs):
        if name in positions:
            sources.append(positions[name])
        elif name in names[index:]:
            received = f"{name!r}, " + ("the layer itself" if name == names[index] else "which stands below")
            problems.append(Problem((*place, "inputs", number), _above(positions), received))
        else:
            meant = nearest(name, positions)
            problems.append(Problem((*place, "inputs", number), _above(positions), repr(name), meant))
            if meant is not None:  # counts as read, so that one slip isn't reported as two
                sources.append(positions[meant])
    if not layer.inputs:
        problems.append(Problem((*place, "inputs"), "at least one name", "an empty list"))
    return tuple(sources)


def _above(positions: dict[str, int]) -> str:
    return f"a layer above: {one_of(positions)}"


def _unused(nodes: Sequence[Node], path: tuple[str | int, ...]) -> list[Problem]:
    used = {source for node in nodes for source in node.sources}
    return [
        Problem((*path, index), f"a layer that reads {node.name!r}", "none, and it isn't the last one")
        for index, node in enumerate(nodes[:-1])
        if index + 1 not in used
    ]
