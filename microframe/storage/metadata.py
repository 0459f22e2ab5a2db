"""The blocks of metadata in an HDF5 file, so read that no file can make anybody read much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from microframe.storage.checksum import first_mismatch
from microframe.storage.codes import Code, Refused

UNDEFINED = 2**64 - 1
"""The address of what isn't there."""
LARGEST_BLOCK = 2**16
"""Bytes that one block may have; the library makes none that are larger."""
MOST_METADATA = 2**26
"""Bytes that all blocks of a file may have together: those of some hundred thousand tensors."""


class Metadata:
    """The metadata of one file, block by block.

    Each byte belongs to one block, and each block ends in its checksum. Both are checked at the end, for all blocks
    together, as a check for each takes ten times as long.

    Args:
        read: ``read(offset, size)`` gives up to so many bytes of the file from there.
        size: the size of the file.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self.size = size
        self._read = read
        self._left = min(size, MOST_METADATA)
        self._blocks: list[tuple[bytes, int]] = []
        self._paths: list[str] = []
        self._spans: list[tuple[int, int, str]] = []

    def peek(self, address: int, size: int, path: str) -> bytes:
        """Bytes of a block whose size they tell."""
        if size > LARGEST_BLOCK:
            raise Refused(Code.STRUCTURE, path or "/", f"a block of {size} bytes")
        data = self._read(address, size) if address + size <= self.size else b""
        if len(data) != size:
            raise Refused(Code.TRUNCATED, path or "/", f"{size} bytes at {address} of a file of {self.size}")
        return data

    def block(self, address: int, size: int, signature: bytes, path: str) -> bytes:
        """A whole block, which begins with `signature`, up to its checksum."""
        data = self.peek(address, size, path)
        if not data.startswith(signature):
            raise Refused(Code.STRUCTURE, path or "/", f"{data[: len(signature)]!r} where {signature!r} should stand")
        self.keep(address, size, data[:-4], data[-4:], path)
        return data[:-4]

    def keep(self, address: int, size: int, data: bytes, checksum: bytes, path: str) -> None:
        """Keep a block to be checked at the end; `data` is what its checksum is of."""
        self._left -= size
        if self._left < 0:
            raise Refused(Code.STRUCTURE, path or "/", "more metadata than the file has place for, or any model needs")
        self.expect(data, int.from_bytes(checksum, "little"), path)
        self._spans.append((address, address + size, path or "/"))

    def expect(self, data: bytes, checksum: int, path: str) -> None:
        """Have it checked at the end that `data` has this checksum."""
        self._blocks.append((data, checksum))
        self._paths.append(path or "/")

    def check(self, others: Iterable[tuple[int, int, str]]) -> None:
        """Check all checksums, and that no two blocks share bytes, nor one and `others`: (begin, end, path) each."""
        wrong = first_mismatch(self._blocks)
        if wrong is not None:
            raise Refused(Code.CHECKSUM, self._paths[wrong], "metadata that do not match their checksum")
        last, before = 0, ""
        for begin, end, path in sorted([*self._spans, *others]):
            if begin < last:
                raise Refused(Code.OVERLAP, path, f"bytes that are also of {before}")
            last, before = end, path

    def gaps(self, others: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
        """Where bytes are of no block, nor of `others`: begin, end, and the path of what comes next."""
        last = 0
        for begin, end, path in sorted([*self._spans, *others, (self.size, self.size, "the end of the file")]):
            if begin > last:
                yield last, begin, path
            last = end
