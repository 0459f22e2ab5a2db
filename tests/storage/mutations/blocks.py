"""Where everything stands in a valid model file, so that it can be changed on purpose.

Independent of the reader that is under test: this one trusts the file, and follows all that the library wrote.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

UNDEFINED = 2**64 - 1
MASK = 2**32 - 1
MESSAGES = {
    1: "dataspace",
    2: "link_info",
    3: "datatype",
    5: "fill_value",
    6: "link",
    8: "layout",
    10: "group_info",
    12: "attribute",
    16: "continuation",
    21: "attribute_info",
}
HEAP = (
    ("version", 4, 1),
    ("id_size", 5, 2),
    ("filters", 7, 2),
    ("flags", 9, 1),
    ("largest_object", 10, 4),
    ("next_huge", 14, 8),
    ("huge_tree", 22, 8),
    ("free", 30, 8),
    ("free_manager", 38, 8),
    ("managed", 46, 8),
    ("allocated", 54, 8),
    ("iterator", 62, 8),
    ("objects", 70, 8),
    ("huge_size", 78, 8),
    ("huge_count", 86, 8),
    ("tiny_size", 94, 8),
    ("tiny_count", 102, 8),
    ("width", 110, 2),
    ("smallest", 112, 8),
    ("largest", 120, 8),
    ("bits", 128, 2),
    ("first_rows", 130, 2),
    ("root", 132, 8),
    ("rows", 140, 2),
)


@dataclass(frozen=True)
class Field:
    """A number or a text in a block: where it stands in the file, and how many bytes it takes."""

    name: str
    start: int
    width: int


@dataclass
class Block:
    """A piece of metadata with its checksum, which stands at its end unless it is a block of a heap."""

    kind: str
    start: int
    size: int
    path: str
    fields: list[Field] = field(default_factory=list)
    checksum: int = 0

    def __post_init__(self) -> None:
        self.checksum = self.checksum or self.start + self.size - 4


@dataclass(frozen=True)
class Message:
    """A message of an object header; `start` is that of its own header of four bytes."""

    kind: int
    start: int
    body: int
    size: int
    path: str
    block: Block


@dataclass(frozen=True)
class Data:
    """A dataset: the bytes it has, and where its header says so: its extents, once or twice, and its place."""

    offset: int
    size: int
    extents: tuple[int, ...]
    layout: int


class Blocks:
    """The blocks, the messages and the datasets of a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.blocks: list[Block] = []
        self.messages: list[Message] = []
        self.datasets: dict[str, Data] = {}
        names = ("signature", 0, 8), ("version", 8, 1), ("offset_size", 9, 1), ("length_size", 10, 1), ("flags", 11, 1)
        more = ("base", 12, 8), ("extension", 20, 8), ("end", 28, 8), ("root", 36, 8)
        self._add("superblock", 0, 48, "", (*names, *more))
        self._object(self.number(36, 8), "")

    def number(self, start: int, width: int) -> int:
        return int.from_bytes(self.data[start : start + width], "little")

    def boundaries(self) -> list[int]:
        """Where blocks and datasets begin and end."""
        spans = [(block.start, block.size) for block in self.blocks]
        spans += [(data.offset, data.size) for data in self.datasets.values()]
        return sorted({edge for start, size in spans for edge in (start, start + size)})

    def _add(self, kind: str, start: int, size: int, path: str, names: tuple[tuple[str, int, int], ...]) -> Block:
        fields = [Field(f"{kind}.{name}", start + at, width) for name, at, width in names]
        self.blocks.append(Block(kind, start, size, path, fields))
        return self.blocks[-1]

    def _object(self, start: int, path: str) -> None:
        flags = self.data[start + 5]
        at = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = self.number(at, width)
        names = ("signature", 0, 4), ("version", 4, 1), ("flags", 5, 1), ("size", at - start, width)
        block = self._add("header", start, at - start + width + size + 4, path, names)
        first = len(self.messages)
        self._messages(block, at + width, at + width + size, 6 if flags & 4 else 4)
        own = {message.kind: message for message in self.messages[first:] if message.path == path}
        if 8 in own:
            layout = own[8].body + 2
            where = self.number(layout, 8), self.number(layout + 8, 8)
            if where[1]:
                space = own[1].body
                most = (space + 4 + 8 * self.data[space + 1],) if self.data[space + 2] else ()
                self.datasets[path] = Data(*where, (space + 4, *most), layout)

    def _messages(self, block: Block, at: int, end: int, head: int) -> None:
        while at + head <= end:
            kind, size = self.data[at], self.number(at + 1, 2)
            message = Message(kind, at, at + head, size, block.path, block)
            name = MESSAGES.get(kind, "other")
            block.fields += [
                Field(f"{name}.kind", at, 1),
                Field(f"{name}.size", at + 1, 2),
                Field(f"{name}.on", at + 3, 1),
            ]
            if kind:
                self.messages.append(message)
                block.fields += [Field(f"{name}.{field}", *place) for field, *place in self._fields(message)]
                self._follow(message)
            at += head + size

    def _fields(self, message: Message) -> list[tuple[str, int, int]]:
        """The parts of a message's body: name, start and width."""
        body, data = message.body, self.data
        parts = [("version", body, 1), ("flags", body + 1, 1)]
        match MESSAGES.get(message.kind):
            case "dataspace":
                axes = [("axis", at, 8) for at in range(body + 4, body + message.size - 7, 8)]
                return [
                    ("version", body, 1),
                    ("rank", body + 1, 1),
                    ("flags", body + 2, 1),
                    ("type", body + 3, 1),
                    *axes,
                ]
            case "link_info" | "attribute_info":
                at = body + 2 + (8 if data[body + 1] & 1 and message.kind == 2 else 0)
                at += 2 if data[body + 1] & 1 and message.kind == 21 else 0
                return [*parts, ("heap", at, 8), ("tree", at + 8, 8)]
            case "datatype":
                rest = [("property", at, 1) for at in range(body + 8, body + message.size)]
                return [("class", body, 1), ("bits", body + 1, 3), ("size", body + 4, 4), *rest]
            case "link":
                at, name, size = self._link(body)
                return [*parts, ("name_size", at, name - at), ("name", name, size), ("address", name + size, 8)]
            case "layout":
                return [("version", body, 1), ("class", body + 1, 1), ("address", body + 2, 8), ("size", body + 10, 8)]
            case "attribute":
                return self._attribute(body, message.size)
            case "continuation":
                return [("address", body, 8), ("size", body + 8, 8)]
        return [*parts, ("rest", body + 2, message.size - 2)] if message.size > 2 else parts[: message.size]

    def _link(self, at: int) -> tuple[int, int, int]:
        """Of a link: where the size of its name stands, where the name does, and its size."""
        flags = self.data[at + 1]
        at += 2 + (1 if flags & 8 else 0) + (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
        width = 1 << (flags & 3)
        return at, at + width, self.number(at, width)

    def _attribute(self, body: int, size: int) -> list[tuple[str, int, int]]:
        sizes = struct.unpack_from("<3H", self.data, body + 2)
        parts = [("version", body, 1), ("flags", body + 1, 1), ("name_size", body + 2, 2), ("type_size", body + 4, 2)]
        parts += [("space_size", body + 6, 2), ("encoding", body + 8, 1)]
        at = body + 9
        for name, width in zip(("name", "type", "space"), sizes, strict=True):
            parts.append((name, at, width))
            at += width
        return [*parts, ("class", body + 9 + sizes[0], 1), ("value", at, body + size - at)]

    def attribute(self, name: str) -> Field:
        """The value of the root's attribute `name`."""
        for message in self.messages:
            if message.kind == 12:
                parts = {part: (at, width) for part, at, width in self._attribute(message.body, message.size)}
                at, width = parts["name"]
                if self.data[at : at + width].rstrip(b"\0") == name.encode():
                    return Field(name, *parts["value"])
        raise LookupError(name)

    def _follow(self, message: Message) -> None:
        parts = {name: (at, width) for name, at, width in self._fields(message)}
        path = message.path
        if message.kind == 6:
            self._child(message.body, path)
        elif message.kind == 16:
            start, size = self.number(message.body, 8), self.number(message.body + 8, 8)
            block = self._add("continuation", start, size, path, (("signature", 0, 4),))
            self._messages(block, start + 4, start + size - 4, message.body - message.start)
        elif message.kind == 2 and self.number(*parts["heap"]) != UNDEFINED:
            self._heap(self.number(*parts["heap"]), path)
            self._tree(self.number(*parts["tree"]), path)

    def _child(self, at: int, path: str) -> int:
        _, name, size = self._link(at)
        text = self.data[name : name + size].decode()
        self._object(self.number(name + size, 8), f"{path}/{text}" if path else text)
        return name + size + 8

    def _tree(self, start: int, path: str) -> None:
        names = (("version", 4, 1), ("type", 5, 1), ("node", 6, 4), ("record", 10, 2), ("depth", 12, 2))
        self._add("tree", start, 38, path, (*names, ("root", 16, 8), ("records", 24, 2), ("all", 26, 8)))
        size, depth = self.number(start + 6, 4), self.number(start + 12, 2)
        assert depth < 2, "of a group with hundreds of links, which no test mutates"
        self._node(self.number(start + 16, 8), self.number(start + 24, 2), size, depth, path)

    def _node(self, start: int, count: int, size: int, depth: int, path: str) -> None:
        records = [("name", 6 + 11 * index, 4) for index in range(count)]
        records += [("place", 10 + 11 * index, 7) for index in range(count)]
        children = [6 + 11 * count + 9 * index for index in range(count + 1 if depth else 0)]
        pointers = [("child", at, 8) for at in children] + [("count", at + 8, 1) for at in children]
        block = self._add("node", start, size, path, (("version", 4, 1), ("type", 5, 1), *records, *pointers))
        block.checksum = start + 6 + 11 * count + 9 * len(children)
        for at in children:
            self._node(self.number(start + at, 8), self.number(start + at + 8, 1), size, depth - 1, path)

    def _heap(self, start: int, path: str) -> None:
        self._add("heap", start, 146, path, HEAP)
        free = self.number(start + 38, 8)
        if free != UNDEFINED:
            self._add("free", free, 82, path, (("sections", 54, 8), ("used", 62, 8), ("allocated", 70, 8)))
            used, size = self.number(free + 62, 8), self.number(free + 70, 8)
            block = self._add("sections", self.number(free + 54, 8), size, path, (("manager", 5, 8),))
            block.checksum = block.start + used - 4
        at = {name: self.number(start + place, width) for name, place, width in HEAP}
        offset = -(-at["bits"] // 8)
        places = [(at["root"], at["smallest"])]
        if at["rows"]:
            count, table = at["rows"] * at["width"], at["root"]
            children = tuple(("child", 13 + offset + 8 * index, 8) for index in range(count))
            names = (("version", 4, 1), ("header", 5, 8), ("offset", 13, offset), *children)
            self._add("heap_table", table, 13 + offset + 8 * count + 4, path, names)
            found = [self.number(table + 13 + offset + 8 * index, 8) for index in range(count)]
            sizes = [at["smallest"] << max(index // at["width"] - 1, 0) for index in range(count)]
            places = [place for place in zip(found, sizes, strict=True) if place[0] != UNDEFINED]
        for address, size in places:
            names = (("version", 4, 1), ("header", 5, 8), ("offset", 13, offset))
            block = self._add("heap_block", address, size, path, names)
            block.checksum = address + 13 + offset
            begin = address + 17 + offset
            while begin < address + size and self.data[begin] == 1:
                size_at, name, length = self._link(begin)
                block.fields += [Field("stored_link.flags", begin + 1, 1), Field("stored_link.name", name, length)]
                block.fields += [Field("stored_link.name_size", size_at, name - size_at)]
                block.fields += [Field("stored_link.address", name + length, 8)]
                begin = self._child(begin, path)


def fix_checksums(data: bytearray, blocks: list[Block]) -> None:
    """Compute the checksums of `blocks` anew, as far as they still lie in the file."""
    for block in blocks:
        content = bytearray(data[block.start : block.start + block.size])
        at = block.checksum - block.start
        if len(content) < block.size:
            continue
        if block.kind == "heap_block":  # where the checksum is in front
            content[at : at + 4] = bytes(4)
        else:
            content = content[:at]
        data[block.checksum : block.checksum + 4] = lookup3(bytes(content)).to_bytes(4, "little")


def lookup3(data: bytes) -> int:
    """Bob Jenkins' hash, byte for byte as his text of 2006 describes it."""
    a = b = c = (0xDEADBEEF + len(data)) & MASK
    words = struct.unpack(f"<{-(-len(data) // 12) * 3}I", data.ljust(-(-len(data) // 12) * 12, b"\0"))
    for at in range(0, len(words) - 3, 3):
        a, b, c = (a + words[at]) & MASK, (b + words[at + 1]) & MASK, (c + words[at + 2]) & MASK
        a = ((a - c) & MASK) ^ _turn(c, 4)
        c = (c + b) & MASK
        b = ((b - a) & MASK) ^ _turn(a, 6)
        a = (a + c) & MASK
        c = ((c - b) & MASK) ^ _turn(b, 8)
        b = (b + a) & MASK
        a = ((a - c) & MASK) ^ _turn(c, 16)
        c = (c + b) & MASK
        b = ((b - a) & MASK) ^ _turn(a, 19)
        a = (a + c) & MASK
        c = ((c - b) & MASK) ^ _turn(b, 4)
        b = (b + a) & MASK
    if words:
        a, b, c = (a + words[-3]) & MASK, (b + words[-2]) & MASK, (c + words[-1]) & MASK
        c = ((c ^ b) - _turn(b, 14)) & MASK
        a = ((a ^ c) - _turn(c, 11)) & MASK
        b = ((b ^ a) - _turn(a, 25)) & MASK
        c = ((c ^ b) - _turn(b, 16)) & MASK
        a = ((a ^ c) - _turn(c, 4)) & MASK
        b = ((b ^ a) - _turn(a, 14)) & MASK
        c = ((c ^ b) - _turn(b, 24)) & MASK
    return c


def _turn(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (32 - bits))) & MASK
