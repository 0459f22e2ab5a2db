"""Where in the text of a configuration a value stands, for error messages."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
Lines = dict[Path, int]

_TOKEN = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}.*?'{3}|"(?:[^"\\]|\\.)*"|'[^']*'|\#[^\n]*|[{}\[\],=:]|[^\s{}\[\],=:"'\#]+""",
    re.DOTALL,
)
"""Strings of every kind, comments, what stands between values, and words."""


def line_finder(text: str, suffix: str) -> Callable[[Path], int | None]:
    """A function from the path of a value to its line, counted from 1.

    A path that does not stand in the text gets the line of the nearest thing around it that does.
    """
    lines = _lines_of_json(text) if suffix == ".json" else _lines_of_toml(text)

    def find(path: Path) -> int | None:
        for length in range(len(path), 0, -1):
            if path[:length] in lines:
                return lines[path[:length]]
        return None

    return find


def _lines_of_toml(text: str) -> Lines:
    """Split the text into statements, each as short as the TOML parser takes it, and note what each one sets."""
    lines: Lines = {}
    counts: Counter[Path] = Counter()
    section: Path = ()
    statement, start = "", 0
    for number, line in enumerate(text.split("\n"), start=1):
        statement, start = (f"{statement}\n{line}", start) if statement else (line, number)
        try:
            parsed = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if re.match(r"\s*\[", statement):
            section = _section(parsed, statement, counts)
            _note(section, 0, start, lines)
        else:
            _walk(statement, start, section, "=", _read_toml_key, lines)
        statement = ""
    return lines


def _section(parsed: dict[str, Any], statement: str, counts: Counter[Path]) -> Path:
    """The path that a header such as ``[[layers]]`` opens; `counts` numbers the elements of arrays of tables."""
    plain: Path = ()
    path: Path = ()
    value: Any = parsed
    while isinstance(value, dict) and value:
        ((key, value),) = value.items()
        plain, path = (*plain, key), (*path, key)
        is_last = not value or isinstance(value, list)
        if is_last and re.match(r"\s*\[\[", statement):
            counts[plain] += 1
        if counts[plain]:
            path = (*path, counts[plain] - 1)
    return path


def _lines_of_json(text: str) -> Lines:
    lines: Lines = {}
    start, stop = text.index("{") + 1, text.rindex("}")
    first = 1 + text.count("\n", 0, start)
    _walk(text[start:stop], first, (), ":", lambda key: (json.loads(key),), lines)
    return lines


@dataclass
class _Level:
    """A table or an array that is being walked through, with the key or the number of the value at hand."""

    place: Path
    is_table: bool
    key: Path = ()
    number: int = 0

    def inner(self) -> Path:
        return (*self.place, *self.key) if self.is_table else (*self.place, self.number)


def _walk(text: str, first: int, place: Path, separator: str, read_key: Callable[[str], Path], lines: Lines) -> None:
    """Note the lines of the keys and values in `text`, which begins on line `first` and belongs to `place`."""
    levels = [_Level(place, is_table=True)]
    key = ""
    for token in _TOKEN.finditer(text):
        word, level = token.group(), levels[-1]
        line = first + text.count("\n", 0, token.start())
        if word.startswith("#"):
            continue
        if word in {"]", "}"}:
            levels.pop()
        elif word == ",":
            level.key, level.number = (), level.number + 1
        elif level.is_table and not level.key:
            if word != separator:
                key += word
                continue
            level.key, key = read_key(key), ""
            _note(level.inner(), len(level.place), line, lines)
        else:
            lines.setdefault(level.inner(), line)
            if word in {"[", "{"}:
                levels.append(_Level(level.inner(), is_table=word == "{"))


def _note(path: Path, known: int, line: int, lines: Lines) -> None:
    """Note `path` and what it opens on its way, beyond its first `known` steps."""
    for length in range(known, len(path)):
        lines.setdefault(path[: length + 1], line)


def _read_toml_key(text: str) -> Path:
    """``a."b c"`` -> ``("a", "b c")``."""
    value: Any = tomllib.loads(f"{text} = 0")
    path: Path = ()
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path = (*path, key)
    return path
