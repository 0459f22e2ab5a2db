"""Docstrings: what the class of a component says about its fields, and what it says besides."""

from __future__ import annotations

import inspect
import re

_HEADING = re.compile(r"Fields\b[^:]*:")
_ENTRY = re.compile(r"(?P<names>\w+(?:, \w+)*): (?P<text>.*)")


def split_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The docstring without its section on fields, and the text of that section by field.

    The section begins with a line such as ``Fields:`` or ``Fields of every layer (keyword only):``, below which
    each entry stands further right: ``name: text``, or ``one, other: text`` for several; what stands further right
    still goes on with the entry above it. A section of one line, ``Fields: as for ...``, says nothing of any field.
    Literals come out with single backticks around them.
    """
    kept: list[str] = []
    fields: dict[str, str] = {}
    lines = inspect.cleandoc(text).replace("``", "`").splitlines()
    while lines:
        line = lines.pop(0)
        if _HEADING.match(line):
            fields |= _entries(_block(lines))
        else:
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), fields


def docstring_of(cls: type) -> str:
    """The docstring that was written for `cls`; not the one that `dataclasses` makes up where there is none."""
    text = cls.__doc__ or ""
    made_up = f"{cls.__name__}{inspect.signature(cls)}".removesuffix(" -> None")
    return "" if text == made_up else text


def describe_fields(component: type) -> dict[str, str]:
    """What the docstrings of `component` and of the classes it derives from say about each field.

    The nearest class has the word, but where it tells a default and no more: then what the field is for comes first,
    from the class that says so.
    """
    texts: dict[str, list[str]] = {}
    for cls in component.__mro__:
        _, fields = split_docstring(cls.__doc__ or "")
        for name, text in fields.items():
            texts.setdefault(name, []).append(text)
    return {name: next((text for text in found if not _is_default(text)), found[0]) for name, found in texts.items()}


def _block(lines: list[str]) -> list[str]:
    """Take the indented lines that `lines` begin with."""
    block: list[str] = []
    while lines and (_indentation(lines[0]) or not lines[0]):
        block.append(lines.pop(0))
    return [line for line in block if line]


def _entries(block: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    names: list[str] = []
    for line in block:
        entry = _ENTRY.fullmatch(line.strip()) if _indentation(line) == _indentation(block[0]) else None
        if entry:
            names = entry["names"].split(", ")
            fields |= dict.fromkeys(names, entry["text"])
        else:
            fields |= {name: f"{fields[name]} {line.strip()}" for name in names}
    return fields


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_default(text: str) -> bool:
    return text.startswith("default")
