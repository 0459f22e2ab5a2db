"""The index by name of a group with many links: a B-tree of version 2.

Whoever asks the HDF5 library for a name goes through it, so that it must lead to the very links that are in the heap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from microframe.storage.codes import Code, Refused
from microframe.storage.metadata import LARGEST_BLOCK, Metadata

ID_SIZE = 7
"""Bytes of the identifier of a link in the heap of its group."""

_BY_NAME = b"\x00\x05"
"""Version and type of the index of links by their names."""
_RECORD_SIZE = 4 + ID_SIZE
_MOST_LEVELS = 8
_OVERHEAD = 10
"""Bytes of a node beside its records: signature, version, type and checksum."""


class Record(NamedTuple):
    """An entry of the index.

    Attributes:
        checksum: lookup3 of the name.
        identifier: where in the heap the link is; see `identifier`.
    """

    checksum: int
    identifier: bytes


class _Level(NamedTuple):
    """What nodes of a level have, counted from the leaves.

    Attributes:
        pointer: bytes of a pointer to a child, with the number of its records, and of all below it, in it.
        own: bytes of the first of these numbers.
    """

    pointer: int
    own: int


def identifier(offset: int, size: int, offset_size: int) -> bytes:
    """The identifier of an object in a heap, by its place and its size."""
    return b"\x00" + offset.to_bytes(offset_size, "little") + size.to_bytes(ID_SIZE - 1 - offset_size, "little")


def read_index(metadata: Metadata, address: int, count: int, path: str) -> Iterator[Record]:
    """The records of the index at `address`, in its order; there must be `count`.

    Raises:
        Refused: it is another kind of index, or of another size.
    """
    head = metadata.block(address, 38, b"BTHD" + _BY_NAME, path)
    node_size, record_size, depth = struct.unpack_from("<IHH", head, 6)
    root, root_count, total = struct.unpack_from("<QHQ", head, 16)
    if record_size != _RECORD_SIZE or not 64 <= node_size <= LARGEST_BLOCK or depth >= _MOST_LEVELS or total != count:
        raise Refused(Code.STRUCTURE, path or "/", "an index of an unknown kind, or of another size than the group")
    if count:
        yield from _read_node(metadata, root, root_count, _levels(node_size, depth), node_size, path)


def _levels(node_size: int, depth: int) -> list[_Level]:
    """The levels from the leaves up, by how many records fit at most into a node and into all below it."""
    most = (node_size - _OVERHEAD) // _RECORD_SIZE
    count, in_all, total = _width(most), most, 0
    levels = [_Level(0, 0)]
    for _ in range(depth):
        pointer = 8 + count + total
        levels.append(_Level(pointer, count))
        most = max((node_size - _OVERHEAD - pointer) // (_RECORD_SIZE + pointer), 0)
        in_all = (most + 1) * in_all + most
        total = _width(in_all)
    return levels


def _width(most: int) -> int:
    """Bytes that numbers up to `most` take."""
    return max(-(-most.bit_length() // 8), 1)


def _read_node(
    metadata: Metadata, address: int, count: int, levels: list[_Level], node_size: int, path: str
) -> Iterator[Record]:
    """The records of a node and of those below it, in their order."""
    *below, level = levels
    data = metadata.peek(address, node_size, path)
    children = 6 + _RECORD_SIZE * count
    end = children + (level.pointer * (count + 1) if below else 0)
    if (
        not data.startswith((b"BTIN" if below else b"BTLF") + _BY_NAME)
        or end + 4 > node_size
        or data[end + 4 :].strip(b"\0")
    ):
        raise Refused(Code.STRUCTURE, path or "/", "a node of an index that is none")
    metadata.keep(address, node_size, data[:end], data[end : end + 4], path)
    for index in range(count + 1):
        if below:
            at = children + level.pointer * index
            (child,) = struct.unpack_from("<Q", data, at)
            child_count = int.from_bytes(data[at + 8 : at + 8 + level.own], "little")
            yield from _read_node(metadata, child, child_count, below, node_size, path)
        if index < count:
            checksum, place = struct.unpack_from(f"<I{ID_SIZE}s", data, 6 + _RECORD_SIZE * index)
            yield Record(checksum, place)
