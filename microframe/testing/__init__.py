"""Checks for those who write parts: the conformance suite, gradients against numerical differences, and what a training
step allocates.

Names are imported when they are first used, so that pytest, which imports the plugin with the fixtures wherever
microframe is installed, starts as fast as without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microframe.testing.allocations import recorded_allocations
    from microframe.testing.conformance import assert_conforms, check_component, parametrize_with_checks
    from microframe.testing.gradients import assert_gradient, directional_derivative
    from microframe.testing.layers import assert_layer_gradients

_HOMES = {
    "allocations": ["recorded_allocations"],
    "conformance": ["assert_conforms", "check_component", "parametrize_with_checks"],
    "gradients": ["assert_gradient", "directional_derivative"],
    "layers": ["assert_layer_gradients"],
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "assert_conforms",
    "assert_gradient",
    "assert_layer_gradients",
    "check_component",
    "directional_derivative",
    "parametrize_with_checks",
    "recorded_allocations",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'microframe.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"microframe.testing.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
