"""The checksum of HDF5's metadata: Bob Jenkins' lookup3 (2006), of many blocks at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microframe.arrays import Array

_MIXING = ((0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4))
"""Of each step: the word that changes, the one it is mixed with, the one that is then added to, the rotation."""
_FINISHING = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))
"""Of each step: the word that changes, the one it is mixed with, the rotation."""


def first_mismatch(blocks: Sequence[tuple[bytes, int]]) -> int | None:
    """The position of the first of (bytes, checksum) whose checksum is wrong, or None."""
    by_size: dict[int, list[int]] = {}
    for position, (data, _) in enumerate(blocks):
        # together with those of up to twice the length, so that neither the steps nor the zeros behind are many
        by_size.setdefault(len(data).bit_length(), []).append(position)
    wrong = []
    for positions in by_size.values():
        expected = np.array([blocks[position][1] for position in positions], np.uint32)
        mismatches = np.flatnonzero(lookup3([blocks[position][0] for position in positions]) != expected)
        wrong += [positions[index] for index in mismatches.tolist()]
    return min(wrong, default=None)


def lookup3(blocks: Sequence[bytes]) -> Array:
    """The checksums of `blocks`, none of which is empty: (count,) of uint32."""
    lengths = np.array([len(block) for block in blocks])
    order = np.argsort(-lengths, kind="stable")
    steps = -(-lengths[order] // 12)
    width = 12 * int(steps[0])
    words = np.frombuffer(b"".join([blocks[index].ljust(width, b"\0") for index in order]), "<u4")
    words = words.reshape(len(blocks), -1)
    state = [((0xDEADBEEF + lengths[order]) & 0xFFFFFFFF).astype(np.uint32) for _ in range(3)]
    for step in range(int(steps[0])):
        # the longest come first, so those that go on are always the first ones
        count, more = np.searchsorted(-steps, [-step, -step - 1])
        for index in range(3):
            state[index][:count] += words[:count, 3 * step + index]
        _mix([word[:more] for word in state])
    for changed, other, bits in _FINISHING:
        state[changed] = (state[changed] ^ state[other]) - _rotated(state[other], bits)
    checksums = np.empty(len(blocks), np.uint32)
    checksums[order] = state[2]
    return checksums


def _mix(state: list[Array]) -> None:
    """Mix the words, in place."""
    for changed, other, added, bits in _MIXING:
        state[changed] -= state[other]
        state[changed] ^= _rotated(state[other], bits)
        state[other] += state[added]


def _rotated(words: Array, bits: int) -> Array:
    return (words << np.uint32(bits)) | (words >> np.uint32(32 - bits))
