"""From raw inputs and targets to samples: classes numbered, rows divided, missing values known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microframe.arrays import Array, Shape
from microframe.errors import DataError, expectation, nearest
from microframe.evaluation import BATCH_ROWS, fuse
from microframe.interfaces import Dataset, Loss
from microframe.network import Network
from microframe.randomness import generator
from microframe.samples import Samples, Split, as_array, as_rows, split_rows
from microframe.values import describe_value

ClassNames = tuple[Any, ...]
_LONGEST_NAME = 4096
"""Characters of the name of a class."""


@dataclass(frozen=True)
class Parts:
    """The rows of a dataset, divided; each ascending."""

    train: Array
    validation: Array
    test: Array

    @property
    def count(self) -> int:
        """The number of all rows."""
        return len(self.train) + len(self.validation) + len(self.test)


def number_classes(target: Any, known: ClassNames | None) -> tuple[Array, ClassNames]:
    """Labels as class numbers, with the classes' names: plain strings or numbers, sorted unless already `known`.

    Raises:
        DataError: a label that is not among the known classes, or that a file could not hold.
    """
    labels = _decode(np.asarray(target))
    if labels.ndim == 2:
        labels = labels[:, 0]
    if known is None:
        try:
            values, numbers = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise DataError("target: expected labels of one kind, received some that cannot be compared") from error
        names = tuple(values.tolist())
        strange = next((name for name in names if not _can_name(name)), None)
        if strange is not None:
            raise DataError(f"target: expected labels that are text or finite numbers, received {strange!r}")
        return numbers.reshape(-1), names
    position = {name: number for number, name in enumerate(known)}
    plain = labels.tolist()
    strange = next((label for label in plain if label not in position), None)
    if strange is not None:
        meant = nearest(strange, [str(name) for name in known])
        hint = f" (did you mean {meant!r}?)" if meant else ""
        raise DataError(f"target: expected one of the classes {list(known)}, received {strange!r}{hint}")
    return np.array([position[label] for label in plain], np.intp), known


def _decode(labels: Array) -> Array:
    """Labels that are bytes, as HDF5 keeps text, as text."""
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    if labels.dtype.kind == "O" and any(isinstance(label, bytes) for label in labels.flat):
        return np.array([label.decode() if isinstance(label, bytes) else label for label in labels.flat])
    return labels


def _can_name(label: Any) -> bool:
    return isinstance(label, str | int) or (isinstance(label, float) and math.isfinite(label))


def widen_classes(labels: Array, classes: ClassNames | None, outputs: int) -> tuple[Array, ClassNames | None]:
    """Class numbers and names, where a network has more outputs than the data has classes.

    Labels that are numbers of outputs already, 0 to outputs - 1, then keep their numbers; some just do not occur.
    """
    if classes is None or not 1 < len(classes) < outputs or not all(type(name) is int for name in classes):
        return labels, classes
    if min(classes) < 0 or max(classes) >= outputs:
        return labels, classes
    return np.asarray(classes)[labels], tuple(range(outputs))


def check_classes(classes: ClassNames | None, output_shape: Shape) -> None:
    """Raise DataError unless a network with this output can tell the classes apart: one output each, or one for two.

    Nor may their names be such as make trouble when they come from a file: very long ones, for an array of names has
    room for the longest in each place; others than 64-bit numbers, of which any number can have one hash; or equal.
    """
    if classes is None:
        return
    strange = [name for name in classes if not _is_plain(name)]
    if strange:
        expected = f"classes whose names are texts of at most {_LONGEST_NAME} characters or 64-bit numbers"
        raise DataError(f"target: expected {expected}, received {describe_value(strange[0])}")
    if len(set(classes)) < len(classes):
        ((twice, _),) = Counter(classes).most_common(1)
        raise DataError(f"target: expected classes that differ, received {describe_value(twice)} twice")
    if not output_shape:
        return
    outputs = output_shape[-1]
    if len(classes) < 2:
        received = f"only {describe_value(classes[0])}" if classes else "none"
        raise DataError(f"target: expected at least two classes, received {received}")
    if outputs != len(classes) and (outputs, len(classes)) != (1, 2):
        raise DataError(f"the target has {len(classes)} classes, but the network has {outputs} outputs")


def _is_plain(name: Any) -> bool:
    if isinstance(name, str):
        return len(name) <= _LONGEST_NAME
    return isinstance(name, float) or (isinstance(name, int) and -(2**63) <= name < 2**64)


def divide(count: int, test: float, validation: float, how: Split, labels: Array | None, seed: int) -> Parts:
    """Divide `count` rows; `test` and `validation` are shares of all of them.

    Raises:
        DataError: a part comes out empty: that to train on, or another one whose share is above 0.
    """
    rng = generator(seed, "split")
    rest, test_rows = split_rows(count, test, how, labels, rng)
    inner_labels = labels[rest] if labels is not None else None
    train, held_out = split_rows(len(rest), validation / (1 - test), how, inner_labels, rng)
    if not len(train):
        raise DataError(f"of {count} samples none is left to train on")
    for part, share, rows in (("test", test, test_rows), ("validation", validation, held_out)):
        if share > 0 and not len(rows):
            raise DataError(
                f"{part}: expected a share of at least one sample, but {share:g} of {count} samples is none"
            )
    return Parts(rest[train], rest[held_out], test_rows)


def prepare(
    network: Network,
    loss: Loss,
    inputs: Any,
    labels: Array,
    weight: Any = None,
    rows: Array | None = None,
    fill: Array | None = None,
) -> Samples:
    """Samples in the form that training and evaluation take.

    Args:
        network: whose input and output they must fit.
        loss: whose form of target is made, fused with the network's last activation where it can be.
        inputs: all rows.
        labels: class numbers or values for each of all rows.
        weight: a weight for each of all rows, or None.
        rows: which rows to take; None for all.
        fill: what replaces missing inputs, by column.

    Raises:
        DataError: shapes or lengths that do not fit.
    """
    features = as_rows(inputs, network.input_dtype)
    check_inputs(features.shape[1:], network.input_shape)
    count = int(features.shape[0])
    check_count(count, labels)
    if not count:
        raise DataError("expected at least one sample, received none")
    _, _, effective = fuse(network, loss)
    weights = None if weight is None else _as_weights(weight, count).astype(network.dtype)
    chosen = slice(None) if rows is None else rows
    try:
        target = effective.prepare(labels[chosen], network.output_shape, network.dtype)
    except ValueError as error:
        raise DataError(f"loss {loss.type!r}: expected {expectation(error)}") from error
    return Samples(
        features,
        target,
        labels[chosen],
        None if weights is None else weights[chosen],
        rows,
        fill,
    )


def check_count(count: int, labels: Array) -> None:
    """Raise DataError unless there is a target for each of `count` samples."""
    if len(labels) != count:
        raise DataError(f"expected {count} targets, one for each sample, received {len(labels)}")


def _as_weights(weight: Any, count: int) -> Array:
    weights = as_array(weight, "sample weights")
    if weights.shape != (count,) or weights.dtype.kind not in "buif":
        received = len(weights) if weights.shape[0] != count else f"{weights.dtype} of shape {weights.shape}"
        raise DataError(f"expected {count} sample weights, one for each sample, received {received}")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise DataError(
            f"sample weight {wrong[0]} (from 0): expected a number of at least 0, received {weights[wrong[0]]}"
        )
    return weights


def check_inputs(received: Sequence[int], expected: Sequence[int]) -> None:
    """Raise DataError unless samples have the shape that the network was built for."""
    if tuple(received) != tuple(expected):
        raise DataError(f"expected inputs of shape {tuple(expected)} for each sample, received {tuple(received)}")


def column_means(dataset: Dataset, rows: Array) -> Array | None:
    """What replaces missing inputs: the mean of each column over `rows`; None where none may be missing."""
    if dataset.missing == "error":
        return None
    sums, counts = np.zeros(dataset.inputs.shape[1:]), np.zeros(dataset.inputs.shape[1:], np.int64)
    for batch in Samples(dataset.inputs, rows=rows).batches(BATCH_ROWS, np.dtype(np.float64)):
        known = ~np.isnan(batch.inputs)
        sums += np.where(known, batch.inputs, 0.0).sum(axis=0)
        counts += known.sum(axis=0)
    if not counts.all():
        empty = ", ".join(str(column) for column in np.flatnonzero(counts == 0))
        raise DataError(f"every training value is missing in column {empty} (from 0)")
    return sums / counts
