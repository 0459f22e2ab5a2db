"""Numbers in the form that a ufunc takes with the least effort."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from microframe.arrays import Array


class Constant(dict["np.dtype[Any]", Array]):
    """A number as a 0-d array of any dtype, ``ONE[x.dtype]``: cheaper for a ufunc than a Python number is."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def __missing__(self, dtype: np.dtype[Any]) -> Array:
        self[dtype] = np.array(self.value, dtype)
        return self[dtype]


ZERO, ONE = Constant(0), Constant(1)
constant = functools.lru_cache(maxsize=256)(Constant)
"""The same `Constant` each time for a number, for one that is only known when it is used."""
