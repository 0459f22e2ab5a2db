"""The library that does NumPy's sums of products, and how many threads it does them with."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What sets the number of threads, if it is set before NumPy is imported."""

_THREADS = ("openblas_get_num_threads", "openblas_get_num_threads64_")
_COUNTS = (*_THREADS, *(f"scipy_{name}" for name in _THREADS))


def describe_blas() -> dict[str, Any]:
    """Name and version of the library, the number of its threads (None where it doesn't tell), and what sets it."""
    library: Mapping[str, Any] = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "name": library.get("name"),
        "version": library.get("version"),
        "threads": _threads(),
        "variables": {name: os.environ.get(name) for name in VARIABLES},
    }


def _threads() -> int | None:
    """What the OpenBLAS that is in this process says; other libraries are not asked."""
    for path in _openblas():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name in _COUNTS:
            if hasattr(library, name):
                return int(getattr(library, name)())
    return None


def _openblas() -> Iterable[str]:
    maps = Path("/proc/self/maps")
    if maps.exists():
        fields = (line.split(maxsplit=5) for line in maps.read_text(errors="replace").splitlines())
        return dict.fromkeys(field[5] for field in fields if len(field) == 6 and "openblas" in field[5])
    package = Path(np.__file__).parent  # where there is no such list: what wheels of NumPy bring along
    folders = (package / ".dylibs", package.parent / "numpy.libs")
    return [str(path) for folder in folders for path in folder.glob("*openblas*")]
