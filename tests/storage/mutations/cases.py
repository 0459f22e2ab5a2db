"""All mutations; each file that they make is told by a number and nothing else.

A mutation of one thing is made with what depends on it computed anew, most of the time: the checksums of metadata, the
digests of tensors and of the manifest, the end of the file. So it is the check that is meant for it which has to refuse
it, and not the first digest on the way.
"""

from __future__ import annotations

import random

import content
import structure
from mutant import Base, Case, Mutant

KINDS = {
    structure.mutate_fields: 8,
    structure.swap_fields: 3,
    structure.mutate_messages: 4,
    structure.mutate_links: 3,
    structure.rewrite_header: 5,
    structure.move_blocks: 3,
    content.mutate_manifest: 10,
    content.rewrite_manifest: 4,
    content.mutate_tensors: 3,
    content.place_tensors: 4,
    content.truncate: 3,
    content.lengthen: 1,
    content.mutate_bytes: 5,
    content.mutate_chunks: 1,
}
"""How often each is made, relative to the others."""


def make_case(bases: list[Base], seed: int, number: int) -> tuple[int, Case]:
    """The position of a valid file, and the mutated one of this number that was made from it."""
    rng = random.Random(f"{seed}:{number}")
    which = rng.randrange(len(bases))
    (mutate,) = rng.choices(list(KINDS), list(KINDS.values()))
    return which, mutate(Mutant(bases[which], rng))
