"""The model file: an HDF5 file with a manifest and tensors, as FORMAT.md beside this specifies it."""

from microframe.storage.codes import Code, Refused
from microframe.storage.manifest import NUMBER_KEY, Tensor, check_fields, finite, restored
from microframe.storage.reading import ModelFile
from microframe.storage.writing import FORMAT, LAYOUT, check_tensors, write_model_file

__all__ = [
    "FORMAT",
    "LAYOUT",
    "NUMBER_KEY",
    "Code",
    "ModelFile",
    "Refused",
    "Tensor",
    "check_fields",
    "check_tensors",
    "finite",
    "restored",
    "write_model_file",
]
