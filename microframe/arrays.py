"""The names of array types that annotations use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array; its shape and dtype stand in the docstring."""
Shape: TypeAlias = tuple[int, ...]
"""The shape of one sample, without the batch axis."""
if TYPE_CHECKING:
    Generator: TypeAlias = np.random.Generator
else:
    Generator = Any  # numpy.random takes as long to import as all of microframe, and prediction does without

MOST_ELEMENTS = 2**59
"""What an array may have, so that its bytes can be counted in 64 bits."""
MOST_AXES = 63
"""What a sample may have; NumPy's arrays have 64 at most, of which one is for the batch."""
_ALIGNMENT = 64
"""Bytes: a cache line, and the widest registers. Matrix products of a single row are a quarter faster from there."""


def check_shape(shape: Shape) -> None:
    """Raise ValueError if an array of `shape` is larger than any there is, its empty axes left out.

    Shapes may come from anywhere; the product of those that pass is one that takes no time to compute with.
    """
    if len(shape) > MOST_AXES or abs(math.prod(filter(None, shape))) > MOST_ELEMENTS:
        raise ValueError(f"arrays of at most {MOST_AXES} axes and 2^{MOST_ELEMENTS.bit_length() - 1} elements")


def zeros_aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """A vector of zeros whose first element begins a cache line."""
    memory = np.zeros(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size * dtype.itemsize].view(dtype)
