"""Floating-point warnings switched off for one call, at the price of little more than the call.

An activation may let an exponential overflow where that gives the right limit, and what is not finite is reported by
value, so NumPy's warnings say nothing that a user should act on. ``np.errstate`` takes longer than a small layer; NumPy
keeps its error state in a context variable, so running in a copy of a context that has it set does the same.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_QUIET = contextvars.copy_context()
_QUIET.run(np.seterr, all="ignore")


def quietly(function: Callable[Arguments, Result], *args: Arguments.args, **keywords: Arguments.kwargs) -> Result:
    """``function(...)``, without floating-point warnings."""
    return _QUIET.copy().run(function, *args, **keywords)
