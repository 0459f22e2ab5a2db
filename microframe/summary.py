"""The table that says what a network is made of."""

from __future__ import annotations

import html
from dataclasses import dataclass

from microframe.arrays import Shape
from microframe.component import Component
from microframe.network import Network
from microframe.plugins import STANDARD
from microframe.registry import registry
from microframe.text_table import format_table


@dataclass(frozen=True)
class Row:
    """One layer of a summary."""

    name: str
    type: str
    inputs: tuple[str, ...]
    output_shape: Shape
    parameters: int
    state: int
    provider: str
    origin: str


class Summary:
    """The layers of a network with shapes and sizes; its ``str`` is a table.

    Attributes:
        rows: a row for each layer.
        input_shape: of one sample.
        parameters: how many numbers training changes.
        state: how many numbers beside them are saved.
        bytes: what both take in memory.
    """

    def __init__(self, network: Network) -> None:
        names = ["input", *(node.name for node in network.nodes)]
        weights = network.weights
        self.input_shape = network.input_shape
        self.rows = [
            Row(
                node.name,
                node.layer.type,
                tuple(names[source] for source in node.sources),
                network.shapes[index + 1],
                sum(array.size for array in weights[node.name].values()),
                sum(array.size for array in network.state[node.name].values()),
                str(registry.provider(type(node.layer))),
                origin_of(node.layer),
            )
            for index, node in enumerate(network.nodes)
        ]
        self.parameters = sum(row.parameters for row in self.rows)
        self.state = sum(row.state for row in self.rows)
        arrays = (array for views in (weights, network.state) for own in views.values() for array in own.values())
        self.bytes = sum(array.nbytes for array in arrays)

    def cells(self) -> list[tuple[str, ...]]:
        """The table, its head first."""
        head = ("layer", "type", "inputs", "output shape", "parameters", "from")
        body = [
            (
                row.name,
                row.type,
                ", ".join(row.inputs),
                format_shape(row.output_shape),
                f"{row.parameters:,}",
                row.origin,
            )
            for row in self.rows
        ]
        return [head, ("input", "", "", format_shape(self.input_shape), "", ""), *body]

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
