"""The standard sources: files of tables and arrays, tables that come with the project, and made-up data."""

from __future__ import annotations

from microframe.component import Component
from microframe.plugins import hookimpl
from microframe.standard.sources.arrays import NPY, NPZ
from microframe.standard.sources.csv import CSV
from microframe.standard.sources.hdf5 import HDF5
from microframe.standard.sources.idx import IDX
from microframe.standard.sources.shipped import Diabetes, Digits
from microframe.standard.sources.synthetic import BitInversion, Kink, Line, Spirals

__all__ = [
    "CSV",
    "HDF5",
    "IDX",
    "NPY",
    "NPZ",
    "BitInversion",
    "Diabetes",
    "Digits",
    "Kink",
    "Line",
    "Spirals",
]


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [CSV, NPY, NPZ, HDF5, IDX, Digits, Diabetes, Line, Kink, BitInversion, Spirals]
