"""Tables of text: reading them from CSV, turning their columns into numbers, matching them to a model's columns."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from microframe.arrays import Array
from microframe.errors import DataError, list_names, nearest, shorten

Delimiter = Literal[",", "\t", ";"]
Header = Literal["auto"] | bool
Missing = Literal["error", "mean"]

MISSING_CELLS = frozenset({"", "na", "nan", "null"})
"""What stands for a missing value, in any case and with any space around it."""


@dataclass(frozen=True, eq=False)
class Table:
    """The cells of a table as text.

    Attributes:
        file: the name of the file, for messages.
        names: the name of each column, or None when the file has no header.
        columns: the cells, column by column.
        lines: the line of the file on which each row begins, counted from 1.
    """

    file: str
    names: tuple[str, ...] | None
    columns: Sequence[Sequence[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.lines)

    def between(self, start: int, stop: int) -> Table:
        """The rows from `start`, counted from 0, up to but without `stop`."""
        return Table(self.file, self.names, [cells[start:stop] for cells in self.columns], self.lines[start:stop])

    def column(self, column: str | int) -> int:
        """The number of a column, from its name or its number (from 0; negative ones count from the end).

        Raises:
            DataError: there is no such column.
        """
        if isinstance(column, int):
            if -len(self.columns) <= column < len(self.columns):
                return column % len(self.columns)
            raise DataError(f"{self.file}: there is no column {column}; it has {len(self.columns)}, counted from 0")
        if self.names is None:
            raise DataError(f"{self.file}: expected the number of a column (it has no header), received {column!r}")
        if column in self.names:
            return self.names.index(column)
        hint = _hint(column, self.names)
        known = list_names(self.names)
        raise DataError(f"{self.file}: there is no column {column!r}{hint}; it has {known}{_delimiter_hint(self)}")

    def describe(self, column: int) -> str:
        """What to call a column in a message: ``"column 'age'"``, or ``"column 3 (from 0)"`` without a header."""
        return f"column {column} (from 0)" if self.names is None else f"column {self.names[column]!r}"

    def error(self, row: int, column: int, expected: str) -> DataError:
        """The error of a cell that is not what was expected; names file, line, column and content."""
        place = f"{self.file}: line {self.lines[row]}, {self.describe(column)}"
        cell = self.columns[column][row]
        return DataError(f"{place}: expected {expected}, received {repr(cell) if cell.strip() else 'an empty cell'}")


class Match(NamedTuple):
    """Which columns of a table a model reads.

    Attributes:
        features: the numbers of the columns that are inputs, in the model's order.
        targets: the same for the targets; empty unless the table has them all.
    """

    features: list[int]
    targets: list[int]


@contextlib.contextmanager
def reading(file: str) -> Iterator[None]:
    """Turn the operating system's refusal to read `file` into a DataError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{file}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from error


def read_table(
    file: str | os.PathLike[str] | IO[bytes] | IO[str],
    *,
    delimiter: Delimiter = ",",
    header: Header = "auto",
    feature_names: Collection[str] = (),
    target_names: Collection[str] = (),
) -> Table:
    """Read a CSV file, in UTF-8 with or without a byte order mark.

    Quotes are as in the csv module; spaces after a delimiter and empty lines are skipped.

    Args:
        file: a path, or an open stream such as standard input.
        delimiter: what stands between cells.
        header: whether the first row holds names. ``"auto"``: it does unless it looks like the row below, with text
            only where that has text too, and has some number of its own.
        feature_names, target_names: columns that are looked for: a first row that names every feature, in any order,
            and nothing else but targets holds names, whatever `header` says.

    Raises:
        DataError: the file is missing, empty, not UTF-8, or not a table with distinct column names.
    """
    name, text = _read_text(file)
    rows, lines = _split(text, delimiter, name)
    if not rows:
        raise DataError(f"{name}: the file is empty")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise DataError(f"{name}: line {line}: expected {len(rows[0])} cells as above, received {len(row)}")
    first = tuple(cell.strip() for cell in rows[0])
    names = None
    is_known = set(feature_names) <= set(first) <= {*feature_names, *target_names} if feature_names else False
    if is_known or (_is_header(rows[:2]) if header == "auto" else header):
        names = first
        _check_distinct(names, f"{name}: line {lines[0]}")
        rows, lines = rows[1:], lines[1:]
    if not rows:
        raise DataError(f"{name}: there is no row below the header")
    return Table(name, names, list(zip(*rows, strict=True)), lines)


