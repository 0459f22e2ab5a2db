"""The record of a training run, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from microframe.arrays import Array


class History(Mapping[str, Array]):
    """What training reported after each epoch: ``history["loss"]`` is an array with a value for each epoch.

    Names are ``loss``, the metrics, the same with ``validation_`` before them, and ``learning_rate``, that of the last
    step of the epoch. A second metric of one type is called ``f1_2``, and so on.
    A metric with a number for each class gives an array (epochs, classes).

    Args:
        columns: lists by name, as `to_dict` gives them: None stands for NaN.
    """

    def __init__(self, columns: Mapping[str, list[Any]] | None = None) -> None:
        self._columns = {
            name: _map(lambda value: math.nan if value is None else value, values)
            for name, values in (columns or {}).items()
        }

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> History:
        """The history of a single row."""
        history = cls()
        history.append(row)
        return history

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
        return len(next(iter(self._columns.values()), ()))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add the values of one epoch."""
        for name, value in row.items():
            plain = value.tolist() if isinstance(value, np.ndarray) else float(value)
            self._columns.setdefault(name, []).append(plain)

    def truncate(self, epochs: int) -> None:
        """Forget what came after the first `epochs` epochs."""
        for values in self._columns.values():
            del values[epochs:]

    def last(self) -> dict[str, Any]:
        """The values of the last epoch; empty before the first."""
        return {name: values[-1] for name, values in self._columns.items()}

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain lists by name, as JSON takes them: a value that is not finite is None."""
        return {
            name: _map(lambda value: value if math.isfinite(value) else None, values)
            for name, values in self._columns.items()
        }

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self._columns[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={format_value(value)}" for name, value in self.last().items())
        return f"History({self.epochs} epochs{'; last: ' if last else ''}{last})"

    def _repr_html_(self) -> str:
        import html

        head = "".join(f"<th>{html.escape(name)}</th>" for name in self)
        rows = "".join(
            f"<tr><td>{epoch}</td>{''.join(f'<td>{format_value(value)}</td>' for value in values)}</tr>"
            for epoch, values in enumerate(zip(*self._columns.values(), strict=True), start=1)
        )
        return f"<table><tr><th>epoch</th>{head}</tr>{rows}</table>"


def _map(function: Callable[[Any], Any], values: Any) -> Any:
    return [_map(function, value) for value in values] if isinstance(values, list) else function(values)


def format_value(value: Any) -> str:
    """A number, or one for each class, with as many digits as a reader wants."""
    if isinstance(value, list | tuple | np.ndarray):
        return " ".join(format_value(element) for element in value)
    return f"{value:.4g}"
