"""Where in the text of a configuration a value stands, for error messages."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
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
    lines: Lines = {}
    if suffix == ".json":
        start, stop = text.index("{") + 1, text.rindex("}")
        line = 1 + text.count("\n", 0, start)
        _walk(text[start:stop], line, (), ":", lambda key: (json.loads(key),), lines)
    else:
        lines = _lines_of_toml(text)

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
            lines.setdefault(section, start)
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


def _walk(text: str, line: int, place: Path, separator: str, read_key: Callable[[str], Path], lines: Lines) -> None:
    """Note the line of everything in `text`, which stands on `line`, holds keys and values, and belongs to `place`."""
    levels = [_Level(place, is_table=True)]
    key = ""
    for token in _TOKEN.finditer(text):
        word, level = token.group(), levels[-1]
        here = line + text.count("\n", 0, token.start())
        if word.startswith("#"):
            continue
        if word in {"]", "}"}:
            levels.pop()
        elif word == ",":
            level.key = () if level.is_table else (level.key[0] + 1,)
        elif level.is_table and not level.key:
            if word == separator:
                level.key, key = read_key(key), ""
                for length in range(1, len(level.key) + 1):
                    lines.setdefault((*level.place, *level.key[:length]), here)
            else:
                key += word
        else:
            place = (*level.place, *level.key)
            lines.setdefault(place, here)
            if word in {"[", "{"}:
                levels.append(_Level(place, is_table=word == "{"))


@dataclass
class _Level:
    """A table or an array that is being walked through, with the key or number of the value at hand."""

    place: Path
    is_table: bool
    key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.key = () if self.is_table else (0,)


def _read_toml_key(text: str) -> Path:
    """``a."b c"`` -> ``("a", "b c")``."""
    value: Any = tomllib.loads(f"{text} = 0")
    path: list[str] = []
    while isinstance(value, dict):
        ((key, value),) = value.items()
        path.append(key)
    return tuple(path)
