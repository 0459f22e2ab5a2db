"""Saving and loading tensors with safetensors, which leaves it to the system when the file gets to the disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from model_files import Tensors, loaded, saved
from safetensors.numpy import load_file, save_file
from tasks import Task


def save_large(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds to write a file."""
    return saved("large", _save)


def save_large_synced(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds until the file is on the disk; one that was there is lost by then."""
    return saved("large", _save_synced)


def save_small(task: Task | None, threads: int) -> dict[str, Any]:
    """The same as `save_large` of many small tensors."""
    return saved("small", _save)


def save_small_synced(task: Task | None, threads: int) -> dict[str, Any]:
    """The same as `save_large_synced` of many small tensors."""
    return saved("small", _save_synced)


def load_large(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds to read the tensors."""
    return loaded("large", _save, load_file)


def load_small(task: Task | None, threads: int) -> dict[str, Any]:
    """The same of many small tensors."""
    return loaded("small", _save, load_file)


def _save(path: Path, content: Tensors) -> None:
    save_file(content, path)


def _save_synced(path: Path, content: Tensors) -> None:
    save_file(content, path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