def numeric_columns(table: Table, columns: Sequence[str | int], missing: Missing = "error") -> NDArray[np.float64]:
    """The numbers in some columns of a table.

    Args:
        table: where they stand.
        columns: which ones, by name or number, in the order of the result.
        missing: whether an empty cell, NA, NaN or null (in any case) is an error, or gives NaN.

    Returns:
        (rows, columns) float64, finite but for the NaN of missing values.

    Raises:
        DataError: a cell is not a finite number; names file, line and column.
    """
    numbers = np.empty((len(table), len(columns)))
    for index, column in enumerate(columns):
        numbers[:, index] = _numeric_column(table, table.column(column), missing)
    return numbers


def match_columns(
    table: Table,
    feature_names: Sequence[str] | int,
    target_names: Sequence[str] | int = (),
    target_columns: Sequence[int] = (),
) -> Match:
    """Find the columns of a table that a model reads.

    Where both have names, columns are matched by name in any order; the table may hold the targets or not. Otherwise
    they are matched by position: the targets, if the table is wide enough to have them, stand where `target_columns`
    says or else at the end, and the features are all other columns.

    Args:
        table: what was read.
        feature_names: the names of the model's input columns, or how many there are if they have none.
        target_names: the same for the target columns.
        target_columns: where the targets stood in the table that the model learnt from.

    Raises:
        DataError: columns are missing, or there are some that the model doesn't know; names all of them.
    """
    if table.names is None or isinstance(feature_names, int):
        return _match_by_position(table, _count(feature_names), _count(target_names), target_columns)
    targets = () if isinstance(target_names, int) else tuple(target_names)
    position = {name: index for index, name in enumerate(table.names)}
    known = {*feature_names, *targets}
    missing = [name for name in feature_names if name not in position]
    surplus = [name for name in table.names if name not in known]
    if missing or surplus:
        raise DataError(f"{table.file}: {_mismatch(missing, surplus)}{_delimiter_hint(table)}")
    return Match(
        [position[name] for name in feature_names],
        [position[name] for name in targets] if position.keys() >= set(targets) else [],
    )


def as_numbers(cells: Sequence[str], dtype: type[np.float64] | type[np.int64]) -> Array:
    """Text as numbers, (rows,).

    Raises:
        ValueError: a cell is not a number of that kind. OverflowError: a whole number is too large.
    """
    if any("_" in cell for cell in cells):
        raise ValueError("Python takes 1_000 for a number, a table should not")
    return np.array(cells, dtype=dtype)


def is_missing(cell: str) -> bool:
    """Whether a cell holds no value: empty, NA, NaN or null."""
    return cell.strip().lower() in MISSING_CELLS


def _numeric_column(table: Table, column: int, missing: Missing) -> Array:
    cells = table.columns[column]
    try:
        numbers = as_numbers(cells, np.float64)
    except ValueError:
        numbers = _with_missing(table, column)
    finite = np.isfinite(numbers)
    if finite.all():
        return numbers
    for row in map(int, np.flatnonzero(~finite)):
        if not is_missing(cells[row]):
            raise table.error(row, column, "a finite number")
        if missing == "error":
            raise table.error(row, column, "a number")
    return numbers


def _with_missing(table: Table, column: int) -> Array:
    """The numbers of a column where missing values are NaN; an error at the first cell that is neither."""
    cells = ["nan" if is_missing(cell) else cell for cell in table.columns[column]]
    try:
        return as_numbers(cells, np.float64)
    except ValueError:
        row = next(row for row, cell in enumerate(cells) if not _is_number(cell))
        raise table.error(row, column, "a number") from None


