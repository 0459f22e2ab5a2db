"""Reading a file from a stranger in a process that can do no harm, before this one reads it.

The other process has its own memory, so that nothing it stumbles over is shared, and ends when it needs more time or
memory than a file of that size can take. It imports nothing but the reader: no plugin, and not the HDF5 library.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from microframe.errors import ModelFileError
from microframe.storage.codes import Code

SECONDS = 60.0
"""What reading may take, beside what the size of the file takes."""
BYTES_A_SECOND = 20e6
"""How slowly a file may be read."""
MEMORY = 2**30
"""Bytes that reading may take beside the size of the file: those of the largest manifest."""

_ANSWER = "microframe-isolation:"
"""What the line with the answer begins with; anything else on the output is somebody's noise."""
_BEGIN = "import json, sys; options = json.load(sys.stdin); sys.path[:] = options.pop('python_path'); "
_LITTLE = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""NumPy reserves memory for each thread that it might compute with; the other process computes nothing."""


def read_in_isolation(path: str | os.PathLike[str], *, sha256: str | None = None, allow_nonfinite: bool = False) -> str:
    """Read all of a model file, and check it, in a process of its own with limited time and memory.

    Memory is limited on Linux, processor time and writing on every POSIX system, and time everywhere.

    Args:
        path: the file.
        sha256: what its own digest must be, in hexadecimal.
        allow_nonfinite: whether weights may be NaN or infinite.

    Returns:
        The digest of the bytes that were checked, with which to make sure that no others are loaded.

    Raises:
        ModelFileError: the file is refused, or the process died over it.
    """
    size = _size(path)
    seconds = SECONDS + size / BYTES_A_SECOND
    options = {
        "path": str(Path(path)),
        "sha256": sha256,
        "allow_nonfinite": allow_nonfinite,
        "seconds": math.ceil(seconds),
        "memory": MEMORY + size,
        "python_path": _python_path(),
    }
    answer = _run(path, json.dumps(options), seconds)
    if "code" in answer:
        raise ModelFileError(path, **answer)
    return str(answer["sha256"])


def _run(path: str | os.PathLike[str], options: str, seconds: float) -> dict[str, Any]:
    """What the other process says of the file."""
    if not sys.executable or getattr(sys, "frozen", False):
        raise _isolated(path, "no Python to start: this program has it built in")
    command = [sys.executable, "-I", "-c", f"{_BEGIN}from {__name__} import main; main(options)"]
    try:
        process = subprocess.run(  # noqa: S603  # of this very interpreter
            command,
            input=options,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **_LITTLE},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _isolated(path, f"no end after {seconds:.3g} seconds") from error
    except OSError as error:
        raise _isolated(path, f"no beginning ({error.strerror or error})") from error
    answers = [line.removeprefix(_ANSWER) for line in process.stdout.splitlines() if line.startswith(_ANSWER)]
    if process.returncode or not answers:
        raise _isolated(path, _ending(process))
    answer: dict[str, Any] = json.loads(answers[-1])
    return answer


def main(options: dict[str, Any]) -> None:
    """The other process: reads the file, and writes its digest, or why it is refused."""
    from microframe.storage.reading import ModelFile

    _limit(options.pop("memory"), options.pop("seconds"))
    path = options.pop("path")
    try:
        with ModelFile(path, **options) as file:
            answer = {"sha256": file.own_sha256()}
            file.verify()
    except ModelFileError as error:
        if error.code == Code.MEMORY:
            raise MemoryError from error
        answer = {"code": error.code, "where": error.where, "found": error.found}
    print(f"\n{_ANSWER}{json.dumps(answer)}", flush=True)


def _limit(memory: int, seconds: int) -> None:
    """Let this process take so much more memory and so much of the processor, and write no file."""
    try:
        import resource
    except ImportError:  # a system without such limits; the time limit of the first process holds
        return
    limits = {"RLIMIT_CPU": seconds, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
    if sys.platform == "linux":  # elsewhere the limit is not on memory alone, or unknown
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits["RLIMIT_AS"] = pages * resource.getpagesize() + memory
    for name, most in limits.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            allowed = resource.getrlimit(kind)[1]
            limit = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
            with contextlib.suppress(OSError, ValueError):  # not every system lets every limit be set
                resource.setrlimit(kind, (limit, limit))


def _size(path: str | os.PathLike[str]) -> int:
    """The size of a file; 0 for what is none, which the reader refuses."""
    with contextlib.suppress(OSError, ValueError):
        return os.stat(path).st_size if os.path.isfile(path) else 0
    return 0


def _python_path() -> list[str]:
    """Where this process finds modules: isolated mode, which keeps the environment from adding to that, forgets it."""
    home = str(Path(__file__).absolute().parents[2])
    found = [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str) and entry]
    return found if home in found else [*found, home]


def _ending(process: subprocess.CompletedProcess[str]) -> str:
    """How a process ended that did not answer, with its last words."""
    code = process.returncode
    how = f"an end with code {code}" if code else "an end without an answer"
    with contextlib.suppress(ValueError):
        if code < 0:
            how = f"killed by {signal.Signals(-code).name}"
    words = process.stderr.strip().splitlines()
    return f"{how} ({words[-1][:200]})" if words else how


def _isolated(path: str | os.PathLike[str], found: str) -> ModelFileError:
    return ModelFileError(path, Code.ISOLATED, "the process that reads it first", found)
