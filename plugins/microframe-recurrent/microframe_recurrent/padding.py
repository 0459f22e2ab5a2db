"""One array of sequences that are not of one length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

import microframe
from microframe import Array


def pad_sequences(
    sequences: Iterable[Any], *, length: int | None = None, value: float = 0, dtype: DTypeLike | None = None
) -> Array:
    """Sequences of unequal length as one array, each filled up with `value` behind its end.

    Args:
        sequences: each (time, *features) with a time of its own, which may be 0; arrays or lists of numbers.
        length: of the result in time; that of the longest sequence unless given.
        value: the padding: the `mask_value` of `Masking`.
        dtype: of the result; that in which NumPy can hold all sequences unless given.

    Returns:
        (sequences, length, *features).

    Raises:
        DataError: there are none, they differ in their features, one is longer than `length` or isn't of numbers, or a
            whole-numbered dtype cannot hold `value`.
    """
    arrays = [_as_array(sequence, index) for index, sequence in enumerate(sequences)]
    if not arrays:
        raise microframe.DataError("expected at least one sequence, received none")
    # An empty list has no features and says nothing of them; nor does its dtype, float64, of what the others hold.
    telling = [array for array in arrays if array.size or array.ndim > 1] or arrays
    features = telling[0].shape[1:]
    width = max(map(len, arrays)) if length is None else length
    for index, array in enumerate(arrays):
        if array.size and array.shape[1:] != features:
            raise _unfit(index, f"steps of shape {features}, as others have", str(array.shape[1:]))
        if len(array) > width:
            raise _unfit(index, f"at most {width} steps", str(len(array)))
    padded = np.empty((len(arrays), width, *features), np.result_type(*telling) if dtype is None else dtype)
    _fill(padded, value)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array.reshape(len(array), *features)
    return padded


def _as_array(sequence: Any, index: int) -> Array:
    try:
        array = np.asarray(sequence)
    except ValueError:  # lists of lists of unequal length
        raise _unfit(index, "numbers (time, ...)", "steps that are not of one shape") from None
    if array.ndim == 0 or array.dtype.kind not in "buif":
        raise _unfit(index, "numbers (time, ...)", f"{array.dtype} of shape {array.shape}")
    return array


def _fill(padded: Array, value: float) -> None:
    limits = np.iinfo(padded.dtype) if padded.dtype.kind in "ui" else None
    if limits and not (limits.min <= value <= limits.max and value == int(value)):
        raise microframe.DataError(f"value: expected a number that {padded.dtype} can hold, received {value}")
    padded.fill(value)


def _unfit(index: int, expected: str, received: str) -> microframe.DataError:
    return microframe.DataError(f"sequence {index} (from 0): expected {expected}, received {received}")
