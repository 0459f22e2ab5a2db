"""Tables that come with the project; their origin and licence stand in data/README.md."""

from __future__ import annotations

import io
from importlib.resources import files

import numpy as np

from microframe.arrays import Array
from microframe.interfaces import Dataset, Source


class Digits(Source):
    """Handwritten digits, 1797 images of 8 x 8 pixels; the target is the digit, 0 to 9.

    The test part of the optical digits of Alpaydin and Kaynak (1998): 64 columns ``pixel_<row>_<column>``, each the
    number of black dots in a block of 4 x 4, 0 to 16 (uint8).
    """

    def load(self) -> Dataset:
        inputs, target = _shipped("digits")
        names = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
        return Dataset(inputs, target.astype(np.int64), names, ("digit",))


class Diabetes(Source):
    """442 diabetes patients: ten measurements each, and the progression of the disease one year later (25 to 346).

    The table of Efron, Hastie, Johnstone and Tibshirani (2004), unscaled: age in years, sex (1 or 2), body mass index
    in kg/m^2, mean blood pressure, and six measurements of blood serum: s1 total cholesterol, s2 low-density and s3
    high-density lipoproteins, s4 total cholesterol / s3, s5 (possibly the log of) triglycerides, s6 glucose.
    """

    def load(self) -> Dataset:
        inputs, target = _shipped("diabetes")
        names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
        return Dataset(inputs, target, names, ("progression",))


def _shipped(name: str) -> tuple[Array, Array]:
    content = files("microframe.standard").joinpath("data", f"{name}.npz").read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["x"], arrays["y"]
