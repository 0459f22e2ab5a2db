"""Samples: how rows of data become parts (training, validation, test) and batches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from microframe.arrays import Array, Generator
from microframe.errors import DataError
from microframe.interfaces.source import Rows

BLOCK_BYTES = 2**24
"""How much of a file that is read in blocks is held at once."""

Split = Literal["auto", "stratified", "shuffled", "tail"]


class Batch(NamedTuple):
    """Some samples.

    Attributes:
        rows: which rows of the part they are.
        inputs: (batch, *features), overwritten by the next batch.
        target: (batch, ...), or None.
        weight: (batch,), or None.
    """

    rows: Any
    inputs: Array
    target: Array | None
    weight: Array | None


@dataclass(frozen=True)
class Samples:
    """Rows of data, or a part of them.

    Attributes:
        inputs: all rows; an array, a memory map or an open HDF5 dataset.
        target: for each of the part's rows, what the loss takes; None where nothing is to be learnt.
        labels: for each of the part's rows, what metrics take: class numbers or values.
        weight: a weight for each of the part's rows, or None.
        rows: which of all rows belong to the part, ascending; None for all.
        fill: for each column, what replaces a NaN in the inputs; None where NaN is not to be replaced.
    """

    inputs: Rows
    target: Array | None = None
    labels: Array | None = None
    weight: Array | None = None
    rows: Array | None = None
    fill: Array | None = None

    def __len__(self) -> int:
        return int(self.inputs.shape[0]) if self.rows is None else len(self.rows)

    def batches(self, size: int, dtype: np.dtype[Any], rng: Generator | None = None) -> Iterator[Batch]:
        """All samples once, `size` at a time (the last batch may be smaller), in order or shuffled by `rng`.

        Inputs are cast to `dtype`. Rows of a file are shuffled within blocks, and the blocks among themselves.
        """
        if not isinstance(self.inputs, np.ndarray):
            return self._batches_of_file(size, dtype, rng)
        if rng is None and self.rows is None:
            return self._batches_in_order(self.inputs, size, dtype)
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        return self._batches_by_index(self.inputs, order, size, dtype)

    def _batches_in_order(self, inputs: Array, size: int, dtype: np.dtype[Any]) -> Iterator[Batch]:
        target, weight = self.target, self.weight
        as_is = inputs.dtype == dtype and self.fill is None
        for start in range(0, len(inputs), size):
            rows = slice(start, start + size)
            x = inputs[rows] if as_is else self._cast(inputs[rows], dtype)
            yield Batch(rows, x, None if target is None else target[rows], None if weight is None else weight[rows])

    def _batches_by_index(self, inputs: Array, order: Array, size: int, dtype: np.dtype[Any]) -> Iterator[Batch]:
        x, target, weight = (_Taker(array) for array in (inputs, self.target, self.weight))
        as_is = inputs.dtype == dtype and self.fill is None
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            taken = x.take(rows if self.rows is None else self.rows[rows])
            yield Batch(rows, taken if as_is else self._cast(taken, dtype), target.take(rows), weight.take(rows))  # type: ignore[arg-type]

    def _batches_of_file(self, size: int, dtype: np.dtype[Any], rng: Generator | None) -> Iterator[Batch]:
        rows_left, inputs_left = np.empty(0, np.intp), np.empty((0, *self.inputs.shape[1:]), dtype)
        for rows, inputs in self._blocks(dtype, size, rng):
            rows_left = np.concatenate([rows_left, rows])
            inputs_left = np.concatenate([inputs_left, inputs])
            ready = len(rows_left) // size * size
            for start in range(0, ready, size):
                yield self._batch(rows_left[start : start + size], inputs_left[start : start + size])
            rows_left, inputs_left = rows_left[ready:], inputs_left[ready:]
        if len(rows_left):
            yield self._batch(rows_left, inputs_left)

    def _batch(self, rows: Array, inputs: Array) -> Batch:
        return Batch(
            rows,
            inputs,
            None if self.target is None else self.target[rows],
            None if self.weight is None else self.weight[rows],
        )

    def _blocks(self, dtype: np.dtype[Any], size: int, rng: Generator | None) -> Iterator[tuple[Array, Array]]:
        """Blocks of a file as (rows of the part, inputs), each read in one piece."""
        total = int(self.inputs.shape[0])
        row_bytes = max(int(np.prod(self.inputs.shape[1:])) * self.inputs.dtype.itemsize, 1)
        length = max(BLOCK_BYTES // row_bytes // size, 1) * size
        starts = np.arange(0, total, length)
        for start in starts if rng is None else rng.permutation(starts):
            stop = min(start + length, total)
            if self.rows is None:
                rows, inside = np.arange(start, stop), np.arange(stop - start)
            else:
                first, last = np.searchsorted(self.rows, (start, stop))
                rows, inside = np.arange(first, last), self.rows[first:last] - start
            if rng is not None:
                order = rng.permutation(len(rows))
                rows, inside = rows[order], inside[order]
            if len(rows):
                yield rows, self._cast(np.asarray(self.inputs[start:stop])[inside], dtype)

    def _cast(self, inputs: Array, dtype: np.dtype[Any]) -> Array:
        inputs = inputs.astype(dtype)
        if self.fill is not None:
            missing = np.isnan(inputs)
            inputs[missing] = np.broadcast_to(self.fill.astype(dtype), inputs.shape)[missing]
        return inputs


class _Taker:
    """Gathers rows of an array into arrays that are reused, one for each batch size."""

    def __init__(self, array: Array | None) -> None:
        self._array = array
        self._taken: dict[int, Array] = {}

    def take(self, rows: Array) -> Array | None:
        if self._array is None:
            return None
        taken = self._taken.get(len(rows))
        if taken is None:
            taken = self._taken[len(rows)] = np.empty((len(rows), *self._array.shape[1:]), self._array.dtype)
        # mode="raise" would make NumPy gather into a temporary array first; rows are in range by construction
        return self._array.take(rows, 0, taken, "clip")


def as_rows(values: Any, dtype: np.dtype[Any] | None = None) -> Rows:
    """`values` as something with rows: what is read in blocks as it is, anything else as an array.

    Read in blocks are HDF5 datasets, and whatever else satisfies `Rows` without offering itself as an array.
    Floating-point arrays in memory are cast to `dtype` at once; integers and memory maps stay, to be cast by batch.
    """
    h5py = sys.modules.get("h5py")
    is_dataset = h5py is not None and isinstance(values, h5py.Dataset)
    if is_dataset or (isinstance(getattr(values, "dtype", None), np.dtype) and not hasattr(values, "__array__")):
        return values  # type: ignore[no-any-return]
    array = as_array(values, "inputs")
    if array.dtype.kind not in "buif":
        raise DataError(f"expected an array of numbers, received dtype {array.dtype}")
    if dtype is not None and array.dtype.kind == "f" and not isinstance(array, np.memmap):
        if dtype.kind == "i" and not (np.isfinite(array) & (array == np.rint(array))).all():
            raise DataError("expected whole numbers as inputs, because the layers that read them want indices")
        array = array.astype(dtype, copy=False)
    return array


def as_array(values: Any, what: str) -> Array:
    """`values` as an array with a first axis.

    Raises:
        DataError: they are none; calls them `what`.
    """
    try:
        array = values if isinstance(values, np.ndarray) else np.asarray(values)
    except ValueError as error:
        raise DataError(f"expected {what} of one shape, received rows of different shapes") from error
    if not array.ndim:
        raise DataError(f"expected {what} with a row for each sample, received a single value")
    return array


def split_rows(count: int, share: float, how: Split, labels: Array | None, rng: Generator) -> tuple[Array, Array]:
    """Which of `count` rows are kept and which are held out, both ascending.

    Args:
        count: the number of rows.
        share: of the rows to hold out, from 0 to 1; the number is rounded to the nearest.
        how: ``"stratified"`` keeps the shares of the classes in `labels`, ``"shuffled"`` draws freely, ``"tail"``
            takes the last rows, and ``"auto"`` is stratified when there are labels and shuffled otherwise.
        labels: class numbers, one a row, or None when there are no classes.
        rng: what draws.

    Raises:
        DataError: a stratified split of rows that have no classes.
    """
    held_out = round(count * share)
    if how == "stratified" and labels is None:
        raise DataError("a stratified split needs classes; use split = 'shuffled' or 'tail'")
    if how == "tail":
        order = np.arange(count)
    elif labels is None or how == "shuffled":
        order = rng.permutation(count)
    else:
        order = _stratified_order(labels, rng)
    return np.sort(order[: count - held_out]), np.sort(order[count - held_out :])


def _stratified_order(labels: Array, rng: Generator) -> Array:
    """An order of the rows any stretch of which holds each class in its share, as nearly as whole rows allow."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return np.argsort(place, kind="stable")
