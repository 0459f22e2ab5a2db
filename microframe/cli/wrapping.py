"""Prose that keeps to the width of the terminal."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence

WIDEST = 100
"""Lines of prose beyond this are hard to read."""


def wrap(text: str, indent: str = "", first: str | None = None) -> str:
    """`text` as one paragraph, each line behind `indent`, the first behind `first` if given."""
    return textwrap.fill(
        text,
        min(shutil.get_terminal_size().columns, WIDEST),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def wrap_labelled(rows: Sequence[tuple[str, Sequence[str]]], indent: str = "") -> str:
    """Paragraphs beside a column of labels; a label with several has them one below the other."""
    width = max((len(label) for label, _ in rows), default=0)
    lines = []
    for label, paragraphs in rows:
        firsts = [label, *[""] * (len(paragraphs) - 1)]
        lines += [
            wrap(paragraph, indent + " " * (width + 2), f"{indent}{first:<{width}}  ")
            for first, paragraph in zip(firsts, paragraphs, strict=False)
        ]
    return "\n".join(lines)


def wrap_paragraphs(text: str, indent: str = "") -> str:
    """Paragraphs with empty lines between, each wrapped; one with indented lines keeps its lines apart."""
    return "\n\n".join(_wrap_paragraph(paragraph, indent) for paragraph in re.split(r"\n\s*\n", text.strip()))


def _wrap_paragraph(paragraph: str, indent: str) -> str:
    lines = paragraph.splitlines()
    if not any(line.startswith(" ") for line in lines):
        return wrap(" ".join(lines), indent)
    depths = [indent + line[: len(line) - len(line.lstrip())] for line in lines]
    return "\n".join(wrap(line.strip(), depth) for line, depth in zip(lines, depths, strict=True))
