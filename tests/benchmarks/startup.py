"""What a process costs from its start to its end, the second time: files are read and modules compiled by then."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks import Task

NOT_FOR_HELP = {"numpy", "h5py"}
BYTECODE = Path(tempfile.gettempdir(), f"microframe-benchmarks-{getpass.getuser()}")
"""Where the measured processes keep compiled modules, which an installed package brings along."""


def import_microframe(task: Task | None, threads: int) -> dict[str, Any]:
    """A process that imports the names a program that trains uses."""
    return _measured("-c", "import microframe; microframe.Model; microframe.load")


def import_dependencies(task: Task | None, threads: int) -> dict[str, Any]:
    """A process that imports NumPy and h5py."""
    return _measured("-c", "import numpy, h5py")


def build_model(task: Task | None, threads: int) -> dict[str, Any]:
    """A process that imports microframe and builds a small model, which imports the standard parts."""
    return _measured("-c", "import microframe; microframe.Model([{'type': 'dense', 'units': 2}]).build((2,))")


def show_help(task: Task | None, threads: int) -> dict[str, Any]:
    """``microframe --help``, and which modules it should have done without."""
    report = _run("-X", "importtime", "-m", "microframe", "--help").stderr
    imported = {line.rpartition("|")[2].strip() for line in report.splitlines()}
    unwanted = sorted(NOT_FOR_HELP & imported)
    finding = f"IMPORTS {' and '.join(unwanted)}" if unwanted else "imports neither numpy nor h5py"
    return {**_measured("-m", "microframe", "--help"), "finding": finding, "failed": bool(unwanted)}


def predict_row(task: Task, threads: int) -> dict[str, Any]:
    """``microframe predict`` of one csv row with a model file."""
    import training
    from tasks import samples

    with tempfile.TemporaryDirectory() as folder:
        file, rows = Path(folder, "network.h5"), Path(folder, "rows.csv")
        training.model(task).save(file)
        rows.write_text(",".join(map(str, samples(task)[0][0])) + "\n", encoding="utf-8")
        return _measured("-m", "microframe", "predict", str(file), str(rows))


def _measured(*arguments: str) -> dict[str, Any]:
    _run(*arguments)
    start = time.perf_counter()
    _run(*arguments)
    return {"value": time.perf_counter() - start, "peak_memory": None}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(BYTECODE)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True, text=True)
