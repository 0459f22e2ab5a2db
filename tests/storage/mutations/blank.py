"""Makes a file that was changed in place what it would be if it had been written so."""

from __future__ import annotations

import struct

from microframe.storage import Refused
from microframe.storage.checksum import lookup3
from microframe.storage.hdf5 import Structure


def blank(data: bytearray) -> None:
    """Put zeros where the HDF5 library left what it no longer needs; a file that is refused before stays as it is."""
    try:
        structure = Structure(lambda offset, size: bytes(data[offset : offset + size]), len(data), lambda _: None)
    except Refused:
        return
    for begin, end, _ in structure.gaps():
        data[begin:end] = bytes(end - begin)
    if structure.hidden:
        for begin, end, _ in structure._metadata._spans:
            if data[begin : begin + 4] in (b"OHDR", b"OCHK"):
                _blank_messages(data, begin, end - 4)


def _blank_messages(data: bytearray, begin: int, end: int) -> None:
    """Blank the empty messages of a part of an object header, which ends in its checksum."""
    at = begin + 4
    if data[begin : begin + 4] == b"OHDR":
        flags = data[begin + 5]
        at = begin + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0) + (1 << (flags & 3))
    while at + 4 <= end:
        kind, size, _ = struct.unpack_from("<BHB", data, at)
        if not kind:
            data[at + 4 : at + 4 + size] = bytes(size)
        at += 4 + size
    data[at:end] = bytes(end - at)
    struct.pack_into("<I", data, end, int(lookup3([bytes(data[begin:end])])[0]))
