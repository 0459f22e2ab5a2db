"""The names of array types that annotations use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array; its shape and dtype stand in the docstring."""
Shape: TypeAlias = tuple[int, ...]
"""The shape of one sample, without the batch axis."""
if TYPE_CHECKING:
    import numpy as np

    Generator: TypeAlias = np.random.Generator
else:
    Generator = Any  # numpy.random takes long to import, and prediction does without
