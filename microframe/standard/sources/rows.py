"""What the sources that read files have in common: a range of rows, and checks of what was read."""

from __future__ import annotations

from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.errors import DataError
from microframe.interfaces.source import Rows

RowRange = tuple[int, int] | None
"""The first row to take, counted from 0, and the row to stop before; None for all rows."""


class RowWindow:
    """The rows from `start` up to but without `stop` of something that is read lazily; takes the same indices."""

    def __init__(self, rows: Rows, start: int, stop: int) -> None:
        self._rows = rows
        self._start = start
        self.shape = (stop - start, *rows.shape[1:])
        self.dtype = rows.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        first, others = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        return self._rows[(self._shifted(first), *others)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype=dtype)

    def _shifted(self, key: Any) -> Any:
        if key is Ellipsis:
            key = slice(None)
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step < 1:
                raise ValueError("expected a slice that goes forward")
            return slice(self._start + start, self._start + max(start, stop), step)
        index = np.asarray(key)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        if ((index < -len(self)) | (index >= len(self))).any():
            raise IndexError(f"expected rows up to {len(self) - 1}, received {key}")
        shifted = index % len(self) + self._start
        return shifted if shifted.ndim else int(shifted)


def check_range(rows: RowRange) -> None:
    """Raise ValueError unless `rows` is a range that holds at least one row."""
    if rows is not None and not 0 <= rows[0] < rows[1]:
        raise ValueError("rows = [start, stop] with 0 <= start < stop")


def within(rows: RowRange, count: int, file: str) -> slice:
    """`rows` as a slice of `count` rows.

    Raises:
        DataError: there are fewer.
    """
    if rows is None:
        return slice(0, count)
    if rows[1] > count:
        raise DataError(f"{file}: expected at least {rows[1]} rows, received {count}")
    return slice(*rows)


def check_inputs(inputs: Rows, place: str) -> None:
    """Raise DataError unless `inputs` holds numbers, with an axis of at least one sample and one of features."""
    if inputs.dtype.kind not in "biuf":
        raise DataError(f"{place}: expected numbers, received {inputs.dtype} values")
    if len(inputs.shape) < 2 or 0 in inputs.shape:
        raise DataError(f"{place}: expected inputs of shape (samples, features, ...), received {inputs.shape}")


def check_target(target: Array, samples: int, place: str) -> None:
    """Raise DataError unless `target` holds finite numbers or text, with one row a sample."""
    if target.dtype.kind not in "biufU":
        raise DataError(f"{place}: expected numbers or text, received {target.dtype} values")
    if target.ndim == 0 or len(target) != samples:
        raise DataError(f"{place}: expected a target for each of {samples} samples, received shape {target.shape}")
    if target.dtype.kind == "f" and not np.isfinite(target).all():
        row = int(np.argwhere(~np.isfinite(target))[0, 0])
        raise DataError(f"{place}: row {row} (from 0): expected finite numbers, received {target[row]}")
