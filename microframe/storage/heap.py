"""The fractal heap of HDF5, in which the links of a group lie that has more than a few."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from microframe.storage.btree import ID_SIZE
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
    id_size, filters, flags = struct.unpack_from("<HHB", head, 5)
    (free_space,) = struct.unpack_from("<Q", head, 38)
    count, *elsewhere = struct.unpack_from("<5Q", head, 70)
    width, smallest, largest, bits, _, root, rows = struct.unpack_from("<HQQHHQH", head, 110)
    is_plain = flags == _CHECKED and not filters and not any(elsewhere) and id_size == ID_SIZE
    if not is_plain or not 0 < smallest <= largest <= LARGEST_BLOCK or not 0 < width <= 64 or not 8 <= bits <= 40:
        raise Refused(Code.STRUCTURE, path or "/", "a heap of an unknown kind")
    if free_space != UNDEFINED:
        _keep_free_space(metadata, free_space, path)
    return Heap(count, width, smallest, largest, -(-bits // 8), root, rows)


def _keep_free_space(metadata: Metadata, address: int, path: str) -> None:
    """Own the blocks that tell the library where in a heap it could put more links; no reader needs them."""
    head = metadata.block(address, 82, b"FSHD\x00\x00", path)
    sections, used, allocated = struct.unpack_from("<3Q", head, 54)
    if sections == UNDEFINED:
        return
    data = metadata.peek(sections, allocated, path)
    if not data.startswith(b"FSSE\x00" + address.to_bytes(8, "little")) or not 17 <= used <= allocated:
        raise Refused(Code.STRUCTURE, path or "/", "a list of free space that is none")
    if any(data[used:]):
        raise Refused(Code.HIDDEN_BYTES, path or "/", "something behind a list of free space")
    metadata.keep(sections, allocated, data[: used - 4], data[used - 4 : used], path)


def read_blocks(metadata: Metadata, heap: Heap, path: str) -> Iterator[tuple[bytes, int, int]]:
    """The blocks that hold the objects of `heap`: each with where its objects begin, and where it lies in the heap."""
    places = _places(metadata, heap, heap.root, heap.rows, 0, path) if heap.rows else [(heap.root, heap.smallest, 0)]
    start = 13 + heap.offset_size + 4
    for address, size, offset in places:
        data = metadata.peek(address, size, path)
        if data[:5] != b"FHDB\x00" or size < start:
            raise Refused(Code.STRUCTURE, path or "/", f"{data[:5]!r} where a block of a heap should begin")
        # the checksum stands before the objects, and is of the block with zeros in its own place
        blank = data[: start - 4] + bytes(4) + data[start:]
        metadata.keep(address, size, blank, data[start - 4 : start], path)
        yield data, start, offset


def _places(
    metadata: Metadata, heap: Heap, address: int, rows: int, offset: int, path: str
) -> Iterator[tuple[int, int, int]]:
    """Addresses, sizes and offsets in the heap of the blocks that a table lists.

    The blocks of a row are twice as large as those of the row before, but for the second, whose blocks are as large as
    those of the first. The blocks of rows beyond the largest size are tables themselves.
    """
    if rows > _MOST_ROWS:
        raise Refused(Code.STRUCTURE, path or "/", f"a heap of {rows} rows")
    count = rows * heap.width
    data = metadata.block(address, 13 + heap.offset_size + 8 * count + 4, b"FHIB\x00", path)
    for index, child in enumerate(struct.unpack_from(f"<{count}Q", data, 13 + heap.offset_size)):
        size = heap.smallest << max(index // heap.width - 1, 0)
        begin, offset = offset, offset + size
        if child == UNDEFINED:
            continue
        if size <= heap.largest:
            yield child, size, begin
        else:
            inner = (size // (heap.smallest * heap.width)).bit_length()
            if inner >= rows:
                raise Refused(Code.STRUCTURE, path or "/", "a heap whose tables do not get smaller")
            yield from _places(metadata, heap, child, inner, begin, path)
