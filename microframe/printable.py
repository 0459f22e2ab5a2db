"""Text that anybody may have made up, on its way to a terminal."""

from __future__ import annotations


def printable(text: str, most: int | None = 100) -> str:
    """`text` on one line, with characters escaped that would do something to a terminal instead of showing on it.

    Args:
        text: as a file, a plugin or a user gives it.
        most: how many characters are shown at most; None for all of them.
    """
    if most is not None:
        text = text[: most + 1]
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return text if most is None or len(text) <= most else f"{text[: most - 3]}..."
