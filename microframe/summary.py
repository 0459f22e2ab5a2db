"""The table that says what a network is made of."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass

from microframe.arrays import Array, Shape
from microframe.component import Component
from microframe.graph import INPUT
from microframe.manifest import StoredLayer, describe_layers
from microframe.network import Network
from microframe.plugins import STANDARD
from microframe.printable import printable
from microframe.registry import registry
from microframe.storage import Tensor
from microframe.text_table import format_table

_LONGEST_CELL = 1000


@dataclass(frozen=True)
class Row:
    """One layer of a summary.

    Attributes:
        name: its name in the network.
        type: the name of its class.
        inputs: the names of the layers that it reads.
        output_shape: of one sample.
        arrays: the shapes of its arrays, trained or not, by name.
        parameters: how many numbers training changes.
        state: how many numbers beside them are saved.
        bytes: what both take in memory.
        provider: ``"standard (microframe 1.0)"``.
        origin: the same for a narrow column; see `format_origin`.
    """

    name: str
    type: str
    inputs: tuple[str, ...]
    output_shape: Shape
    arrays: Mapping[str, Shape]
    parameters: int
    state: int
    bytes: int
    provider: str
    origin: str

    @classmethod
    def of(cls, layer: StoredLayer, kind: str, arrays: Mapping[str, Array | Tensor], provider: str, origin: str) -> Row:
        """The row of a layer of the type `kind`, with arrays of a network or of a file."""
        parameters = sum(arrays[name].size for name in layer.trained)
        return cls(
            layer.name,
            kind,
            layer.inputs,
            layer.output_shape,
            {name: array.shape for name, array in arrays.items()},
            parameters,
            sum(array.size for array in arrays.values()) - parameters,
            sum(array.nbytes for array in arrays.values()),
            provider,
            origin,
        )


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a network with shapes and sizes; its ``str`` is a table.

    Attributes:
        input_shape: of one sample.
        rows: a row for each layer.
    """

    input_shape: Shape
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, network: Network) -> Summary:
        """The summary of `network`."""
        weights, rows = network.weights, []
        for node, layer in zip(network.nodes, describe_layers(network), strict=True):
            provider = str(registry.provider(type(node.layer)))
            arrays = weights[node.name] | network.state[node.name]
            rows.append(Row.of(layer, node.layer.type, arrays, provider, origin_of(node.layer)))
        return cls(network.input_shape, tuple(rows))

    @property
    def parameters(self) -> int:
        """How many numbers training changes."""
        return sum(row.parameters for row in self.rows)

    @property
    def state(self) -> int:
        """How many numbers beside them are saved."""
        return sum(row.state for row in self.rows)

    @property
    def bytes(self) -> int:
        """What both take in memory."""
        return sum(row.bytes for row in self.rows)

    def cells(self) -> list[tuple[str, ...]]:
        """The table, its head first."""
        head = ("layer", "type", "inputs", "output shape", "parameters", "from")
        body = [
            (
                row.name,
                short(row.type),
                short(", ".join(row.inputs)),
                short(format_shape(row.output_shape)),
                f"{row.parameters:,}",
                short(row.origin),
            )
            for row in self.rows
        ]
        return [head, (INPUT, "", "", format_shape(self.input_shape), "", ""), *body]

    def total(self) -> str:
        """The last line: what all layers have together."""
        state = f", {self.state:,} fitted values" if self.state else ""
        return f"{self.parameters:,} parameters{state}, {format_bytes(self.bytes)}"

    def __str__(self) -> str:
        head, *rows = self.cells()
        return f"{format_table(head, rows)}\n{self.total()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *body = self.cells()
        rows = [f"<tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr>"]
        rows += [f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in body]
        return f"<table>{''.join(rows)}</table><p>{html.escape(self.total())}</p>"


def origin_of(component: Component) -> str:
    """Where a part comes from; see `format_origin`."""
    provider = registry.provider(type(component))
    return format_origin(provider.name, provider.distribution, provider.version)


def short(text: str) -> str:
    """`text` for a cell of a table, whose column is as wide as its widest: cut where a file says very much."""
    return printable(text, _LONGEST_CELL)


def format_origin(plugin: str, distribution: str | None, version: str | None) -> str:
    """``"microframe 1.0"`` for a standard part, ``"swish (microframe-swish 1.0)"`` or ``"local"`` for another."""
    installed = f"{distribution} {version}" if distribution else ""
    if plugin == STANDARD:
        return installed
    return f"{plugin} ({installed})" if installed else plugin


def format_shape(shape: Shape) -> str:
    """``(batch, 8, 8)``."""
    return f"(batch{''.join(f', {extent}' for extent in shape)})"


def format_bytes(count: float) -> str:
    """``"12.3 kB"``."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
