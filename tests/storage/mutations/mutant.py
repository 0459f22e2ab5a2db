"""A file on the way from a valid one to a mutated one, and what must hold of what comes out."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Any

from blank import blank
from blocks import Block, Blocks, fix_checksums


@dataclass
class Case:
    """A mutated file, and what must hold if it is loaded all the same.

    Attributes:
        kind: of the mutation.
        data: the file.
        manifest: what it says, where that is not what the valid file says and the digest is that of this text.
        tensors: the content of those tensors that have other content than in the valid file, with digests to match.
        is_refused: whether it must not be loaded.
        is_refused_if_checked: whether it must not be, unless nobody asked for tensors to be checked.
    """

    kind: str
    data: bytes
    manifest: dict[str, Any] | None = None
    tensors: dict[str, bytes] | None = None
    is_refused: bool = False
    is_refused_if_checked: bool = False


class Base:
    """A valid file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.layout = Blocks(data)
        self.datasets = self.layout.datasets
        self.text = self.content("manifest")
        self.manifest = json.loads(self.text)
        self.fields: dict[str, list[tuple[int, int, Block]]] = {}
        for block in self.layout.blocks:
            for field in block.fields:
                self.fields.setdefault(field.name, []).append((field.start, field.width, block))

    def content(self, path: str) -> bytes:
        place = self.datasets[path]
        return self.data[place.offset : place.offset + place.size]

    def header(self, path: str) -> Block:
        return next(block for block in self.layout.blocks if block.kind == "header" and block.path == path)


class Mutant:
    """A copy of a valid file, to be changed."""

    def __init__(self, base: Base, rng: random.Random) -> None:
        self.base, self.rng = base, rng
        self.data = bytearray(base.data)
        self.touched: list[Block] = []

    def number(self, start: int, width: int) -> int:
        return int.from_bytes(self.data[start : start + width], "little")

    def put(self, start: int, value: int | bytes, width: int, block: Block) -> None:
        """Write a value of `width` bytes into `block`."""
        if isinstance(value, int):
            value = (value % 256**width).to_bytes(width, "little")
        self.data[start : start + width] = value[:width].ljust(width, b"\0")
        self.touched.append(block)

    def append(self, content: bytes) -> int:
        """Add content behind the end, where a dataset may begin; gives its place."""
        self.data += bytes(-len(self.data) % 64)
        start = len(self.data)
        self.data += content
        self.end_here()
        return start

    def end_here(self) -> None:
        """Let the superblock say that the file ends where it does."""
        if len(self.data) >= 48:
            self.put(28, len(self.data), 8, self.base.layout.blocks[0])

    def set_content(self, path: str, content: bytes) -> None:
        """Give a dataset of one axis, or one of the same size, other content."""
        place, header = self.base.datasets[path], self.base.header(path)
        offset = place.offset if len(content) <= place.size else self.append(content)
        self.data[offset : offset + len(content)] = content
        if len(content) != place.size:
            for start in place.extents:
                self.put(start, len(content), 8, header)
            self.put(place.layout, offset, 8, header)
            self.put(place.layout + 8, len(content), 8, header)

    def set_manifest(self, text: bytes, *, digest: bool = True) -> None:
        """Give the file another manifest, with the digest that belongs to it or without."""
        self.set_content("manifest", text)
        if digest:
            field = self.base.layout.attribute("manifest_sha256")
            blocks = self.base.layout.blocks
            block = next(block for block in blocks if block.start <= field.start < block.start + block.size)
            self.put(field.start, hashlib.sha256(text).hexdigest().encode(), field.width, block)

    def finish(self, kind: str, checksums: float = 0.95, **expected: Any) -> Case:
        """The case; its checksums are right with the likelihood of `checksums`, or else it has to be refused."""
        if self.rng.random() < checksums:
            fix_checksums(self.data, self.touched)
            if self.rng.random() < 0.9:
                blank(self.data)
        elif any(self._is_changed(block) for block in self.touched):
            expected["is_refused"] = True
        return Case(kind, bytes(self.data), **expected)

    def _is_changed(self, block: Block) -> bool:
        span = slice(block.start, block.start + block.size)
        return self.data[span] != self.base.data[span]


def encode(values: Any) -> bytes:
    """Canonical JSON."""
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
