"""What must hold of data and network before training begins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from microframe.arrays import Shape
from microframe.errors import ConfigError, DataError, Problem
from microframe.interfaces import Dataset, Layer, Loss


def digest_of(target: Any) -> str:
    """What changes when targets, or their order, do."""
    values = np.asarray(target)
    content = values.tobytes() if values.dtype.kind != "O" else repr(values.tolist()).encode()
    return hashlib.sha256(content).hexdigest()


def check_finite(dataset: Dataset) -> None:
    """Raise DataError at a NaN or infinity in inputs that are in memory, unless missing values are to be filled.

    What is read in blocks is not looked through; there the training itself stops at the first.
    """
    inputs = dataset.inputs
    if dataset.missing == "mean" or not isinstance(inputs, np.ndarray) or isinstance(inputs, np.memmap):
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
