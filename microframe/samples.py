"""Samples: how rows of data become parts (training, validation, test) and batches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
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
        cast = self._cast_for(inputs, min(size, len(inputs)), dtype)
        for start in range(0, len(inputs), size):
            rows = slice(start, start + size)
            x = inputs[rows] if cast is None else cast(inputs[rows])
            yield Batch(rows, x, None if target is None else target[rows], None if weight is None else weight[rows])

    def _batches_by_index(self, inputs: Array, order: Array, size: int, dtype: np.dtype[Any]) -> Iterator[Batch]:
        size = min(size, len(order))
        take, take_target, take_weight = (_taker(array, size) for array in (inputs, self.target, self.weight))
        cast = self._cast_for(inputs, size, dtype)
        places = order if self.rows is None else self.rows[order]
        for start in range(0, len(order), max(size, 1)):
            rows = order[start : start + size]
            x = take(places[start : start + size])
            yield Batch(rows, x if cast is None else cast(x), take_target(rows), take_weight(rows))

    def _batches_of_file(self, size: int, dtype: np.dtype[Any], rng: Generator | None) -> Iterator[Batch]:
        rows_left, inputs_left = np.empty(0, np.intp), np.empty((0, *self.inputs.shape[1:]), dtype)
        take_target, take_weight = (_taker(array, min(size, len(self))) for array in (self.target, self.weight))
        for block_rows, block_inputs in self._blocks(dtype, size, rng):
            all_rows = np.concatenate([rows_left, block_rows])
            inputs = np.concatenate([inputs_left, block_inputs])
            ready = len(all_rows) // size * size
            for start in range(0, ready, size):
                rows = all_rows[start : start + size]
                yield Batch(rows, inputs[start : start + size], take_target(rows), take_weight(rows))
            rows_left, inputs_left = all_rows[ready:], inputs[ready:]
        if len(rows_left):
            yield Batch(rows_left, inputs_left, take_target(rows_left), take_weight(rows_left))

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
                inputs = np.asarray(self.inputs[start:stop])[inside]
                cast = self._cast_for(inputs, len(inputs), dtype)
                yield rows, inputs if cast is None else cast(inputs)

    def _cast_for(self, inputs: Array, size: int, dtype: np.dtype[Any]) -> Callable[[Array], Array] | None:
        """What makes batches of up to `size` of `inputs` what a network takes; None where they are that already."""
        if inputs.dtype == dtype and self.fill is None:
            return None
        return _Cast((size, *inputs.shape[1:]), dtype, self.fill).cast


class _Cast:
    """Casts batches to a dtype, and fills in what is missing, in an array that is reused.

    Args:
        shape: of the largest batch.
        dtype: of the result.
        fill: what replaces a NaN, by column; None where nothing does.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], fill: Array | None) -> None:
        self._out = np.empty(shape, dtype)
        self._flags = np.empty(0 if fill is None and self._out.dtype.kind != "i" else shape, np.bool_)
        self._fill = None if fill is None else fill.astype(dtype)

    def cast(self, inputs: Array) -> Array:
        out, flags = _first(self._out, len(inputs)), _first(self._flags, len(inputs))
        with np.errstate(over="ignore", invalid="ignore"):
            np.copyto(out, inputs, casting="unsafe")
        if out.dtype.kind == "i" and inputs.dtype.kind == "f" and np.not_equal(out, inputs, flags).any():
            raise DataError("expected whole numbers as inputs, because the layers that read them want indices")
        if self._fill is not None:
            np.copyto(out, self._fill, where=np.isnan(out, flags))
        return out


def _taker(array: Array | None, size: int) -> Callable[[Array], Any]:
    """What gathers rows of `array`, up to `size` at a time, into an array that is reused; gives None for None."""
    if array is None:
        return lambda _: None
    source, memory = array, np.empty((size, *array.shape[1:]), array.dtype)

    def take(rows: Array) -> Array:
        # mode="raise" would make NumPy gather into a temporary array first; rows are in range by construction
        return source.take(rows, 0, _first(memory, len(rows)), "clip")

    return take


def _first(array: Array, count: int) -> Array:
    return array if len(array) == count else array[:count]


def as_rows(values: Any, dtype: np.dtype[Any] | None = None) -> Rows:
    """`values` as something with rows: what is read in blocks as it is, anything else as an array.

    Read in blocks are HDF5 datasets, and whatever else satisfies `Rows` without offering itself as an array.
    Floating-point arrays in memory are cast to `dtype` at once where that takes no more memory, or where it is one of
    integers, whose fractions are refused. All else stays, to be cast by batch: integers, memory maps, float32 for
    float64.
    """
    h5py = sys.modules.get("h5py")
    is_dataset = h5py is not None and isinstance(values, h5py.Dataset)
    if is_dataset or (isinstance(getattr(values, "dtype", None), np.dtype) and not hasattr(values, "__array__")):
        rows: Rows = values
        return rows
    array = as_array(values, "inputs")
    if array.dtype.kind not in "buif":
        raise DataError(f"expected an array of numbers, received dtype {array.dtype}")
    if dtype is None or array.dtype.kind != "f" or isinstance(array, np.memmap):
        return array
    if dtype.kind == "f" and array.itemsize <= dtype.itemsize:
        return array
    return _Cast(array.shape, dtype, None).cast(array)


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
        how: ``"stratified"`` keeps the shares of the classes in `labels`, and a row of each class as long as enough
            rows are kept; ``"shuffled"`` draws freely, ``"tail"`` takes the last rows, and ``"auto"`` is stratified
            when there are labels and shuffled otherwise.
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
    """An order of the rows that begins with one of each class.

    Any stretch of what follows holds each class in its share, as nearly as whole rows allow.
    """
    place = np.empty(len(labels))
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
        place[rows[0]] -= 1
    return np.argsort(place, kind="stable")
