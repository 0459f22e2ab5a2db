"""What a process costs from its start to its end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tasks import Task

NOT_FOR_HELP = {"numpy", "h5py"}


def import_microframe(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds for a process that imports the names a program that trains uses."""
    return {"value": _seconds("-c", "import microframe; microframe.Model; microframe.load")}


def import_dependencies(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds for a process that imports NumPy and h5py."""
    return {"value": _seconds("-c", "import numpy, h5py")}


def build_model(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds for a process that imports microframe and builds a small model, which imports the standard parts."""
    return {"value": _seconds("-c", "import microframe; microframe.Model([{'type': 'dense', 'units': 2}]).build((2,))")}


def show_help(task: Task | None, threads: int) -> dict[str, Any]:
    """Seconds for ``microframe --help``, and which modules it should have done without."""
    report = _run("-X", "importtime", "-m", "microframe", "--help").stderr
    imported = {line.rpartition("|")[2].strip() for line in report.splitlines()}
    unwanted = sorted(NOT_FOR_HELP & imported)
    return {
        "value": _seconds("-m", "microframe", "--help"),
        "finding": f"imports {' and '.join(unwanted)}" if unwanted else "imports neither numpy nor h5py",
        "failed": bool(unwanted),
    }


def predict_row(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for ``microframe predict`` of one csv row with a model file."""
    import training
    from tasks import samples

    with tempfile.TemporaryDirectory() as folder:
        file, rows = Path(folder, "network.h5"), Path(folder, "rows.csv")
        training.model(task).save(file)
        rows.write_text(",".join(map(str, samples(task)[0][0])) + "\n", encoding="utf-8")
        return {"value": _seconds("-m", "microframe", "predict", str(file), str(rows))}


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    _run(*arguments)
    return time.perf_counter() - start


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
