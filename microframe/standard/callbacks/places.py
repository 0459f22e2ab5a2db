"""Where a callback stands in the configuration, for its error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microframe.interfaces import Callback
from microframe.settings import Path

if TYPE_CHECKING:
    from microframe.training import Run


def place(run: Run, callback: Callback, field: str) -> Path:
    """The path of a callback's field in the configuration; a listener, which isn't in it, goes by its type."""
    callbacks = run.settings.callbacks
    if callback in callbacks:
        return "training", "callbacks", callbacks.index(callback), field
    return callback.type, field
