"""Tables of text, as every part of microframe shows them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from microframe.printable import printable

GAP = "  "


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of aligned columns, each as wide as its widest cell, below the head and a rule.

    A column of numbers stands to the right, where an empty cell may be among them. Characters that would disturb the
    lines, such as a line break, are shown escaped.

    Raises:
        ValueError: a row has more or fewer cells than the head.
    """
    columns = [_align(cells) for cells in zip(*_checked(head, rows), strict=True)]
    first, *lines = (GAP.join(cells).rstrip() for cells in zip(*columns, strict=True))
    rule = "-" * max(map(display_width, [first, *lines]))
    return "\n".join([first, rule, *lines])


def display_width(text: str) -> int:
    """How many places `text` takes on a terminal: East Asian characters may take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _checked(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    table = [head, *rows]
    if any(len(row) != len(head) for row in table):
        raise ValueError(f"expected {len(head)} cells in each row")
    return table


def _align(cells: Sequence[str]) -> list[str]:
    shown = [printable(cell, most=None) for cell in cells]
    widths = list(map(display_width, shown))
    widest = max(widths)
    if _are_numbers(shown[1:]):
        return [" " * (widest - width) + cell for cell, width in zip(shown, widths, strict=True)]
    return [cell + " " * (widest - width) for cell, width in zip(shown, widths, strict=True)]


def _are_numbers(cells: Iterable[str]) -> bool:
    filled = [cell.replace(",", "") for cell in cells if cell]
    try:
        return len(list(map(float, filled))) > 0
    except ValueError:
        return False
