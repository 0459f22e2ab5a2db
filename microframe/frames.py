"""Data frames: whatever has named columns, without importing what makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microframe.errors import DataError, nearest


def column_names(values: Any) -> tuple[str, ...] | None:
    """The names of the columns of a data frame; None for anything else."""
    columns = getattr(values, "columns", None)
    return None if columns is None else tuple(str(name) for name in columns)


def in_order(values: Any, names: Sequence[str] | None) -> Any:
    """A data frame with its columns in the order of `names`; anything else as it is.

    Raises:
        DataError: columns are missing, or there are others.
    """
    columns = column_names(values)
    if columns is None or names is None or columns == tuple(names):
        return values
    missing = [name for name in names if name not in columns]
    if missing or len(columns) != len(names):
        odd = missing or [name for name in columns if name not in names]
        meant = nearest(odd[0], columns if missing else names)
        hint = f" (did you mean {meant!r}?)" if meant else ""
        raise DataError(f"the data frame {'lacks' if missing else 'has an unknown'} column {odd[0]!r}{hint}")
    by_name = dict(zip(columns, values.columns, strict=True))
    return values[[by_name[name] for name in names]]
