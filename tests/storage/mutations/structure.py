"""Mutations of the structure: of the numbers, the messages, the links and the blocks of the metadata."""

from __future__ import annotations

from blocks import MESSAGES, UNDEFINED, Block
from mutant import Case, Mutant

EXTRA_MESSAGES = (
    (6, b"\x01\x08\x01\x04soft\x02\x00/x"),
    (6, b"\x01\x08\x40\x03ext\x09\x00\x00a.h5\x00/x\x00"),
    (6, b"\x01\x00\x05again" + (48).to_bytes(8, "little")),
    (7, bytes(16)),
    (11, b"\x02\x01\x20\x7f\x00\x00\x00\x00"),
    (12, bytes.fromhex("030002000800040000610019010000100000000200000000000000000000000000000000000000")),
    (13, b"\x00\x00"),
    (18, bytes(8)),
    (2, b"\x00\x00" + UNDEFINED.to_bytes(8, "little") * 2),
    (1, b"\x02\x01\x01\x01" + bytes(8) + UNDEFINED.to_bytes(8, "little")),
    (200, b"unknown"),
)
"""Links of other kinds, storage in other files, filters, attributes of variable length, and the like."""
TELLING = {
    *(f"superblock.{name}" for name in ("signature", "version", "offset_size", "length_size", "flags", "base", "end")),
    *("superblock.extension", "header.signature", "header.version", "continuation.signature", "layout.class"),
    *("dataspace.version", "dataspace.rank", "dataspace.axis", "dataspace.type", "datatype.size", "datatype.bits"),
    *("layout.size", "link.version", "link.name", "stored_link.name", "attribute.name", "attribute.type_size"),
    *("tree.version", "tree.type", "tree.record", "tree.all", "node.version", "node.type", "node.name", "node.place"),
    *("heap.filters", "heap.flags", "heap.objects", "heap.huge_count", "heap.tiny_count"),
}
"""Fields of which there is one right value: any other has to be refused."""


def mutate_fields(mutant: Mutant) -> Case:
    """One to three numbers of the metadata become others."""
    names = []
    for _ in range(mutant.rng.choice((1, 1, 1, 2, 3))):
        names.append(mutant.rng.choice(list(mutant.base.fields)))
        start, width, block = mutant.rng.choice(mutant.base.fields[names[-1]])
        if width > 8:
            value: int | bytes = _other_text(mutant, bytes(mutant.data[start : start + width]))
        else:
            value = _other_number(mutant, mutant.number(start, width), width)
        mutant.put(start, value, width, block)
    is_telling = len(names) == 1 and names[0] in TELLING and mutant.data != mutant.base.data
    return mutant.finish("field", is_refused=is_telling)


def _other_number(mutant: Mutant, value: int, width: int) -> int:
    rng = mutant.rng
    places = [block.start for block in mutant.base.layout.blocks] + mutant.base.layout.boundaries()
    return rng.choice(
        (
            rng.choice((0, 1, 2, 3, 4, 7, 8, 63, 64, 255, 2**16 - 1, 2**31, 2**32 - 1, 2**59, 2**63, 2**64 - 1)),
            value + rng.choice((-64, -8, -2, -1, 1, 2, 8, 64)),
            value ^ (1 << rng.randrange(8 * width)),
            value * 2,
            rng.choice(places),
            len(mutant.data) - rng.choice((0, 1, 8, 64)),
            rng.randrange(256**width),
        )
    )


def _other_text(mutant: Mutant, text: bytes) -> bytes:
    rng = mutant.rng
    odd = (b"..", b".", b"/etc/passwd", b"\xff\xfe", b"\0", b"kernel", b"a/b", b"weights", bytes(len(text)), text[::-1])
    at = rng.randrange(len(text))
    return rng.choice((rng.choice(odd), text[:at] + bytes((rng.randrange(256),)) + text[at + 1 :]))


def swap_fields(mutant: Mutant) -> Case:
    """Two numbers or texts of one kind change places."""
    several = [places for places in mutant.base.fields.values() if len(places) > 1]
    (one, width, block), (other, other_width, other_block) = mutant.rng.sample(mutant.rng.choice(several), 2)
    values = bytes(mutant.data[one : one + width]), bytes(mutant.data[other : other + other_width])
    mutant.put(one, values[1], width, block)
    mutant.put(other, values[0], other_width, other_block)
    return mutant.finish("swapped fields")


