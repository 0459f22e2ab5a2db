"""What commands print, and which files they may write."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from microframe.errors import PluginError, UsageError


def print_json(values: Any) -> None:
    """`values` as JSON on stdout; arrays become lists, and numbers that JSON does not know become null."""
    click.echo(json.dumps(_plain(values), indent=2, ensure_ascii=False, allow_nan=False))


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table on stdout, below its title."""
    from microframe.printable import printable
    from microframe.text_table import format_table

    cells = [[cell if isinstance(cell, str) else format_cell(cell) for cell in row] for row in rows]
    if title is not None:
        click.echo(printable(title))
    click.echo(format_table(head, cells))


def format_cell(value: Any) -> str:
    """A value for a reader: four digits of a number that isn't whole."""
    value = _without_numpy(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(format_cell(element) for element in value)
    return "" if value is None else str(value)


def _without_numpy(value: Any) -> Any:
    """Arrays as lists and their scalars as Python's, without importing NumPy for the sake of ``--help``."""
    return value.tolist() if hasattr(value, "tolist") else value


def _plain(value: Any) -> Any:
    value = _without_numpy(value)
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def missing_report(missing: PluginError | None) -> dict[str, Any]:
    """What is missing, line by line, and apart from it the command that installs it."""
    lines = str(missing).splitlines() if missing is not None else []
    install = lines.pop() if lines and lines[-1].startswith("pip install ") else None
    return {"missing": lines, "install": install}


def check_output(path: Path, *, overwrite: bool, advice: str = "") -> None:
    """Raise UsageError unless `path` can be written without losing anything."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder: --output names a file")
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already: --overwrite replaces it, --output names another file{advice}")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    import tempfile

    with writing(path):
        tempfile.TemporaryFile(dir=folder).close()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write `path` into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
