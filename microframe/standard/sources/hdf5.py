"""HDF5 files."""

from __future__ import annotations

import io
from typing import Literal

import h5py
import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.errors import DataError, nearest
from microframe.interfaces import Dataset, Source
from microframe.interfaces.source import Rows
from microframe.standard.sources.rows import (
    RowRange,
    RowWindow,
    check_inputs,
    check_range,
    check_target,
    within,
)
from microframe.tables import reading


class HDF5(Source):
    """Inputs and targets as two datasets of an HDF5 file. Inputs stay in the file and are read block by block.

    Fields:
        path: the file.
        inputs: the name of the dataset with (samples, features, ...) numbers, such as ``"train/images"``.
        target: the same for (samples,) or (samples, targets) numbers or text; None where there is none.
        missing: whether a NaN among the inputs is an error, or is filled with the mean of the training part.
        rows: take the rows from the first number up to but without the second, counted from 0.
    """

    path: str
    inputs: str
    target: str | None = None
    missing: Literal["error", "mean"] = "error"
    rows: RowRange = None

    def __post_init__(self) -> None:
        check_range(self.rows)

    def load(self) -> Dataset:
        with reading(self.path):
            file = h5py.File(self.path, "r")
            try:
                return self._load(file)
            except BaseException:
                file.close()
                raise

    def _load(self, file: h5py.File) -> Dataset:
        inputs = _dataset(file, self.inputs, self.path)
        check_inputs(inputs, f"{self.path}: {self.inputs!r}")
        taken = within(self.rows, len(inputs), f"{self.path}: {self.inputs!r}")
        window: Rows = inputs if self.rows is None else RowWindow(inputs, taken.start, taken.stop)
        target = None
        if self.target is not None:
            target = _values(_dataset(file, self.target, self.path))
            check_target(target, len(inputs), f"{self.path}: {self.target!r}")
            target = target[taken]
        return Dataset(window, target, missing=self.missing)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            file["train/x"] = np.linspace(0, 1, 18).reshape(6, 3)
            file["train/y"] = [b"no", b"yes"] * 3
            file["heights"] = np.arange(6.0)
        files = {"data.h5": stream.getvalue()}
        return [
            Example(cls("data.h5", "train/x", "train/y"), files=files),
            Example(cls("data.h5", "train/x", "heights", rows=(1, 5)), files=files),
        ]


def _dataset(file: h5py.File, name: str, path: str) -> h5py.Dataset:
    found = file.get(name)
    if isinstance(found, h5py.Dataset):
        return found
    known: list[str] = []
    file.visititems(lambda key, item: known.append(key) if isinstance(item, h5py.Dataset) else None)
    meant = nearest(name, known)
    hint = f" (did you mean {meant!r}?)" if meant else ""
    raise DataError(f"{path}: there is no dataset {name!r}{hint}; it has {', '.join(map(repr, known)) or 'none'}")


def _values(dataset: h5py.Dataset) -> Array:
    """All of a dataset, text as a NumPy string array."""
    if h5py.check_string_dtype(dataset.dtype):
        return np.asarray(dataset.asstr()[...], dtype=np.str_)
    return np.asarray(dataset[...])
