"""Comma-separated values."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.errors import DataError
from microframe.interfaces import Dataset, Source
from microframe.standard.sources.rows import RowRange, check_range, within
from microframe.tables import Table, as_numbers, is_missing, numeric_columns, read_table


class CSV(Source):
    """A table in a CSV file (UTF-8), one sample a row.

    A single target column that holds only numbers gives numbers (whole ones stay whole), any other gives text, as do
    numbers with a leading zero, such as 007; several give (samples, targets) numbers. Columns are given by name, or
    by number: from 0, or from the end when negative.

    Fields:
        path: the file.
        target: the target column, or a list of them; None where there is none.
        features: the input columns; None for all that are not targets.
        delimiter: what stands between cells: a comma, a tab or a semicolon.
        header: whether the first row holds names. ``"auto"``: it does unless it looks like the row below, with text
            only where that has text too, and has some number of its own.
        missing: whether an empty cell, NA, NaN or null among the inputs is an error, or is filled with the mean of
            the training part. Among the targets it is always an error.
        rows: take the rows from the first number up to but without the second; counted from 0 below the header.
    """

    path: str
    target: str | int | tuple[str | int, ...] | None = None
    features: tuple[str | int, ...] | None = None
    delimiter: Literal[",", "\t", ";"] = ","
    header: Literal["auto"] | bool = "auto"
    missing: Literal["error", "mean"] = "error"
    rows: RowRange = None

    def __post_init__(self) -> None:
        check_range(self.rows)

    def load(self) -> Dataset:
        table = read_table(self.path, delimiter=self.delimiter, header=self.header)
        taken = within(self.rows, len(table), self.path)
        table = table.between(taken.start, taken.stop)
        targets = _distinct(table, _listed(self.target))
        features = self._features(table, targets)
        inputs = numeric_columns(table, features, self.missing)
        _check_some_value(table, features, inputs)
        target = None
        if isinstance(self.target, tuple):
            target = numeric_columns(table, targets)
        elif targets:
            target = _target_column(table, targets[0])
        names = _names(table, features), _names(table, targets)
        return Dataset(inputs, target, *names, self.missing, tuple(targets), self.delimiter)

    def _features(self, table: Table, targets: list[int]) -> list[int]:
        if self.features is None:
            features = [column for column in range(len(table.columns)) if column not in targets]
        else:
            features = _distinct(table, self.features)
        if not features:
            raise DataError(f"{self.path}: expected at least one column of inputs, received targets only")
        for column in targets:
            if column in features:
                raise DataError(f"{self.path}: {table.describe(column)} is both a feature and a target")
        return features

    @classmethod
    def examples(cls) -> list[Component | Example]:
        leaves = b"length,width,tree\n1.0,5.0,oak\n3.0,1.0,ash\n1.2,,oak\n2.9,0.9,ash\n"
        points = b"1;2;3;4\n5;6;7;8\n9;10;11;12\n"
        return [
            Example(cls("leaves.csv", target="tree", missing="mean"), files={"leaves.csv": leaves}),
            Example(cls("leaves.csv", target=1, features=("length",), rows=(0, 2)), files={"leaves.csv": leaves}),
            Example(cls("points.csv", target=(-2, -1), delimiter=";", header=False), files={"points.csv": points}),
            Example(cls("points.csv", delimiter=";"), files={"points.csv": points}),
        ]


def _listed(columns: str | int | tuple[str | int, ...] | None) -> tuple[str | int, ...]:
    if columns is None:
        return ()
    return columns if isinstance(columns, tuple) else (columns,)


def _distinct(table: Table, columns: tuple[str | int, ...]) -> list[int]:
    """The numbers of `columns`."""
    numbers = [table.column(column) for column in columns]
    for number in numbers:
        if numbers.count(number) > 1:
            raise DataError(f"{table.file}: {table.describe(number)} is asked for more than once")
    return numbers


def _names(table: Table, columns: list[int]) -> tuple[str, ...] | None:
    return tuple(table.names[column] for column in columns) if table.names and columns else None


def _check_some_value(table: Table, columns: list[int], inputs: Array) -> None:
    """A column without any value has no mean to fill it with."""
    for column, values in zip(columns, inputs.T, strict=True):
        if np.isnan(values).all():
            raise DataError(f"{table.file}: {table.describe(column)}: expected some value, received none")


def _target_column(table: Table, column: int) -> Array:
    """One column as int64, float64 or text, (rows,)."""
    cells = [cell.strip() for cell in table.columns[column]]
    for row, cell in enumerate(cells):
        if is_missing(cell):
            raise table.error(row, column, "a target")
    if any(_LEADING_ZERO.match(cell) for cell in cells):
        return np.array(cells)
    for dtype in (np.int64, np.float64) if all(map(_is_whole, cells)) else (np.float64,):
        try:
            numbers = as_numbers(cells, dtype)
        except (ValueError, OverflowError):
            continue
        if not np.isfinite(numbers).all():
            raise table.error(int(np.flatnonzero(~np.isfinite(numbers))[0]), column, "a finite number")
        return numbers
    return np.array(cells)


_LEADING_ZERO = re.compile(r"[+-]?0\d")
"""Such cells are codes, which a number would lose the zeros of."""


def _is_whole(cell: str) -> bool:
    """Whether a cell is what Python writes for a whole number."""
    try:
        return cell == str(int(cell))
    except ValueError:
        return False
