"""Where in the text of a configuration a value stands, for error messages."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from typing import Any

Path = tuple[str | int, ...]
Lines = dict[Path, int]


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
            lines.setdefault(section, start)
        else:
            _note(parsed, section, start, lines)
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


def _note(value: Any, path: Path, line: int, lines: Lines) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        lines.setdefault((*path, key), line)
        _note(inner, (*path, key), line, lines)


def _lines_of_json(text: str) -> Lines:
    """Walk the tokens of a valid JSON text."""
    lines: Lines = {}
    stack: list[list[Any]] = []
    expects_key = False
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', text):
        word = token.group()
        if word in "}]":
            stack.pop()
        elif word == ",":
            expects_key = stack[-1][0] == "{"
            if not expects_key:
                stack[-1][1] += 1
        elif word == ":":
            expects_key = False
        elif expects_key and word.startswith('"'):
            stack[-1][1] = json.loads(word)
        if word not in {"}", "]", ",", ":"}:
            path = tuple(level[1] for level in stack if level[1] is not None)
            lines.setdefault(path, text.count("\n", 0, token.start()) + 1)
        if word in "{[":
            stack.append([word, 0 if word == "[" else None])
            expects_key = word == "{"
    return lines
