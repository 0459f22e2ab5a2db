"""The names of array types that annotations use."""

from __future__ import annotations

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

_ALIGNMENT = 64
"""Bytes: a cache line, and the widest registers. Matrix products of a single row are a quarter faster from there."""


def zeros_aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """A vector of zeros whose first element begins a cache line."""
    memory = np.zeros(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size * dtype.itemsize].view(dtype)
