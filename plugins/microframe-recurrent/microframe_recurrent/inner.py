"""What holds of a layer that stands inside another one."""

from __future__ import annotations

import inspect

import microframe


def check_inner(layer: microframe.Layer) -> None:
    """Raise ValueError if `layer` says things that make no sense inside a wrapper, which stands in its place."""
    if layer.name is not None or layer.inputs is not None:
        raise ValueError("a layer inside without name and inputs, which are for the wrapper to have")
    if isinstance(layer, microframe.FittedLayer):
        raise ValueError(f"a layer inside that needs no fitting before training, not {layer.type!r}")


def takes_one_input(layer: microframe.Layer) -> bool:
    """Whether the signature of `build` lets the layer do with a single input."""
    parameters = list(inspect.signature(layer.build).parameters.values())[1:]
    required = sum(
        parameter.default is inspect.Parameter.empty and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
        for parameter in parameters
    )
    return bool(parameters) and required <= 1
