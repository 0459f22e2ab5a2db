"""The names of array types that annotations use."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""An array; its shape and dtype stand in the docstring."""
Shape: TypeAlias = tuple[int, ...]
"""The shape of one sample, without the batch axis."""
Generator: TypeAlias = np.random.Generator