def mutate_messages(mutant: Mutant) -> Case:
    """A message becomes one of another kind, gets another's content, or is blanked."""
    message, other = (mutant.rng.choice(mutant.base.layout.messages) for _ in range(2))
    body = mutant.base.data[other.body : other.body + other.size]
    match mutant.rng.randrange(4):
        case 0:
            kind = mutant.rng.choice((*MESSAGES, 4, 7, 11, 13, 17, 18, 22, 200))
            mutant.put(message.start, kind, 1, message.block)
        case 1:
            mutant.put(message.start, 0, 1, message.block)
        case 2:
            mutant.put(message.body, body, message.size, message.block)
        case 3:
            mutant.put(message.start, other.kind, 1, message.block)
            mutant.put(message.body, body, message.size, message.block)
    return mutant.finish("message")


def mutate_links(mutant: Mutant) -> Case:
    """A link leads to another object, or becomes a soft one, an external one, or one of an unknown kind."""
    rng, blocks = mutant.rng, mutant.base.layout.blocks
    stored = mutant.base.fields.get("stored_link.address", [])
    if stored and rng.random() < 0.3:
        start, width, block = rng.choice(stored)
        mutant.put(start, rng.choice(blocks).start, width, block)
        return mutant.finish("link", is_refused=mutant.data != mutant.base.data)
    link = rng.choice([message for message in mutant.base.layout.messages if message.kind == 6])
    if rng.random() < 0.3:
        mutant.put(link.body + link.size - 8, rng.choice(blocks).start, 8, link.block)
    else:
        name = b"x" * rng.choice((1, 3))
        value = rng.choice((b"\x05\x00/rest", b"\x0b\x00/etc/passwd", b"\x00\x04\x00a\x00b\x00"))
        kind = rng.choice((0, 1, 2, 64, 65, 255))
        mutant.put(link.body, b"\x01\x08" + bytes((kind, len(name))) + name + value, link.size, link.block)
    return mutant.finish("link", is_refused=mutant.data != mutant.base.data)


def rewrite_header(mutant: Mutant) -> Case:
    """An object's header is written anew at the end of the file, with a message more, or less, or in another order."""
    layout, rng = mutant.base.layout, mutant.rng
    block = rng.choice([block for block in layout.blocks if block.kind == "header"])
    own = [message for message in layout.messages if message.path == block.path and message.kind != 16]
    parts = [(message.kind, bytes(mutant.data[message.body : message.body + message.size])) for message in own]
    operation = rng.randrange(5)
    if operation == 0:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(EXTRA_MESSAGES))
    elif operation == 1:
        other = rng.choice(layout.messages)
        parts.append((other.kind, mutant.base.data[other.body : other.body + other.size]))
    elif operation == 2:
        parts.pop(rng.randrange(len(parts)))
    elif operation == 3:
        rng.shuffle(parts)
    content = b"".join(bytes((kind, *len(body).to_bytes(2, "little"), 0)) + body for kind, body in parts)
    head = b"OHDR\x02\x02" + len(content).to_bytes(4, "little")
    place = mutant.append(head + content + bytes(4))
    mutant.touched.append(Block("header", place, len(head + content) + 4, block.path))
    _lead(mutant, block.start, place)
    return mutant.finish("header", 1.0, is_refused=operation == 0)


def _lead(mutant: Mutant, old: int, new: int) -> None:
    """Let what leads to the object at `old` lead to `new`."""
    for name in ("superblock.root", "link.address", "stored_link.address"):
        for start, width, block in mutant.base.fields.get(name, []):
            if mutant.base.layout.number(start, 8) == old:
                mutant.put(start, new, width, block)


def move_blocks(mutant: Mutant) -> Case:
    """A block is copied over another one or moved, or another one is used in its place."""
    rng, blocks = mutant.rng, mutant.base.layout.blocks
    kinds = {rng.choice(blocks).kind, "header"}
    one, other = rng.sample([block for block in blocks if block.kind in kinds], 2)
    content = mutant.base.data[one.start : one.start + one.size]
    operation = rng.randrange(3)
    if operation == 0:
        mutant.data[other.start : other.start + one.size] = content
        mutant.data = mutant.data[: len(mutant.base.data)]
    elif operation == 1:
        _lead(mutant, one.start, mutant.append(content))
    else:
        _lead(mutant, one.start, other.start)
    return mutant.finish("block", 1.0)
