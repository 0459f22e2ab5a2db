"""Telling a layer that treats all steps alike where each of them stands."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

import microframe
from microframe import Array, Shape
from microframe.values import PositiveFloat
from microframe_recurrent.shapes import check_shapes


class PositionalEncoding(microframe.Layer):
    """The input plus sines and cosines of the position, of many wavelengths.

    With features numbered from 0, position t gets in feature 2 i the sine and in feature 2 i + 1 the cosine of

        t / max_wavelength^(2 i / features)

    so that the code of one position is a rotation of that of another, by an angle that depends on their distance alone
    (Vaswani et al., 2017, arXiv:1706.03762). Nothing is learned, and the code of a position is the same in sequences of
    every length, of which a network is built for one.

    Fields:
        max_wavelength: 2 pi times this is the longest wavelength, that of features far to the right; default 10000.

    Shapes: (batch, time, features) -> the same.
    """

    max_wavelength: PositiveFloat = 10000.0

    def build(self, scope: microframe.Scope, input_shape: Shape) -> Shape:
        check_shapes(input_shape)
        return input_shape

    def forward(self, ctx: microframe.Context, x: Array) -> Array:
        y = ctx.empty(x.shape)
        return np.add(x, sinusoids(*x.shape[1:], self.max_wavelength, y.dtype), out=y)

    def backward(self, ctx: microframe.Context, dy: Array) -> Array:
        # What is added does not depend on x.
        return dy

    @classmethod
    def examples(cls) -> Iterable[microframe.Component | microframe.Example]:
        def encoded(_: Any, x: Array) -> Any:
            angles = np.arange(3)[:, None] / np.array([1, 1, 100, 100])
            return x + np.where([True, False, True, False], np.sin(angles), np.cos(angles))

        return [
            microframe.Example(cls(), ((3, 4),), encoded),
            microframe.Example(cls(10.0), ((6, 5),)),
            microframe.Example(cls(), ((4, 1),), lambda _, x: x + np.sin(np.arange(4))[:, None]),
        ]


@functools.lru_cache(maxsize=16)
def sinusoids(steps: int, features: int, max_wavelength: float, dtype: np.dtype[Any]) -> Array:
    """The encoding of the first positions, (steps, features); read-only."""
    wavelengths = max_wavelength ** (np.arange(0, features, 2) / features)
    angles = np.arange(steps)[:, None] / wavelengths
    table = np.empty((steps, features), dtype)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles[:, : features // 2])
    table.flags.writeable = False
    return table
