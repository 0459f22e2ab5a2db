"""The part of the HDF5 format that model files are made of, read without the HDF5 library.

That library trusts what it opens: a file can make it read other files, load shared libraries, loop for ever or crash.
This reader knows what `microframe.storage.writing` makes the library write, and refuses all else by a code. It takes
steps that are bounded by the size of the file, and follows nothing out of it. Names and numbers are those of the HDF5
File Format Specification, version 3.0 (The HDF Group).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from microframe.storage.btree import identifier, read_index
from microframe.storage.codes import Code, Refused
from microframe.storage.heap import read_blocks, read_heap
from microframe.storage.metadata import UNDEFINED, Metadata

ALIGNMENT = 64
"""Bytes: what the offset of each dataset is a multiple of."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""How HDF5 files begin."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
"""The names that groups and datasets may have."""
MOST_LEVELS = 8
"""How many names a path may have."""
MOST_AXES = 32
"""How many axes a dataset may have."""
MOST_OBJECTS = 2**18
"""How many groups and datasets, and parts of their headers, a file may have."""

_MOST_CONTINUATIONS = 1000
_MOST_ELEMENTS = 2**59

_NIL = 0
_DATASPACE, _LINK_INFO, _DATATYPE, _FILL_VALUE, _LINK, _EXTERNAL_FILES, _LAYOUT = 1, 2, 3, 5, 6, 7, 8
_GROUP_INFO, _FILTERS, _ATTRIBUTE, _CONTINUATION, _ATTRIBUTE_INFO, _LINK_COUNT = 10, 11, 12, 16, 21, 22

_PLAIN_GROUP = b"\x00\x00"
_NO_FILL_VALUE = b"\x03\x00"
_NO_MORE_ATTRIBUTES = b"\x00\x00" + b"\xff" * 16

_DTYPES = {
    bytes.fromhex("201f00040000000000200017080017 7f000000"): "<f4",
    bytes.fromhex("203f000800000000004000340b0034ff030000"): "<f8",
    bytes.fromhex("0000000100000000000800"): "|u1",
    bytes.fromhex("0800000800000000004000"): "<i8",
}
"""The NumPy dtype of each encoding of a type, less its first byte, which holds class and version."""
_ITEM_SIZES = {"<f4": 4, "<f8": 8, "|u1": 1, "<i8": 8}
_CLASS_CODES = {6: Code.COMPOUND, 7: Code.REFERENCE, 9: Code.VARIABLE_LENGTH}
_STRING = 3


@dataclass(frozen=True)
class Stored:
    """Where a dataset lies in the file, and what it is.

    Attributes:
        offset: of its first byte.
        size: its bytes.
        dtype: as NumPy writes it: ``"<f4"``, ``"<f8"``, ``"|u1"`` or ``"<i8"``.
        shape: its shape.
    """

    offset: int
    size: int
    dtype: str
    shape: tuple[int, ...]


