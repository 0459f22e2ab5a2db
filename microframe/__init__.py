"""microframe: a neural-network microframework whose every part is a plugin.

Names are imported when they are first used, so that ``import microframe`` alone is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from microframe.version import __version__

if TYPE_CHECKING:
    from microframe.arrays import Array, Shape
    from microframe.component import Component, Example, Part, config
    from microframe.errors import (
        ConfigError,
        DataError,
        MicroframeError,
        ModelFileError,
        ModelPluginError,
        PluginError,
        ProviderVersionWarning,
        TrainingDivergedError,
        UsageError,
    )
    from microframe.history import History
    from microframe.interfaces import (
        Activation,
        Callback,
        Context,
        Dataset,
        FittedLayer,
        Initializer,
        Layer,
        Loss,
        Metric,
        Optimizer,
        OptimizerContext,
        Schedule,
        Scope,
        Source,
    )
    from microframe.model import Model, load
    from microframe.plugins import hookimpl
    from microframe.registry import register

_HOMES = {
    "arrays": ["Array", "Shape"],
    "component": ["Component", "Example", "Part", "config"],
    "errors": [
        "ConfigError",
        "DataError",
        "MicroframeError",
        "ModelFileError",
        "ModelPluginError",
        "PluginError",
        "ProviderVersionWarning",
        "TrainingDivergedError",
        "UsageError",
    ],
    "history": ["History"],
    "interfaces": [
        "Activation",
        "Callback",
        "Context",
        "Dataset",
        "FittedLayer",
        "Initializer",
        "Layer",
        "Loss",
        "Metric",
        "Optimizer",
        "OptimizerContext",
        "Schedule",
        "Scope",
        "Source",
    ],
    "model": ["Model", "load"],
    "plugins": ["hookimpl"],
    "registry": ["register"],
}
_MODULES = ("interfaces", "standard", "testing", "values")
"""Modules that are public beside the names; ``microframe.testing`` is there without an import of its own."""
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Activation",
    "Array",
    "Callback",
    "Component",
    "ConfigError",
    "Context",
    "DataError",
    "Dataset",
    "Example",
    "FittedLayer",
    "History",
    "Initializer",
    "Layer",
    "Loss",
    "Metric",
    "MicroframeError",
    "Model",
    "ModelFileError",
    "ModelPluginError",
    "Optimizer",
    "OptimizerContext",
    "Part",
    "PluginError",
    "ProviderVersionWarning",
    "Schedule",
    "Scope",
    "Shape",
    "Source",
    "TrainingDivergedError",
    "UsageError",
    "__version__",
    "config",
    "hookimpl",
    "load",
    "register",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"microframe.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'microframe' has no attribute {name!r}")
    return getattr(importlib.import_module(f"microframe.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
