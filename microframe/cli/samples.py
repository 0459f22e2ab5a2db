"""Samples for a trained model, read from a csv file or standard input."""

from __future__ import annotations

import contextlib
import math
import sys
from typing import TYPE_CHECKING

from microframe.tables import Table, as_numbers, match_columns, numeric_columns, read_table

if TYPE_CHECKING:
    from microframe.arrays import Array
    from microframe.model import Model
    from microframe.tables import Delimiter


def read_samples(
    model: Model, source: str, *, targets: bool, delimiter: Delimiter | None = None
) -> tuple[Array, Array | None]:
    """The inputs in the csv file `source` (``-`` for standard input), and with `targets` those, where it has them.

    Between the cells stands what did in the training data, or `delimiter`.

    Raises:
        DataError: columns or cells are not what the model needs; names them.
    """
    table = read_table(
        sys.stdin.buffer if source == "-" else source,
        delimiter=delimiter or model.delimiter or ",",
        feature_names=model.feature_names or (),
        target_names=model.target_names or (),
    )
    shape = model.network.input_shape
    features = model.feature_names or math.prod(shape)
    names = model.target_names or (1 if model.classes is not None else model.network.output_shape[-1])
    match = match_columns(table, features, names, model.target_columns)
    inputs = numeric_columns(table, match.features, "error" if model.fill is None else "mean")
    return inputs.reshape(len(table), *shape), _targets(model, table, match.targets if targets else [])


def _targets(model: Model, table: Table, columns: list[int]) -> Array | None:
    """Labels in the type that the model's class names have, or values."""
    import numpy as np

    if not columns:
        return None
    if model.classes is None:
        return numeric_columns(table, columns)
    cells = table.columns[columns[0]]
    if all(isinstance(name, str) for name in model.classes):
        return np.array([cell.strip() for cell in cells])
    with contextlib.suppress(ValueError, OverflowError):
        return as_numbers(cells, np.int64)
    return numeric_columns(table, columns)[:, 0]