class Structure:
    """Every dataset of a file, and the attributes of its root.

    Args:
        read: ``read(offset, size)`` gives up to so many bytes of the file from there.
        size: the size of the file.
        check: is called with the attributes before anything else is looked at, and may refuse the file for them.

    Attributes:
        datasets: by path, such as ``"weights/dense_1/kernel"``.
        groups: the paths of all groups but the root.
        attributes: the values of the root's attributes: texts and whole numbers.
        hidden: the paths of objects that have something where nothing should be.

    Raises:
        Refused: the file is anything but a model file's structure.
    """

    def __init__(
        self, read: Callable[[int, int], bytes], size: int, check: Callable[[dict[str, bytes | int]], None]
    ) -> None:
        self.datasets: dict[str, Stored] = {}
        self.groups: set[str] = set()
        self.attributes: dict[str, bytes | int] = {}
        self._metadata = Metadata(read, size)
        self._check = check
        self._seen: set[int] = set()
        self.hidden: list[str] = []
        root = self._read_superblock(read(0, 48))
        try:
            self._read_object(root, "", 0)
        except (struct.error, IndexError, ValueError) as error:
            raise Refused(Code.STRUCTURE, "/", f"metadata that end early ({error})") from error
        self._metadata.check(self._extents())

    def gaps(self) -> Iterator[tuple[int, int, str]]:
        """Where bytes are of nothing: begin, end, and the path of what comes next."""
        return self._metadata.gaps(self._extents())

    def _extents(self) -> Iterator[tuple[int, int, str]]:
        return ((each.offset, each.offset + each.size, f"/{path}") for path, each in self.datasets.items() if each.size)

    def _read_superblock(self, data: bytes) -> int:
        """The address of the root group."""
        if data[:8] != SIGNATURE:
            raise Refused(Code.NOT_HDF5, "the first bytes", repr(data[:8]) if data else "an empty file")
        if len(data) < 48:
            raise Refused(Code.TRUNCATED, "the superblock", f"{len(data)} bytes")
        version, offset_size, length_size, flags = data[8:12]
        base, extension, end, root = struct.unpack_from("<4Q", data, 12)
        if (version, offset_size, length_size) != (3, 8, 8):
            found = f"version {version}" if version != 3 else f"sizes {offset_size} and {length_size}"
            raise Refused(Code.SUPERBLOCK, "the superblock", f"{found}: an HDF5 file, but no model file")
        if flags or base or extension != UNDEFINED:
            raise Refused(Code.SUPERBLOCK, "the superblock", f"flags {flags}, base {base}, extension {extension:#x}")
        self._metadata.keep(0, 48, data[:-4], data[-4:], "the superblock")
        size = self._metadata.size
        if end > size:
            raise Refused(Code.TRUNCATED, "the superblock", f"{size} bytes of {end}")
        if end < size:
            raise Refused(Code.TRAILING_BYTES, "the superblock", f"{size} bytes where the data end at {end}")
        return int(root)

    def _read_object(self, address: int, path: str, level: int) -> None:
        if level > MOST_LEVELS:
            raise Refused(Code.TOO_DEEP, path, f"more than {MOST_LEVELS} groups in each other")
        if len(self._seen) > MOST_OBJECTS:
            raise Refused(Code.STRUCTURE, path, f"more than {MOST_OBJECTS} objects")
        messages = list(self._messages(address, path))
        if path[1:] in self.datasets or path[1:] in self.groups:
            raise Refused(Code.ALIAS, path, "two objects of one name")
        if any(kind in (_DATASPACE, _DATATYPE, _LAYOUT) for kind, _ in messages):
            self.datasets[path[1:]] = _read_dataset(messages, path, self._metadata.size)
        else:
            if path:
                self.groups.add(path[1:])
            else:
                self._read_attributes(messages)
            self._read_group(messages, path, level)

    def _messages(self, address: int, path: str) -> Iterator[tuple[int, bytes]]:
        """The messages of an object header of version 2, with those of its continuations, without the empty ones."""
        if address in self._seen:
            raise Refused(Code.ALIAS, path or "/", "an object that has another name, or contains itself")
        self._seen.add(address)
        flags = self._metadata.peek(address, 16, path)[5]
        start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        head = self._metadata.peek(address, start + width, path)
        size = int.from_bytes(head[start:], "little")
        data = self._metadata.block(address, start + width + size + 4, b"OHDR\x02", path)
        parts = [data[start + width :]]
        for count, part in enumerate(parts):
            for kind, message in _split(part, 2 if flags & 4 else 0, path):
                if kind == _NIL:
                    self.hidden.append(path or "/")
                elif kind == _CONTINUATION:
                    if count >= _MOST_CONTINUATIONS:
                        raise Refused(Code.STRUCTURE, path or "/", "a header in very many parts")
                    parts.append(self._continuation(message, path))
                else:
                    yield kind, message

    def _continuation(self, message: bytes, path: str) -> bytes:
        address, size = struct.unpack("<2Q", message)
        if address in self._seen:
            raise Refused(Code.STRUCTURE, path or "/", "a header that continues in itself")
        self._seen.add(address)
        return self._metadata.block(address, size, b"OCHK", path)[4:]

    def _read_attributes(self, messages: list[tuple[int, bytes]]) -> None:
        """Read the attributes of the root; of a layout that isn't known, nothing else is known either."""
        for kind, message in messages:
            if kind == _ATTRIBUTE_INFO:
                _check_attribute_info(message, "")
            if kind == _ATTRIBUTE:
                name, value = _read_attribute(message)
                if name in self.attributes:
                    raise Refused(Code.ATTRIBUTE, "/", f"two attributes {name!r}")
                self.attributes[name] = value
        try:
            self._check(self.attributes)
        except Refused:
            self._metadata.check(())  # what is damaged is not to be taken for what it says
            raise

    def _read_group(self, messages: list[tuple[int, bytes]], path: str, level: int) -> None:
        kinds = [kind for kind, _ in messages if kind not in (_LINK, _ATTRIBUTE)]
        if len(set(kinds)) < len(kinds):
            raise Refused(Code.STRUCTURE, path or "/", "a group that is described twice")
        for kind, message in messages:
            if kind == _LINK:
                end, _ = self._follow(message, 0, path, level)
                if end != len(message):
                    raise Refused(Code.STRUCTURE, path or "/", "a link with something behind it")
            elif kind == _LINK_INFO:
                self._read_link_info(message, path, level)
            elif kind == _ATTRIBUTE_INFO:
                _check_attribute_info(message, path)
            elif kind == _GROUP_INFO and message != _PLAIN_GROUP:
                raise Refused(Code.STRUCTURE, path or "/", "a group of an unknown kind")
            elif kind != _GROUP_INFO and (path or kind != _ATTRIBUTE):
                _refuse_message(kind, path)

    def _read_link_info(self, message: bytes, path: str, level: int) -> None:
        version, flags, heap_address, index_address = struct.unpack("<BBQQ", message)
        if version or flags:
            raise Refused(Code.STRUCTURE, path or "/", "links in the order of their creation")
        if heap_address == index_address == UNDEFINED:
            return
        heap = read_heap(self._metadata, heap_address, path)
        names = {}
        for block, start, offset in read_blocks(self._metadata, heap, path):
            at = start
            while at < len(block) and block[at] == 1:
                end, name = self._follow(block, at, path, level)
                names[identifier(offset + at, end - at, heap.offset_size)] = name
                at = end
            if block[at:].strip(b"\0"):
                self.hidden.append(path or "/")
        if len(names) != heap.objects:
            raise Refused(Code.STRUCTURE, path or "/", "fewer or more links than the group says")
        self._check_index(index_address, names, path)

    def _check_index(self, address: int, names: dict[bytes, bytes], path: str) -> None:
        """Check that looking for the names of a group's links leads to these links."""
        last = 0
        for record in read_index(self._metadata, address, len(names), path):
            name = names.pop(record.identifier, None)
            if name is None or record.checksum < last:
                raise Refused(Code.STRUCTURE, path or "/", "an index of other links than the group has")
            self._metadata.expect(name, record.checksum, path)
            last = record.checksum
        if names:
            raise Refused(Code.STRUCTURE, path or "/", "an index of fewer links than the group has")

    def _follow(self, data: bytes, at: int, path: str, level: int) -> tuple[int, bytes]:
        """Read the object that the link at `at` leads to; gives where the link ends, and the name."""
        version, flags = data[at : at + 2]
        at += 2
        if flags & 8:
            kind = data[at]
            if kind:
                codes = {1: Code.SOFT_LINK, 64: Code.EXTERNAL_LINK}
                raise Refused(codes.get(kind, Code.USER_LINK), path or "/", "a link that is not a hard one")
            at += 1
        at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        end = at + width + int.from_bytes(data[at : at + width], "little")
        name = data[at + width : end]
        text = _decoded(name)
        if version != 1 or not NAME.fullmatch(text):
            raise Refused(Code.NAME, path or "/", f"an object called {text[:80]!r}")
        child = f"{path}/{text}"
        (address,) = struct.unpack_from("<Q", data, end)
        self._read_object(address, child, level + 1)
        return end + 8, name


