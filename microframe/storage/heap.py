"""The fractal heap of HDF5, in which the links of a group lie that has more than a few."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from microframe.storage.codes import Code, Refused
from microframe.storage.metadata import LARGEST_BLOCK, UNDEFINED, Metadata

_CHECKED = 2
"""The flag of a heap whose blocks have checksums; the library sets no other in the heaps of links."""
_MOST_ROWS = 64


class Heap(NamedTuple):
    """A heap, as its header describes it.

    Attributes:
        objects: how many lie in it.
        width: how many blocks there are in a row of its table.
        smallest, largest: bytes of the blocks of the first rows, and of the last ones that hold objects themselves.
        offset_size: bytes of an offset within the heap.
        root: the address of its only block or, where there are `rows`, of its table.
        rows: how many the table has.
    """

    objects: int
    width: int
    smallest: int
    largest: int
    offset_size: int
    root: int
    rows: int


def read_heap(metadata: Metadata, address: int, path: str) -> Heap:
    """The header of the heap at `address`, of the group `path`.

    Raises:
        Refused: it is one with filters, or with objects that lie elsewhere.
    """
    head = metadata.block(address, 146, b"FRHP\x00", path)
    _, filters, flags = struct.unpack_from("<HHB", head, 5)
    count, *elsewhere = struct.unpack_from("<5Q", head, 70)
    width, smallest, largest, bits, _, root, rows = struct.unpack_from("<HQQHHQH", head, 110)
    is_plain = flags == _CHECKED and not filters and not any(elsewhere)
    if not is_plain or not 0 < smallest <= largest <= LARGEST_BLOCK or not 0 < width <= 64 or not 8 <= bits <= 64:
        raise Refused(Code.STRUCTURE, path or "/", "a heap of an unknown kind")
    return Heap(count, width, smallest, largest, -(-bits // 8), root, rows)


def read_blocks(metadata: Metadata, heap: Heap, path: str) -> Iterator[bytes]:
    """What is in the blocks that hold the objects of `heap`, one after another."""
    places = _places(metadata, heap, heap.root, heap.rows, path) if heap.rows else [(heap.root, heap.smallest)]
    start = 13 + heap.offset_size + 4
    for address, size in places:
        data = metadata.peek(address, size, path)
        if data[:5] != b"FHDB\x00" or size < start:
            raise Refused(Code.STRUCTURE, path or "/", f"{data[:5]!r} where a block of a heap should begin")
        # the checksum stands before the objects, and is of the block with zeros in its own place
        blank = data[: start - 4] + bytes(4) + data[start:]
        metadata.keep(address, size, blank, data[start - 4 : start], path)
        yield data[start:]


def _places(metadata: Metadata, heap: Heap, address: int, rows: int, path: str) -> Iterator[tuple[int, int]]:
    """Addresses and sizes of the blocks that a table lists: those of a row are twice as large as those before.

    The blocks of rows beyond the largest size are tables themselves.
    """
    if rows > _MOST_ROWS:
        raise Refused(Code.STRUCTURE, path or "/", f"a heap of {rows} rows")
    count = rows * heap.width
    data = metadata.block(address, 13 + heap.offset_size + 8 * count + 4, b"FHIB\x00", path)
    for index, child in enumerate(struct.unpack_from(f"<{count}Q", data, 13 + heap.offset_size)):
        size = heap.smallest << max(index // heap.width - 1, 0)
        if child == UNDEFINED:
            continue
        if size <= heap.largest:
            yield child, size
        else:
            inner = (size // (heap.smallest * heap.width)).bit_length()
            if inner >= rows:
                raise Refused(Code.STRUCTURE, path or "/", "a heap whose tables do not get smaller")
            yield from _places(metadata, heap, child, inner, path)
