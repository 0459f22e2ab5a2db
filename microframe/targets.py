"""Targets as losses need them, with a clear word where they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from microframe.arrays import Array, Shape


def numeric(target: Array) -> Array:
    """`target` as an array of numbers.

    Raises:
        ValueError: it holds something else, such as names of classes.
    """
    values = np.asarray(target)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"targets that are numbers, received values of type {values.dtype}")
    return values


def binary(target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """Targets (samples, *outputs) from 0 to 1, given so or, for a single output, as class numbers (samples,).

    Raises:
        ValueError: another shape, or a value outside of that range.
    """
    values = numeric(target)
    if output_shape[-1:] == (1,) and values.shape[1:] == output_shape[:-1]:
        values = values[..., None]
    if values.shape[1:] != output_shape:
        hint = "; for one class out of several use cross_entropy" if values.ndim == 1 else ""
        raise ValueError(f"targets of shape {output_shape} for each sample, received {values.shape[1:]}{hint}")
    check_range(values, 0, 1, "targets")
    return values.astype(dtype)


def class_rows(target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """Rows of probabilities (samples, *others, classes), given so or as class numbers (samples, *others).

    Raises:
        ValueError: another shape, a single class, a number that is not of a class, or rows that are no probabilities.
    """
    classes = output_shape[-1]
    if classes == 1:
        raise ValueError(
            f"an output for each class, received outputs of shape {output_shape}; for two classes and a "
            f"single output use binary_cross_entropy"
        )
    values = numeric(target)
    if values.shape[1:] == output_shape:
        return probability_rows(values, output_shape, dtype)
    if values.shape[1:] != output_shape[:-1]:
        raise ValueError(
            f"class numbers of shape {output_shape[:-1]} or rows of shape {output_shape} for each "
            f"sample, received {values.shape[1:]}"
        )
    numbers = class_numbers(values, classes)
    rows = np.zeros((*numbers.shape, classes), dtype)
    np.put_along_axis(rows, numbers[..., None], 1, axis=-1)
    return rows


def class_numbers(values: Array, classes: int) -> Array:
    """`values` as integers, each the number of one of `classes`.

    Raises:
        ValueError: one is out of range or not whole.
    """
    check_range(values, 0, classes - 1, "class numbers")
    numbers = values.astype(np.intp)
    if not np.array_equal(numbers, values):
        raise ValueError(f"class numbers that are whole, received {values[numbers != values][0]:g}")
    return numbers


def probability_rows(values: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
    """`values` of shape (samples, *others, classes) whose rows sum to 1, to within 1e-3, as rows that do so exactly.

    Raises:
        ValueError: another shape, a value outside of 0 to 1, or another sum.
    """
    if values.shape[1:] != output_shape:
        raise ValueError(f"targets of shape {output_shape} for each sample, received {values.shape[1:]}")
    check_range(values, 0, 1, "probabilities")
    totals: Array = values.sum(axis=-1, keepdims=True, dtype=np.float64)
    wrong = totals[np.abs(totals - 1) > 1e-3]
    if wrong.size:
        raise ValueError(f"probabilities that sum to 1 in each row, received a sum of {wrong[0]:g}")
    rows: Array = values / totals
    return rows.astype(dtype)


def check_range(values: Array, least: Any, greatest: Any, what: str) -> None:
    """Raise ValueError, naming the first offender, unless all of `values` lie between the two, both included."""
    wrong = values[~((values >= least) & (values <= greatest))]
    if wrong.size:
        raise ValueError(f"{what} from {least} to {greatest}, received {wrong[0]:g}")