def groups_of(paths: Iterable[str]) -> set[str]:
    """The groups that lead to the datasets at `paths`."""
    parts = [path.split("/") for path in paths]
    return {"/".join(names[:length]) for names in parts for length in range(1, len(names))}


def _split(data: bytes, creation_order: int, path: str) -> Iterator[tuple[int, bytes]]:
    """The messages in a part of an object header, without empty ones.

    Those that are marked as empty and are not, and what is left at the end and too small for one, are of the kind NIL.
    """
    at = 0
    while at + 4 + creation_order <= len(data):
        kind, size, flags = struct.unpack_from("<BHB", data, at)
        at += 4 + creation_order
        if at + size > len(data) or flags & 2:
            raise Refused(Code.STRUCTURE, path or "/", "a message beyond its header, or elsewhere")
        if kind or data[at : at + size].strip(b"\0"):
            yield kind, data[at : at + size]
        at += size
    if data[at:].strip(b"\0"):
        yield _NIL, data[at:]


def _read_dataset(messages: list[tuple[int, bytes]], path: str, file_size: int) -> Stored:
    found = _describe_dataset(messages, path)
    dtype = _read_datatype(found[_DATATYPE], path)
    shape = _read_dataspace(found[_DATASPACE], path)
    offset, size = _read_layout(found[_LAYOUT], path)
    expected = math.prod(shape) * _ITEM_SIZES[dtype]
    if size != expected or (offset == UNDEFINED) != (size == 0):
        raise Refused(Code.STORAGE, path, f"{size} bytes stored for {expected}")
    if size == 0:
        return Stored(0, 0, dtype, shape)
    if offset + size > file_size:
        raise Refused(Code.TRUNCATED, path, f"{size} bytes at {offset} of a file of {file_size}")
    if offset % ALIGNMENT:
        raise Refused(Code.ALIGNMENT, path, f"the offset {offset}")
    return Stored(offset, size, dtype, shape)


