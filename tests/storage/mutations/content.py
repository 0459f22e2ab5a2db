"""Mutations of the content: of the manifest, of tensors and where they lie, and of bytes whatever they mean."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

import numpy as np
from manifests import mutate_text, mutate_values
from mutant import Case, Mutant, encode

READ = ("weights/", "records/", "splits/")
"""The tensors that are read whenever a model is loaded."""


def mutate_manifest(mutant: Mutant) -> Case:
    """The manifest says something else."""
    values = copy.deepcopy(mutant.base.manifest)
    for _ in range(mutant.rng.choice((1, 1, 1, 2, 4))):
        values = mutate_values(values, mutant.rng)
    text, digest = encode(values), mutant.rng.random() < 0.95
    mutant.set_manifest(text, digest=digest)
    return mutant.finish("manifest", manifest=values, is_refused=not digest and text != mutant.base.text)


def rewrite_manifest(mutant: Mutant) -> Case:
    """The manifest is another text, which is seldom canonical JSON."""
    text = mutate_text(mutant.base.text, mutant.rng)
    mutant.set_manifest(text)
    try:
        values = json.loads(text)
        is_canonical = encode(values) == text
    except (ValueError, RecursionError):
        values, is_canonical = None, False
    return mutant.finish("manifest text", manifest=values, is_refused=not is_canonical)


def mutate_tensors(mutant: Mutant) -> Case:
    """Tensors have other content, with their digests computed anew more often than not."""
    rng, contents, is_refused = mutant.rng, {}, False
    for path in rng.sample(_paths(mutant), rng.choice((1, 1, 2))):
        content = bytearray(mutant.base.content(path))
        start = rng.randrange(len(content) // 4 + 1) * 4
        piece = rng.choice((bytes(4), b"\0\0\xc0\x7f", b"\0\0\x80\xff", b"\xff" * 8, rng.randbytes(4)))
        content[start : start + len(piece)] = piece[: len(content) - start]
        contents[path] = bytes(content)
        is_refused |= _is_refused(mutant, path, contents[path])
        mutant.set_content(path, contents[path])
    if rng.random() < 0.3:
        # what only training needs is read, and refused, when the checkpoint is asked for
        is_read = any(
            path.startswith(READ) and content != mutant.base.content(path) for path, content in contents.items()
        )
        return mutant.finish("tensor", 1.0, is_refused_if_checked=is_read)
    manifest = _redigested(mutant, contents)
    return mutant.finish(
        "tensor and digest", 1.0, manifest=manifest, tensors=contents, is_refused_if_checked=is_refused
    )


def _is_refused(mutant: Mutant, path: str, content: bytes) -> bool:
    """Whether this content of a weight has to be refused, as it isn't finite."""
    values = np.frombuffer(content, mutant.base.manifest["tensors"][path]["dtype"])
    return path.startswith("weights/") and not np.isfinite(values).all()


def _redigested(mutant: Mutant, contents: dict[str, bytes]) -> dict[str, Any]:
    manifest: dict[str, Any] = copy.deepcopy(mutant.base.manifest)
    for path, content in contents.items():
        manifest["tensors"][path]["sha256"] = hashlib.sha256(content).hexdigest()
    mutant.set_manifest(encode(manifest))
    return manifest


def _paths(mutant: Mutant) -> list[str]:
    return [path for path in mutant.base.datasets if path != "manifest"]


