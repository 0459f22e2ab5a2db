"""Saving and loading tensors with microframe: the files have nothing else in them."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from tasks import SEED, Array, Task

from microframe.storage import ModelFile, write_model_file

REPEATS = 5
SIZES = {"large": (10, (1024, 2560)), "small": (2000, (16, 16))}
"""How many tensors of float32 there are, and of what shape: 100 MB in all, and 1 KB each."""

Tensors = dict[str, Array]


def save_large(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds until the file is on the disk and in its place."""
    return saved("large", _save)


def save_large_unsynced(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds to save without waiting for the disk, which `Model.save` never does."""
    with _unsynced():
        return saved("large", _save)


def save_small(task: Task | None, threads: int) -> dict[str, Any]:
    """The same of many small tensors."""
    return saved("small", _save)


def save_small_unsynced(task: Task | None, threads: int) -> dict[str, Any]:
    """The same without waiting for the disk."""
    with _unsynced():
        return saved("small", _save)


def load_large(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds to read the tensors and check their digests, and that they are finite."""
    return loaded("large", _save, lambda path: _load(path, check=True))


def load_large_unchecked(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds to read the tensors; the structure of the file is checked."""
    return loaded("large", _save, lambda path: _load(path, check=False))


def map_large(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds to check the structure of the file and map it."""
    return loaded("large", _save, _map)


def load_small(task: Task | None, threads: int) -> dict[str, Any]:
    """The same as `load_large` of many small tensors."""
    return loaded("small", _save, lambda path: _load(path, check=True))


def tensors(size: str) -> Tensors:
    """The tensors that are saved."""
    count, shape = SIZES[size]
    rng = np.random.default_rng(SEED)
    return {f"weights/layer_{index}/kernel": rng.standard_normal(shape, np.float32) for index in range(count)}


def saved(size: str, save: Callable[[Path, Tensors], None]) -> dict[str, Any]:
    """What `save` takes to replace a file that is there."""
    content = tensors(size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tensors")
        return {"value": seconds(lambda: save(path, content))}


def loaded(
    size: str, save: Callable[[Path, Tensors], None], load: Callable[[Path], dict[str, Array]]
) -> dict[str, Any]:
    """What `load` takes for a file that the system has in its memory; the result is the first number of each tensor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tensors")
        save(path, tensors(size))
        result = {name: float(array.flat[0]) for name, array in load(path).items()}
        return {"value": seconds(lambda: load(path)), "result": [result[name] for name in sorted(result)]}


def seconds(call: Callable[[], object]) -> float:
    """The median of `REPEATS` calls, each with nothing left to do for the disk, after one that is not measured."""
    taken = []
    for _ in range(REPEATS + 1):
        os.sync()
        start = time.perf_counter()
        result = call()
        taken.append(time.perf_counter() - start)
        del result
    return statistics.median(taken[1:])


def _save(path: Path, content: Tensors) -> None:
    write_model_file(path, {}, content)


def _load(path: Path, *, check: bool) -> dict[str, Array]:
    with ModelFile(path, check=check) as file:
        names = [f"weights/{name}" for name in file.paths("weights")]
        arrays = {name: np.empty(file.shape(name), np.float32) for name in names}
        file.read_into(arrays)
    return arrays


def _map(path: Path) -> dict[str, Array]:
    with ModelFile(path, check=False) as file:
        return {name: file.map(f"weights/{name}") for name in file.paths("weights")}


@contextmanager
def _unsynced() -> Iterator[None]:
    with patch("os.fsync"), patch("os.fdatasync"):
        yield