def _describe_dataset(messages: list[tuple[int, bytes]], path: str) -> dict[int, bytes]:
    """The messages that describe a dataset, by kind."""
    found: dict[int, bytes] = {}
    for kind, message in messages:
        if kind == _ATTRIBUTE_INFO:
            _check_attribute_info(message, path)
        elif kind not in (_DATASPACE, _DATATYPE, _FILL_VALUE, _LAYOUT):
            _refuse_message(kind, path)
        elif kind in found:
            raise Refused(Code.STRUCTURE, path, "a dataset that is described twice")
        found[kind] = message
    if not {_DATASPACE, _DATATYPE, _LAYOUT} <= found.keys():
        raise Refused(Code.STRUCTURE, path, "a dataset without shape, type or place")
    fill = found.get(_FILL_VALUE, _NO_FILL_VALUE)
    if len(fill) != 2 or fill[0] != 3 or fill[1] & 0x20:
        raise Refused(Code.STRUCTURE, path, "a dataset with a fill value")
    return found


def _read_dataspace(data: bytes, path: str) -> tuple[int, ...]:
    version, rank, flags, kind = data[:4]
    if version != 2 or rank > MOST_AXES or kind != (1 if rank else 0):
        raise Refused(Code.SHAPE, path, f"a dataspace of version {version}, kind {kind} and {rank} axes")
    shape = struct.unpack_from(f"<{rank}Q", data, 4)
    if math.prod(max(extent, 1) for extent in shape) > _MOST_ELEMENTS:  # of which some axes may have none
        raise Refused(Code.SHAPE, path, f"the shape {shape}, which no memory has place for")
    if flags and struct.unpack_from(f"<{rank}Q", data, 4 + 8 * rank) != shape:
        raise Refused(Code.SHAPE, path, "a shape that may grow")
    return shape


def _read_datatype(data: bytes, path: str) -> str:
    kind = data[0] & 15
    dtype = _DTYPES.get(data[1:])
    if dtype is None or not 1 <= data[0] >> 4 <= 3 or kind != (1 if dtype[1] == "f" else 0):
        raise Refused(_CLASS_CODES.get(kind, Code.TYPE), path, f"a type of class {kind}, {data[:12].hex()}")
    return dtype


def _read_layout(data: bytes, path: str) -> tuple[int, int]:
    version, kind = data[:2]
    codes = {0: Code.COMPACT, 2: Code.CHUNKED, 3: Code.VIRTUAL}
    if kind in codes:
        raise Refused(codes[kind], path, "data that do not lie in one piece")
    if version not in (3, 4) or kind != 1 or len(data) != 18:
        raise Refused(Code.STRUCTURE, path, f"a layout of version {version} and class {kind}")
    offset, size = struct.unpack_from("<2Q", data, 2)
    return offset, size


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", errors="backslashreplace")


def _read_attribute(data: bytes) -> tuple[str, bytes | int]:
    """The name and the value of an attribute: a text of fixed length, or a whole number."""
    version, flags, name_size, type_size, space_size, _ = struct.unpack_from("<BBHHHB", data)
    name = _decoded(data[9 : 9 + name_size].rstrip(b"\0"))
    datatype = data[9 + name_size : 9 + name_size + type_size]
    start = 9 + name_size + type_size + space_size
    space = data[start - space_size : start]
    kind = datatype[0] & 15
    is_single = version == 3 and not flags and 1 <= datatype[0] >> 4 <= 3 and space[:4] == b"\x02\x00\x00\x00"
    if not is_single or not NAME.fullmatch(name):
        raise Refused(Code.ATTRIBUTE, "/", f"an attribute {name[:80]!r} that is no single value")
    if kind == _STRING:
        (size,) = struct.unpack_from("<I", datatype, 4)
        if start + size != len(data):
            raise Refused(Code.ATTRIBUTE, "/", f"an attribute {name!r} of another length than it says")
        return name, data[start:].rstrip(b"\0")
    if kind or _DTYPES.get(datatype[1:]) != "<i8" or start + 8 != len(data):
        raise Refused(_CLASS_CODES.get(kind, Code.ATTRIBUTE), "/", f"an attribute {name!r} of type class {kind}")
    return name, int.from_bytes(data[start:], "little", signed=True)


def _check_attribute_info(data: bytes, path: str) -> None:
    if data != _NO_MORE_ATTRIBUTES:
        raise Refused(Code.ATTRIBUTE, path or "/", "very many attributes, or their order")


def _refuse_message(kind: int, path: str) -> None:
    codes = {
        _EXTERNAL_FILES: Code.EXTERNAL_STORAGE,
        _FILTERS: Code.FILTER,
        _ATTRIBUTE: Code.ATTRIBUTE,
        _LINK_COUNT: Code.ALIAS,  # which only an object has that more than one link leads to
    }
    raise Refused(codes.get(kind, Code.STRUCTURE), path or "/", f"a message of kind {kind:#04x}")