def place_tensors(mutant: Mutant) -> Case:
    """Tensors change places, or lie over each other or over metadata, or somewhere else in the file."""
    rng = mutant.rng
    one, other = rng.sample(_paths(mutant), 2)
    place, target = mutant.base.datasets[one], mutant.base.datasets[other]
    offsets = (
        target.offset,
        target.offset,
        rng.choice(mutant.base.layout.blocks).start,
        rng.randrange(len(mutant.data) // 64 + 1) * 64,
        target.offset + rng.choice((1, 4, 32)),
    )
    operation = rng.randrange(5)
    mutant.put(place.layout, offsets[operation], 8, mutant.base.header(one))
    if operation == 0:
        mutant.put(target.layout, place.offset, 8, mutant.base.header(other))
    is_refused = _is_misplaced(mutant)
    if rng.random() < 0.3:
        return mutant.finish("place", is_refused=is_refused)
    contents = {}
    for path in (one, other):
        start = mutant.number(mutant.base.datasets[path].layout, 8)
        contents[path] = bytes(mutant.data[start : start + mutant.base.datasets[path].size])
    manifest = _redigested(mutant, contents)
    return mutant.finish("place and digest", manifest=manifest, tensors=contents, is_refused=is_refused)


def _is_misplaced(mutant: Mutant) -> bool:
    """Whether datasets lie over each other or over metadata, beyond the end, or where none may begin."""
    blocks = mutant.base.layout.blocks
    starts = [mutant.number(data.layout, 8) for data in mutant.base.datasets.values()]
    places = list(zip(starts, (data.size for data in mutant.base.datasets.values()), strict=True))
    if any(start % 64 or start + size > len(mutant.base.data) for start, size in places):
        return True
    end = 0
    for start, size in sorted(places + [(block.start, block.size) for block in blocks]):
        if start < end:
            return True
        end = start + size
    return False


def truncate(mutant: Mutant) -> Case:
    """The file ends early: where something begins or ends, or a byte before or after that."""
    edge = mutant.rng.choice(mutant.base.layout.boundaries()[:-1])
    size = min(max(edge + mutant.rng.choice((-1, 0, 0, 1)), 0), len(mutant.data) - 1)
    mutant.data = mutant.data[:size]
    says_so = mutant.rng.random() < 0.7
    if says_so:
        mutant.end_here()
    last = max(data.offset + data.size for data in mutant.base.datasets.values())
    return mutant.finish("truncated", is_refused=not says_so or size < last)


def lengthen(mutant: Mutant) -> Case:
    """There is something before, behind or in the middle of the file."""
    more = mutant.rng.randbytes(mutant.rng.choice((1, 8, 64, 512, 1024)))
    where = mutant.rng.choice((0, len(mutant.data), mutant.rng.choice(mutant.base.layout.boundaries())))
    mutant.data[where:where] = more
    says_so = mutant.rng.random() < 0.7
    if says_so and where:
        mutant.end_here()
    return mutant.finish("longer", is_refused=not (says_so and where))


def mutate_bytes(mutant: Mutant) -> Case:
    """Some bits or bytes anywhere are others; checksums are computed anew or not."""
    rng = mutant.rng
    is_among_metadata = rng.random() < 0.7
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        block = rng.choice(mutant.base.layout.blocks)
        at = block.start + rng.randrange(block.size) if is_among_metadata else rng.randrange(len(mutant.data))
        mutant.data[at] = rng.choice((mutant.data[at] ^ (1 << rng.randrange(8)), rng.randrange(256), 0, 255))
        mutant.touched.append(block)
    return mutant.finish("bytes", 0.7 if is_among_metadata else 0.0)


def mutate_chunks(mutant: Mutant) -> Case:
    """Pieces of 64 bytes are copied, blanked or change places."""
    rng, count = mutant.rng, len(mutant.data) // 64
    one, other = (64 * rng.randrange(count) for _ in range(2))
    size = 64 * rng.choice((1, 1, 4, 16))
    piece, instead = bytes(mutant.data[one : one + size]), bytes(mutant.data[other : other + size])
    mutant.data[one : one + size] = rng.choice((instead, bytes(len(piece)), rng.randbytes(len(piece))))
    if rng.random() < 0.5:
        mutant.data[other : other + len(piece)] = piece
    mutant.data = mutant.data[: len(mutant.base.data)].ljust(len(mutant.base.data), b"\0")
    mutant.touched = list(mutant.base.layout.blocks)
    return mutant.finish("chunks", rng.choice((0.0, 1.0)))
