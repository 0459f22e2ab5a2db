"""NumPy's own files."""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.errors import DataError, nearest
from microframe.interfaces import Dataset, Source
from microframe.standard.sources.rows import RowRange, check_inputs, check_range, check_target, within
from microframe.tables import reading


class NPY(Source):
    """An array of inputs in one ``.npy`` file, and the targets in another. Inputs stay on disk, memory-mapped.

    Fields:
        inputs: the file with (samples, features, ...) numbers.
        target: the file with (samples,) or (samples, targets) numbers or text; None where there is none.
        missing: whether a NaN among the inputs is an error, or is filled with the mean of the training part.
        rows: take the rows from the first number up to but without the second, counted from 0.
    """

    inputs: str
    target: str | None = None
    missing: Literal["error", "mean"] = "error"
    rows: RowRange = None

    def __post_init__(self) -> None:
        check_range(self.rows)

    def load(self) -> Dataset:
        inputs = _mapped(self.inputs)
        target = None if self.target is None else np.array(_mapped(self.target))
        return _dataset(self, inputs, target, self.inputs, self.target or "")

    @classmethod
    def examples(cls) -> list[Component | Example]:
        files = {"x.npy": _npy(_EXAMPLE_INPUTS), "y.npy": _npy(np.array(["a", "b"] * 3))}
        return [
            Example(cls("x.npy", "y.npy"), files=files),
            Example(cls("x.npy", rows=(1, 5), missing="mean"), files={"x.npy": files["x.npy"]}),
        ]


class NPZ(Source):
    """Inputs and targets as two arrays of one ``.npz`` file.

    Fields:
        path: the file.
        inputs: the key of the (samples, features, ...) numbers.
        target: the key of the (samples,) or (samples, targets) numbers or text; None for ``y`` if the file has it,
            and otherwise no target.
        missing: whether a NaN among the inputs is an error, or is filled with the mean of the training part.
        rows: take the rows from the first number up to but without the second, counted from 0.
    """

    path: str
    inputs: str = "x"
    target: str | None = None
    missing: Literal["error", "mean"] = "error"
    rows: RowRange = None

    def __post_init__(self) -> None:
        check_range(self.rows)

    def load(self) -> Dataset:
        key = self.target
        with _archive(self.path) as arrays:
            if key is None and "y" in arrays.files:
                key = "y"
            inputs = _member(arrays, self.inputs, self.path)
            target = None if key is None else _member(arrays, key, self.path)
        return _dataset(self, inputs, target, f"{self.path}: {self.inputs!r}", f"{self.path}: {key!r}")

    @classmethod
    def examples(cls) -> list[Component | Example]:
        stream = io.BytesIO()
        np.savez(stream, x=_EXAMPLE_INPUTS, y=np.arange(6.0), kinds=np.arange(6) % 2)
        files = {"data.npz": stream.getvalue()}
        return [
            Example(cls("data.npz"), files=files),
            Example(cls("data.npz", target="kinds", rows=(1, 5)), files=files),
        ]


_EXAMPLE_INPUTS = np.linspace(0, 1, 36, dtype=np.float32).reshape(6, 3, 2)


def _dataset(source: NPY | NPZ, inputs: Array, target: Array | None, inputs_place: str, target_place: str) -> Dataset:
    check_inputs(inputs, inputs_place)
    if target is not None:
        check_target(target, len(inputs), target_place)
    taken = within(source.rows, len(inputs), inputs_place)
    return Dataset(inputs[taken], None if target is None else target[taken], missing=source.missing)


def _npy(array: Array) -> bytes:
    """What ``numpy.save`` writes."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _mapped(path: str) -> Array:
    with reading(path):
        if zipfile.is_zipfile(path):
            raise DataError(f"{path}: expected a .npy file, received a .npz file (use the source 'npz')")
        try:
            return np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            raise DataError(f"{path}: expected a whole .npy file, without Python objects in it") from error


@contextlib.contextmanager
def _archive(path: str) -> Iterator[np.lib.npyio.NpzFile]:
    with reading(path), open(path, "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: expected a whole .npz file") from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path}: expected a .npz file, received a .npy file (use the source 'npy')")
        with archive:
            yield archive


def _member(arrays: np.lib.npyio.NpzFile, key: str, path: str) -> Array:
    if key not in arrays.files:
        meant = nearest(key, arrays.files)
        hint = f" (did you mean {meant!r}?)" if meant else ""
        raise DataError(f"{path}: there is no array {key!r}{hint}; it has {', '.join(map(repr, arrays.files))}")
    try:
        return np.asarray(arrays[key])
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: {key!r}: expected a whole array, without Python objects in it") from error