def _is_number(cell: str) -> bool:
    try:
        as_numbers([cell], np.float64)
    except ValueError:
        return False
    return True


def _read_text(file: str | os.PathLike[str] | IO[bytes] | IO[str]) -> tuple[str, str]:
    """The name for messages, and the content."""
    if isinstance(file, str | os.PathLike):
        name = os.fspath(file)
        with reading(name), open(file, "rb") as stream:
            content: bytes | str = stream.read()
    else:
        name = str(getattr(file, "name", "the table"))
        with reading(name):
            try:
                content = file.read()
            except UnicodeDecodeError as error:
                raise DataError(f"{name}: expected text in {error.encoding}") from error
    if isinstance(content, str):
        return name, content.removeprefix("\ufeff")
    try:
        return name, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise DataError(f"{name}: line {line}: expected text in UTF-8, received the byte 0x{byte:02x}") from error


def _split(text: str, delimiter: Delimiter, name: str) -> tuple[list[list[str]], list[int]]:
    """The rows of cells, and the line on which each begins (quoted cells may hold line breaks)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows, lines = [], []
    line = 1
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name}: line {line}: {error}") from error
    return rows, lines


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    first_is_text = [not _is_number_or_missing(cell) for cell in rows[0]]
    if all(first_is_text):
        return True
    second = rows[1] if len(rows) > 1 else rows[0]
    return any(is_text and _is_number_or_missing(cell) for is_text, cell in zip(first_is_text, second, strict=True))


def _is_number_or_missing(cell: str) -> bool:
    return is_missing(cell) or _is_number(cell)


def _check_distinct(names: Sequence[str], place: str) -> None:
    repeated = [repr(name) for name, times in Counter(names).items() if times > 1]
    if repeated:
        listed = shorten(repeated)
        raise DataError(f"{place}: expected a name of its own for each column, received more than one {listed}")


def _mismatch(missing: Sequence[str], surplus: Sequence[str]) -> str:
    complaints = []
    if missing:
        hints = [repr(name) + (_hint(name, surplus) if index < 10 else "") for index, name in enumerate(missing)]
        complaints.append(f"{_columns(missing)} missing: {shorten(hints)}")
    if surplus:
        complaints.append(f"{_columns(surplus)} unknown to the model: {list_names(surplus)}")
    return "; ".join(complaints)


def _delimiter_hint(table: Table) -> str:
    """What to say of a table that was likely not split where it should have been."""
    if len(table.columns) != 1:
        return ""
    text = table.columns[0][0] if table.names is None else table.names[0]
    found = next((delimiter for delimiter in get_args(Delimiter) if delimiter in text), None)
    if found is None:
        return ""
    name = "tab" if found == "\t" else repr(found)
    return f"; it has a single column, with {name} in it: is that the delimiter (--delimiter, or that of the source)?"


def _match_by_position(table: Table, features: int, targets: int, target_columns: Sequence[int]) -> Match:
    width = len(table.columns)
    if width not in (features, features + targets):
        alternative = f" (or {features + targets}, with the target)" if targets else ""
        hint = _delimiter_hint(table)
        raise DataError(f"{table.file}: expected {features} columns{alternative}, received {width}{hint}")
    if width == features:
        return Match(list(range(width)), [])
    is_known = len(target_columns) == targets and all(column < width for column in target_columns)
    positions = list(target_columns) if is_known else list(range(features, width))
    return Match([column for column in range(width) if column not in positions], positions)


def _count(names: Sequence[str] | int) -> int:
    return names if isinstance(names, int) else len(names)


def _columns(names: Sequence[str]) -> str:
    return "1 column" if len(names) == 1 else f"{len(names)} columns"


def _hint(name: str, candidates: Sequence[str]) -> str:
    meant = nearest(name, candidates)
    return f" (did you mean {meant!r}?)" if meant else ""
