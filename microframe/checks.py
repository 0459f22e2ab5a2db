"""What must hold of data and network before training begins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, TypeGuard

import msgspec
import numpy as np

from microframe.arrays import Array, Shape
from microframe.errors import ConfigError, DataError, Problem
from microframe.interfaces import Dataset, Layer, Loss


class DataDigests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What changes when the data, or the order of the samples, does.

    Attributes:
        inputs: of the inputs; None for those that are read in blocks, as going through them takes time.
        targets: of the targets.
    """

    inputs: str | None
    targets: str

    @classmethod
    def of(cls, dataset: Dataset) -> DataDigests:
        """The digests of a dataset that has targets."""
        return cls(_digest(dataset.inputs) if _is_in_memory(dataset.inputs) else None, _digest(dataset.target))


def _digest(values: Any) -> str:
    values = np.asarray(values)
    if values.dtype.kind in "biuf":
        return hashlib.sha256(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data).hexdigest()
    content = repr(values.tolist()).encode() if values.dtype.kind == "O" else values.tobytes()
    return hashlib.sha256(content).hexdigest()


def _is_in_memory(inputs: Any) -> TypeGuard[Array]:
    return isinstance(inputs, np.ndarray) and not isinstance(inputs, np.memmap)


def check_finite(dataset: Dataset) -> None:
    """Raise DataError at a NaN or infinity in inputs that are in memory, unless missing values are to be filled.

    What is read in blocks is not looked through; there the training itself stops at the first.
    """
    inputs = dataset.inputs
    if dataset.missing == "mean" or not _is_in_memory(inputs):
        return
    if inputs.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        total = np.add.reduce(inputs, axis=None)  # finite only if all are, and cheaper to have than a mask
    if np.isfinite(total) or np.isfinite(inputs).all():
        return
    row, *place = (int(index) for index in np.argwhere(~np.isfinite(inputs))[0])
    names = dataset.feature_names
    column = repr(names[place[0]]) if names and len(place) == 1 else ", ".join(map(str, place))
    where = f"row {row}, column {column} (from 0)" if place else f"row {row} (from 0)"
    raise DataError(f"inputs: {where}: expected a finite number, received {inputs[row][tuple(place)]}")


def check_probabilities(layers: Sequence[Layer], loss: Loss, output_shape: Shape) -> None:
    """Raise ConfigError if `loss` takes probabilities and the last layer ends in an activation that gives none."""
    activation = layers[-1].final_activation
    if not loss.needs_probabilities or activation is None:
        return
    if activation.probabilities(np.full((1, *output_shape), 0.5)) is None:
        expected = f"softmax or sigmoid as the last activation, as {loss.type!r} compares probabilities"
        raise ConfigError([Problem(("layers", len(layers) - 1, "activation"), expected, repr(activation.type))])
