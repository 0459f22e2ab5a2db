"""What every component must do, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable

from microframe.component import Example

CHECKS: tuple[Callable[[Example], None], ...] = ()
