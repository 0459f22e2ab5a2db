"""The standard layers."""

from __future__ import annotations

from microframe.component import Component
from microframe.plugins import hookimpl
from microframe.standard.layers.activation import ActivationLayer
from microframe.standard.layers.dense import Dense
from microframe.standard.layers.embedding import Embedding
from microframe.standard.layers.merge import Add, Concatenate, Multiply
from microframe.standard.layers.noise import Dropout, GaussianNoise
from microframe.standard.layers.normalization import BatchNorm, LayerNorm
from microframe.standard.layers.preprocessing import MinMax, Standardize
from microframe.standard.layers.shape import Flatten, Reshape

__all__ = [
    "ActivationLayer",
    "Add",
    "BatchNorm",
    "Concatenate",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "LayerNorm",
    "MinMax",
    "Multiply",
    "Reshape",
    "Standardize",
]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [
        Dense,
        ActivationLayer,
        Flatten,
        Reshape,
        Dropout,
        GaussianNoise,
        BatchNorm,
        LayerNorm,
        Embedding,
        Add,
        Multiply,
        Concatenate,
        Standardize,
        MinMax,
    ]
