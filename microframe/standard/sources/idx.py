"""The IDX format, in which MNIST is distributed.

A file holds two zero bytes, a byte for the type, a byte for the number of axes, the length of each axis as a
big-endian 32-bit number, and the values, big-endian and row by row (LeCun, Cortes and Burges, the MNIST database).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.errors import DataError
from microframe.interfaces import Dataset, Source
from microframe.standard.sources.rows import RowRange, check_inputs, check_range, check_target, within
from microframe.tables import reading

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP_MAGIC = b"\x1f\x8b"


class IDX(Source):
    """Inputs in one IDX file and targets in another, each gzipped or not. Bytes stay bytes: pixels are 0 to 255.

    Fields:
        inputs: the file of images, (samples, height, width).
        target: the file of labels, (samples,); None where there is none.
        flatten: whether each image becomes a row of height * width features, or keeps its shape with a channel axis
            at the end, (height, width, 1).
        rows: take the rows from the first number up to but without the second, counted from 0.
    """

    inputs: str
    target: str | None = None
    flatten: bool = True
    rows: RowRange = None

    def __post_init__(self) -> None:
        check_range(self.rows)

    def load(self) -> Dataset:
        inputs = read_idx(self.inputs)
        check_inputs(inputs, self.inputs)
        target = None
        taken = within(self.rows, len(inputs), self.inputs)
        if self.target is not None:
            target = read_idx(self.target)
            check_target(target, len(inputs), self.target)
            target = target[taken]
        inputs = inputs[taken]
        return Dataset(inputs.reshape(len(inputs), -1) if self.flatten else _with_channel(inputs), target)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        images = b"\0\0\x08\3" + struct.pack(">3I", 4, 3, 2) + bytes(range(24))
        labels = b"\0\0\x08\1" + struct.pack(">I", 4) + bytes([7, 3, 3, 7])
        return [
            Example(cls("images", "labels"), files={"images": images, "labels": labels}),
            Example(cls("images", flatten=False, rows=(1, 3)), files={"images": gzip.compress(images)}),
        ]


def read_idx(path: str) -> Array:
    """The array in an IDX file, in the machine's byte order; read-only where that is the file's own.

    Raises:
        DataError: the file is missing, or is not an IDX file of the length that its header states.
    """
    content = _read(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES:
        raise DataError(f"{path}: expected an IDX file (two zero bytes, then a type), received {content[:4]!r}")
    dtype, axes = np.dtype(DTYPES[content[2]]), content[3]
    start = 4 + 4 * axes
    if len(content) < start or not axes:
        raise DataError(f"{path}: expected a header of at least one axis, received {axes} in {len(content)} bytes")
    shape = struct.unpack_from(f">{axes}I", content, 4)
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise DataError(f"{path}: expected {expected} bytes for shape {shape}, received {len(content)}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read(path: str) -> bytes:
    with reading(path), open(path, "rb") as file:
        content = file.read()
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged: {error}") from error


def _with_channel(images: Array) -> Array:
    return images[..., None] if images.ndim == 3 else images
