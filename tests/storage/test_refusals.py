"""Every reason to refuse a file, built from a valid one in which all else, checksums and digests too, is right."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5d, h5p, h5s, h5t, h5z

import microframe
from microframe import ModelFileError, UsageError
from microframe.storage import Code, ModelFile, isolation, write_model_file
from microframe.storage.manifest import MOST_BYTES

pytestmark = pytest.mark.usefixtures("in_time")

GROUP, KERNEL, BIAS = "weights/dense_1", "weights/dense_1/kernel", "weights/dense_1/bias"
DATASPACE, LINK_INFO, DATATYPE, LINK, LAYOUT, ATTRIBUTE = 1, 2, 3, 6, 8, 12

CASES: list[Any] = []
BEFORE_THE_MANIFEST: list[Any] = []


class Valid:
    """A valid file, and the tools to make it another one; whatever is changed, the digests are right again."""

    def __init__(self, path: Path, request: pytest.FixtureRequest) -> None:
        self.path, self.folder = path, path.parent
        self._tool = request.getfixturevalue

    def bytes(self) -> Any:
        return self._tool("bytes_of")(self.path)

    def reopened(self) -> Any:
        return self._tool("reopened")(self.path)

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the values of the manifest."""
        self._tool("with_manifest")(self.path, change)

    def put_text(self, text: bytes) -> None:
        """Put other bytes in the place of the manifest."""
        self._tool("with_text")(self.path, text)

    def list(self, name: str, **fields: Any) -> None:
        """Make the manifest's entry of a tensor that of the dataset, as far as there can be one."""
        with h5py.File(self.path) as file:
            dataset = h5d.open(file.id, name.encode())
            offset, size, shape = dataset.get_offset(), dataset.get_storage_size(), list(dataset.shape)
        content = self.path.read_bytes()[offset : offset + size] if offset else b""
        entry = {"dtype": "<f4", "shape": shape, "sha256": hashlib.sha256(content).hexdigest(), **fields}
        self.edit(lambda manifest: manifest["tensors"].update({name: entry}))


@pytest.fixture
def valid(trained_file, request) -> Valid:
    return Valid(trained_file, request)


def refuses(code: Code, name: str, build: Callable[..., Path | None], *arguments: Any, structure: bool = True) -> None:
    """Note a case: `build` makes a valid file one that is refused by `code`, and gives its path if that is another."""
    entry = pytest.param(code, lambda valid: build(valid, *arguments) or valid.path, id=f"{code}-{name}")
    (BEFORE_THE_MANIFEST if structure else CASES).append(entry)


# What is at the path


def nothing(valid, name):
    return valid.folder / name


def folder(valid):
    (valid.folder / "folder.h5").mkdir()
    return valid.folder / "folder.h5"


def circle_of_links(valid):
    (valid.folder / "circle.h5").symlink_to("circle.h5")
    return valid.folder / "circle.h5"


def pipe(valid):
    os.mkfifo(valid.folder / "pipe.h5")
    return valid.folder / "pipe.h5"


def link_to_a_pipe(valid):
    (valid.folder / "link.h5").symlink_to(pipe(valid))
    return valid.folder / "link.h5"


def listening_socket(valid):
    before = os.getcwd()
    os.chdir(valid.folder)  # as the path of a socket has a hundred bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket.h5")
    finally:
        os.chdir(before)
    return valid.folder / "socket.h5"


def device(valid, path):
    if not Path(path).exists():
        pytest.skip("there is no such device")
    return Path(path)


refuses(Code.NOT_FOUND, "nothing", nothing, "none.h5")
refuses(Code.UNREADABLE, "below a file", nothing, "trained.h5/model.h5")
refuses(Code.NOT_A_FILE, "folder", folder)
if os.name == "posix":
    refuses(Code.UNREADABLE, "a circle of links", circle_of_links)
    refuses(Code.NOT_A_FILE, "pipe", pipe)
    refuses(Code.NOT_A_FILE, "link to a pipe", link_to_a_pipe)
    refuses(Code.NOT_A_FILE, "socket", listening_socket)
    for place in ("/dev/null", "/dev/zero", "/dev/random", "/dev/tty"):
        refuses(Code.NOT_A_FILE, place, device, place)


# The bytes around the HDF5 data


def put_bytes(valid, change):
    valid.path.write_bytes(change(valid.path.read_bytes()))


def copied(valid, **options):
    """The content of the file in one that the library writes with other options."""
    with h5py.File(valid.path) as source, h5py.File(valid.folder / "copy.h5", "w", **options) as copy:
        for name in source:
            source.copy(name, copy)
        for name, value in source.attrs.items():
            copy.attrs[name] = value
    return valid.folder / "copy.h5"


def put_superblock(valid, at, layout, value):
    data = valid.bytes()
    data.put(at, layout, value)
    data.save()


refuses(Code.NOT_HDF5, "empty", put_bytes, lambda _: b"")
refuses(Code.NOT_HDF5, "text", put_bytes, lambda _: b"layers = []\n" * 100)
refuses(Code.NOT_HDF5, "a byte before", put_bytes, lambda data: b"\0" + data)
refuses(Code.NOT_HDF5, "a script before", put_bytes, lambda data: b"#!/bin/sh\n".ljust(512) + data)
refuses(Code.NOT_HDF5, "user block", functools.partial(copied, libver="v110", userblock_size=512))
refuses(Code.TRUNCATED, "signature alone", put_bytes, lambda data: data[:8])
refuses(Code.TRUNCATED, "superblock alone", put_bytes, lambda data: data[:48])
refuses(Code.TRUNCATED, "half of it", put_bytes, lambda data: data[: len(data) // 2])
refuses(Code.TRUNCATED, "a byte less", put_bytes, lambda data: data[:-1])
refuses(Code.TRAILING_BYTES, "a byte more", put_bytes, lambda data: data + b"\0")
refuses(Code.TRAILING_BYTES, "itself behind it", put_bytes, lambda data: data + data)
refuses(Code.SUPERBLOCK, "oldest version", functools.partial(copied, libver="earliest"))
for code, name, *change in (
    (Code.SUPERBLOCK, "version 2", 8, "<B", 2),
    (Code.SUPERBLOCK, "version 4", 8, "<B", 4),
    (Code.SUPERBLOCK, "4-byte offsets", 9, "<B", 4),
    (Code.SUPERBLOCK, "4-byte lengths", 10, "<B", 4),
    (Code.SUPERBLOCK, "open for writing", 11, "<B", 1),
    (Code.SUPERBLOCK, "open for writing and reading at once", 11, "<B", 5),
    (Code.SUPERBLOCK, "base address", 12, "<Q", 512),
    (Code.SUPERBLOCK, "extension", 20, "<Q", 48),
    (Code.TRUNCATED, "end beyond the file", 28, "<Q", 2**62),
    (Code.TRAILING_BYTES, "end within the file", 28, "<Q", 1000),
    (Code.TRUNCATED, "root beyond the file", 36, "<Q", 2**63),
    (Code.TRUNCATED, "no root", 36, "<Q", 2**64 - 1),
    (Code.STRUCTURE, "root in the superblock", 36, "<Q", 0),
):
    refuses(code, name, put_superblock, *change)


# Objects and what leads to them


def change(valid, change):
    with valid.reopened() as file:
        change(file)


def put_link(valid, name, link):
    """Replace the object at `name`, or add one."""
    with valid.reopened() as file:
        if name in file:
            del file[name]
        file[name] = link


def external_link(valid, target):
    """A link into a file that it would be noticed to open."""
    with h5py.File(valid.path) as source, h5py.File(valid.folder / "other.h5", "w") as other:
        source.copy(KERNEL, other, "kernel")
    put_link(valid, KERNEL, h5py.ExternalLink(target, "kernel"))


def external_link_to_a_pipe(valid):
    os.mkfifo(valid.folder / "pipe.h5")
    put_link(valid, GROUP, h5py.ExternalLink("pipe.h5", "/"))


def link_of_kind(valid, kind):
    put_link(valid, "other", h5py.ExternalLink("file", "name"))
    data = valid.bytes()
    ((link, _),) = [(at, size) for found, at, size in data.messages("/") if found == LINK and data.data[at + 2] == 64]
    data.put(link + 2, "<B", kind)
    data.save()


def rename(valid, old, new):
    """Rename an object, below what the library lets happen, in the manifest too."""
    with valid.reopened() as file:
        file.move(BIAS, f"{GROUP}/{old}")
    data = valid.bytes()
    at = data.message(GROUP, LINK, [name.encode() for name in ("kernel", old)].index(old.encode()))
    at = data.data.index(old.encode(), at)
    data.data[at : at + len(old)] = new
    data.save()


def put_address(valid, group, number, name):
    """Let a link of a group lead to another object."""
    data = valid.bytes()
    _, at, size = [message for message in data.messages(group) if message[0] == LINK][number]
    data.put(at + size - 8, "<Q", data.header(name))
    data.save()


def put_link_info(valid, at, layout, value):
    data = valid.bytes()
    data.put(data.message("/", LINK_INFO) + at, layout, value)
    data.save()


def dense_group_in_order(valid):
    with valid.reopened() as file:
        creation = h5p.create(h5p.GROUP_CREATE)
        creation.set_link_creation_order(h5p.CRT_ORDER_TRACKED)
        h5py.h5g.create(file.id, b"other", gcpl=creation)


def committed_type(valid):
    with valid.reopened() as file:
        file["type"] = np.dtype("<f4")
        kind = h5t.open(file.id, b"type")
        del file[KERNEL]
        h5d.create(file[GROUP].id, b"kernel", kind, h5s.create_simple((3, 4)), early())


def name_in_the_table(valid, name):
    valid.edit(lambda manifest: manifest["tensors"].update({name: manifest["tensors"][BIAS]}))


def deep(valid, levels):
    name = "/".join("abcdefghijklmnop"[:levels])
    change(valid, lambda file: file.create_dataset(name, data=np.zeros(3, np.float32)))
    valid.list(name)


refuses(Code.SOFT_LINK, "in the place of a tensor", put_link, KERNEL, h5py.SoftLink(f"/{BIAS}"))
refuses(Code.SOFT_LINK, "in the place of a group", put_link, GROUP, h5py.SoftLink("/weights"))
refuses(Code.SOFT_LINK, "to nowhere", put_link, "other", h5py.SoftLink("/nowhere"))
refuses(Code.SOFT_LINK, "to itself", put_link, "other", h5py.SoftLink("/other"))
refuses(Code.EXTERNAL_LINK, "to a file beside it", external_link, "other.h5")
refuses(Code.EXTERNAL_LINK, "to nowhere", external_link, "none.h5")
refuses(Code.EXTERNAL_LINK, "to the file itself", external_link, "trained.h5")
refuses(Code.EXTERNAL_LINK, "to a file of the system", external_link, "/etc/passwd")
if os.name == "posix":
    refuses(Code.EXTERNAL_LINK, "to a pipe", external_link_to_a_pipe)
for kind in (2, 63, 65, 255):
    refuses(Code.USER_LINK, str(kind), link_of_kind, kind)
for name, new, old in (
    ("of a tensor beside it", f"{GROUP}/again", KERNEL),
    ("of a tensor elsewhere", "records/again", KERNEL),
    ("of a group", "again", "weights"),
    ("group in itself", "weights/again", "weights"),
    ("root in a group", "weights/again", "/"),
    ("root in the root", "again", "/"),
):
    refuses(Code.ALIAS, name, change, lambda file, new=new, old=old: file.__setitem__(new, file[old]))
refuses(Code.ALIAS, "one name twice", rename, "kernek", b"kernel")
refuses(Code.ALIAS, "of a tensor, not counted", put_address, GROUP, 0, KERNEL)
refuses(Code.ALIAS, "group in itself, not counted", put_address, GROUP, 0, "weights")
refuses(Code.ALIAS, "root in a group, not counted", put_address, GROUP, 0, "/")
for name in ("größe", "a b", "-a", ".a", "..", "a\\b", "a:b", "a\n", "\x1b[2J", "a" * 256):
    refuses(
        Code.NAME, f"of a dataset {name[:5]!a}", put_link, f"weights/{name}" if name != ".." else "x..\\", np.zeros(1)
    )
    refuses(Code.NAME, f"in the table {name[:5]!a}", name_in_the_table, f"weights/{name}", structure=False)
refuses(Code.NAME, "of a dataset with a slash", rename, "kerne", b"a/../")
refuses(Code.NAME, "of a dataset with a zero", rename, "kerne", b"bias\0")
refuses(Code.NAME, "in the table, empty", name_in_the_table, "", structure=False)
refuses(Code.NAME, "in the table, with an empty part", name_in_the_table, "weights//kernel", structure=False)
refuses(Code.UNLISTED, "dataset", put_link, "weights/other", np.zeros(1), structure=False)
refuses(Code.UNLISTED, "dataset at the root", put_link, "other", np.zeros(1), structure=False)
refuses(Code.UNLISTED, "empty group", change, lambda file: file.create_group("weights/other"), structure=False)
refuses(Code.UNLISTED, "empty groups in each other", change, lambda file: file.create_group("a/b/c"), structure=False)
refuses(Code.TOO_DEEP, "9 levels", deep, 9)
refuses(Code.TOO_DEEP, "16 levels", deep, 16)
refuses(Code.MISSING, "tensor", change, lambda file: file.__delitem__(KERNEL), structure=False)
refuses(Code.MISSING, "all tensors", change, lambda file: file.__delitem__("weights"), structure=False)
refuses(Code.MISSING, "manifest", change, lambda file: file.__delitem__("manifest"), structure=False)
refuses(Code.STRUCTURE, "type with a name", change, lambda file: file.__setitem__("type", np.dtype("<f4")))
refuses(Code.STRUCTURE, "dataset of a type with a name", committed_type)
refuses(Code.STRUCTURE, "links in the order of their creation", dense_group_in_order)
refuses(Code.STRUCTURE, "links of tomorrow", put_link_info, 0, "<B", 1)
refuses(Code.TRUNCATED, "heap beyond the file", put_link_info, 2, "<Q", 2**62)
refuses(Code.STRUCTURE, "heap that is none", put_link_info, 2, "<Q", 0)


# How datasets are stored


def early(**_):
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5d.FILL_TIME_NEVER)
    return creation


def create(valid, set_up, shape=(3, 4), kind=h5t.IEEE_F32LE, most=None):
    """Put another dataset in the place of the kernel."""
    with valid.reopened() as file:
        del file[KERNEL]
        creation = early()
        set_up(creation)
        h5d.create(file[GROUP].id, b"kernel", kind, h5s.create_simple(shape, most), creation)
    valid.list(KERNEL)


def create_with(valid, **options):
    with valid.reopened() as file:
        values = file[KERNEL][...]
        del file[KERNEL]
        file.create_dataset(KERNEL, data=values, **options)
    valid.list(KERNEL)


def external_storage(valid, name):
    (valid.folder / "raw").write_bytes(bytes(48))
    with valid.reopened() as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, (3, 4), "<f4", external=[(name, 0, 48)])
    valid.list(KERNEL, sha256=hashlib.sha256(bytes(48)).hexdigest())


def virtual(valid, source):
    """A dataset put together from one in the file `source`; "." is the file itself."""
    (valid.folder / "source.h5").write_bytes(valid.path.read_bytes())
    with valid.reopened() as file:
        del file[KERNEL]
        layout = h5py.VirtualLayout((3, 4), "<f4")
        layout[:] = h5py.VirtualSource(source, KERNEL, (3, 4))
        file.create_virtual_dataset(KERNEL, layout)


def late(creation):
    creation.set_alloc_time(h5d.ALLOC_TIME_LATE)


def put_message(valid, name, kind, *changes):
    """Change a message of a dataset's header."""
    data = valid.bytes()
    at = data.message(name, kind)
    for offset, layout, value in changes:
        data.put(at + offset, layout, value)
    data.save()


def share(valid, other):
    """Give the kernel the place of another dataset."""
    with h5py.File(valid.path) as file:
        offset = file[other].id.get_offset()
    put_message(valid, KERNEL, LAYOUT, (2, "<Q", offset))
    valid.list(KERNEL)


def drop_message(valid, kind):
    data = valid.bytes()
    data.data[data.message(KERNEL, kind) - 4] = 0
    data.save()


def unknown_filter(creation, number=32015):
    creation.set_chunk((3, 4))
    creation.set_filter(number, h5z.FLAG_OPTIONAL, (1, 2, 3))


def compact(creation):
    creation.set_layout(h5d.COMPACT)


refuses(Code.EXTERNAL_STORAGE, "beside the file", external_storage, "raw")
refuses(Code.EXTERNAL_STORAGE, "of the system", external_storage, "/etc/passwd")
refuses(Code.VIRTUAL, "of another file", virtual, "source.h5")
refuses(Code.VIRTUAL, "of itself", virtual, ".")
refuses(Code.VIRTUAL, "of nothing", virtual, "none.h5")
for name, options in (
    ("gzip", {"compression": "gzip"}),
    ("lzf", {"compression": "lzf"}),
    ("shuffle", {"shuffle": True}),
    ("fletcher32", {"fletcher32": True}),
    ("scaleoffset", {"scaleoffset": 2}),
):
    refuses(Code.FILTER, name, functools.partial(create_with, **options))
for number in (256, 307, 32001, 32015, 65535):
    refuses(Code.FILTER, f"unknown {number}", create, functools.partial(unknown_filter, number=number))
refuses(Code.CHUNKED, "one chunk", create, lambda creation: creation.set_chunk((3, 4)))
refuses(Code.CHUNKED, "many chunks", create, lambda creation: creation.set_chunk((1, 1)))
unlimited = (h5s.UNLIMITED, 4)
refuses(
    Code.SHAPE, "that may grow", create, lambda creation: creation.set_chunk((1, 4)), (3, 4), h5t.IEEE_F32LE, unlimited
)
refuses(Code.COMPACT, "tensor", create, compact)
refuses(Code.STORAGE, "none", create, late)
refuses(Code.STORAGE, "none, for very much", create, late, (2**20, 2**20, 2**18))
for code, name, kind, *changes in (
    (Code.STORAGE, "less than the shape", LAYOUT, (10, "<Q", 44)),
    (Code.STORAGE, "nothing", LAYOUT, (10, "<Q", 0)),
    (Code.STORAGE, "more than the shape", LAYOUT, (10, "<Q", 52)),
    (Code.STORAGE, "nowhere", LAYOUT, (2, "<Q", 2**64 - 1)),
    (Code.STORAGE, "a shape of very much", DATASPACE, *[(at, "<Q", 2**20) for at in (4, 12, 20, 28)]),
    (Code.SHAPE, "a shape that may grow", DATASPACE, (20, "<Q", 2**64 - 1)),
    (Code.TRUNCATED, "beyond the file", LAYOUT, (2, "<Q", 2**40)),
    (Code.TRUNCATED, "around the end of addresses", LAYOUT, (2, "<Q", 2**64 - 64)),
    (Code.ALIGNMENT, "by 4 bytes", LAYOUT, (2, "<Q", 68)),
    (Code.OVERLAP, "the superblock", LAYOUT, (2, "<Q", 0)),
    (Code.STRUCTURE, "a layout of version 2", LAYOUT, (0, "<B", 2)),
    (Code.STRUCTURE, "a layout of tomorrow", LAYOUT, (0, "<B", 5)),
    (Code.STRUCTURE, "a layout of an unknown class", LAYOUT, (1, "<B", 4)),
    (Code.SHAPE, "no shape at all", DATASPACE, (1, "<B", 0), (3, "<B", 2)),
    (Code.SHAPE, "a scalar with axes", DATASPACE, (3, "<B", 0)),
    (Code.SHAPE, "very many axes", DATASPACE, (1, "<B", 33)),
    (Code.SHAPE, "more elements than addresses", DATASPACE, (4, "<Q", 2**63), (12, "<Q", 2**63)),
    (Code.SHAPE, "none, of more elements than addresses", DATASPACE, (4, "<Q", 0), (12, "<Q", 2**63)),
    (Code.SHAPE, "a dataspace of version 1", DATASPACE, (0, "<B", 1)),
    (Code.SHAPE, "a dataspace of tomorrow", DATASPACE, (0, "<B", 3)),
):
    refuses(code, name, put_message, KERNEL, kind, *changes)
refuses(Code.OVERLAP, "a tensor of the same shape", share, "optimizer/slots/momentum")
refuses(Code.OVERLAP, "the manifest", share, "manifest")
for name, kind in (("shape", DATASPACE), ("type", DATATYPE), ("place", LAYOUT)):
    refuses(Code.STRUCTURE, f"no {name}", drop_message, kind)


# Types


def changed(kind, change):
    kind = kind.copy()
    change(kind)
    return kind


def bfloat16():
    kind = h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


def string(size):
    kind = h5t.C_S1.copy()
    kind.set_size(size)
    return kind


def enumeration():
    kind = h5t.enum_create(h5t.STD_U8LE)
    kind.enum_insert(b"A", 0)
    return kind


def compound(**fields):
    return h5t.py_create(np.dtype(list(fields.items())))


TYPES = {
    "big-endian float32": (h5t.IEEE_F32BE, Code.TYPE),
    "big-endian float64": (h5t.IEEE_F64BE, Code.TYPE),
    "big-endian int64": (h5t.STD_I64BE, Code.TYPE),
    "float16": (h5t.IEEE_F16LE, Code.TYPE),
    "bfloat16": (bfloat16(), Code.TYPE),
    "long double": (h5t.NATIVE_LDOUBLE.copy(), Code.TYPE),
    "int8": (h5t.STD_I8LE, Code.TYPE),
    "int16": (h5t.STD_I16LE, Code.TYPE),
    "int32": (h5t.STD_I32LE, Code.TYPE),
    "uint16": (h5t.STD_U16LE, Code.TYPE),
    "uint32": (h5t.STD_U32LE, Code.TYPE),
    "uint64": (h5t.STD_U64LE, Code.TYPE),
    "int64 of 63 bits": (changed(h5t.STD_I64LE, lambda kind: kind.set_precision(63)), Code.TYPE),
    "uint8 of 7 bits": (changed(h5t.STD_U8LE, lambda kind: kind.set_precision(7)), Code.TYPE),
    "float32 with another bias": (changed(h5t.IEEE_F32LE, lambda kind: kind.set_ebias(126)), Code.TYPE),
    "float32 with padding of ones": (changed(h5t.IEEE_F32LE, lambda kind: kind.set_inpad(h5t.PAD_ONE)), Code.TYPE),
    "enum": (enumeration(), Code.TYPE),
    "bool": (h5t.py_create(np.dtype(np.bool_), logical=True), Code.TYPE),
    "bit field": (h5t.STD_B8LE, Code.TYPE),
    "opaque": (h5t.py_create(np.dtype("V4")), Code.TYPE),
    "array": (h5t.array_create(h5t.IEEE_F32LE, (2,)), Code.TYPE),
    "time": (h5t.UNIX_D32LE, Code.TYPE),
    "string": (string(4), Code.TYPE),
    "complex as a compound": (compound(r="<f4", i="<f4"), Code.COMPOUND),
    "compound": (compound(a="<f4"), Code.COMPOUND),
    "compound with a text": (h5t.py_create(np.dtype([("a", h5py.string_dtype())]), logical=True), Code.COMPOUND),
    "text of variable length": (h5t.py_create(h5py.string_dtype(), logical=True), Code.VARIABLE_LENGTH),
    "list of variable length": (h5t.vlen_create(h5t.IEEE_F32LE), Code.VARIABLE_LENGTH),
    "reference": (h5t.STD_REF_OBJ, Code.REFERENCE),
    "reference to a region": (h5t.STD_REF_DSETREG, Code.REFERENCE),
}
IN_ATTRIBUTES = {Code.TYPE: Code.ATTRIBUTE, Code.STORAGE: Code.ATTRIBUTE}


def of_type(valid, kind):
    # the library makes no lists of variable length that are not filled
    create(valid, lambda creation: creation.set_fill_time(h5d.FILL_TIME_IFSET), kind=kind)


def put_attribute(valid, name, kind, at="/"):
    with valid.reopened() as file:
        if name in file[at].attrs:
            del file[at].attrs[name]
        h5a.create(file[at].id, name.encode(), kind, h5s.create(h5s.SCALAR))


for name, (kind, code) in TYPES.items():
    refuses(code, f"{name} in a tensor", of_type, kind)
    is_text = name == "string"  # which the other attributes are
    in_attribute = IN_ATTRIBUTES.get(code, code)
    refuses(in_attribute, f"{name} in an attribute", put_attribute, "layout", kind, structure=not is_text)
    refuses(Code.ATTRIBUTE, f"{name} in an attribute of a tensor", put_attribute, "other", kind, KERNEL)
for name, kind in (("float64", h5t.IEEE_F64LE), ("int64", h5t.STD_I64LE), ("uint8", h5t.STD_U8LE)):
    refuses(Code.TYPE, f"{name} where the manifest says another", of_type, kind, structure=False)
for first in (0x32, 0x38, 0x3B, 0x3F, 0x01, 0x41, 0x51, 0xF1):
    # time, enum, complex and a class of tomorrow; then a float of no version, and of versions of tomorrow
    refuses(Code.TYPE, f"first byte {first:#x}", put_message, KERNEL, DATATYPE, (0, "<B", first))


# Attributes


def attribute(valid, name, value, at="/"):
    with valid.reopened() as file:
        file[at].attrs[name] = value


def drop_attribute(valid, name):
    with valid.reopened() as file:
        del file.attrs[name]


def very_many_attributes(valid, at):
    with valid.reopened() as file:
        for number in range(20):
            file[at].attrs[f"a{number}"] = np.int64(number)


def flip_in_a_text_of_variable_length(valid, place, bit):
    """A bit of where an attribute's text is kept: what makes h5py wait for ever while it holds Python's lock."""
    with valid.reopened() as file:
        del file.attrs["format"]
        file.attrs["format"] = "microframe"
    data = valid.bytes()
    at, size = [(at, size) for kind, at, size in data.messages("/") if kind == ATTRIBUTE][-1]
    assert b"format" in data.data[at : at + size]
    data.data[at + size - 16 + place] ^= 1 << bit
    data.save()


def of_tomorrow(valid):
    """A file of a later layout, which may have what this one hasn't."""
    create_with(valid, compression="gzip")
    attribute(valid, "layout", np.int64(2))


def of_another_program(valid):
    create_with(valid, compression="gzip")
    attribute(valid, "format", np.bytes_("other"))


def damaged_layout(valid):
    data = valid.bytes()
    ((at, size),) = [
        (at, size)
        for kind, at, size in data.messages("/")
        if kind == ATTRIBUTE and b"layout" in data.data[at : at + size]
    ]
    data.data[at + size - 8] ^= 2
    valid.path.write_bytes(data.data)


refuses(Code.FORMAT, "another", attribute, "format", np.bytes_("keras"), structure=False)
refuses(Code.FORMAT, "none", drop_attribute, "format", structure=False)
for layout in (-1, 0, 2, 2**62):
    refuses(Code.LAYOUT, str(layout), attribute, "layout", np.int64(layout), structure=False)
refuses(Code.LAYOUT, "with what only it may have", of_tomorrow, structure=False)
refuses(Code.FORMAT, "of another program", of_another_program, structure=False)
refuses(Code.CHECKSUM, "a layout that is a damaged 1", damaged_layout)
refuses(Code.ATTRIBUTE, "no layout", drop_attribute, "layout", structure=False)
refuses(Code.ATTRIBUTE, "layout as a text", attribute, "layout", np.bytes_("1"), structure=False)
refuses(Code.ATTRIBUTE, "layout as a list", attribute, "layout", np.array([1]))
refuses(Code.ATTRIBUTE, "layout as nothing", attribute, "layout", h5py.Empty("<i8"))
refuses(Code.ATTRIBUTE, "no digest", drop_attribute, "manifest_sha256", structure=False)
refuses(Code.ATTRIBUTE, "digest as a number", attribute, "manifest_sha256", np.int64(1), structure=False)
refuses(Code.ATTRIBUTE, "a fourth", attribute, "other", np.int64(1), structure=False)
refuses(Code.ATTRIBUTE, "another name", attribute, "größe", np.int64(1))
refuses(Code.ATTRIBUTE, "of a tensor", attribute, "other", np.int64(1), KERNEL)
refuses(Code.ATTRIBUTE, "of a group", attribute, "other", np.int64(1), GROUP)
refuses(Code.ATTRIBUTE, "of the manifest", attribute, "other", np.int64(1), "manifest")
for place in ("/", GROUP, KERNEL):
    refuses(Code.ATTRIBUTE, f"very many at {place}", very_many_attributes, place)
for place, bit in ((0, 0), (3, 7), (4, 1), (11, 7), (12, 0), (15, 7)):
    flip = flip_in_a_text_of_variable_length
    refuses(Code.VARIABLE_LENGTH, f"flipped bit {bit} of byte {place}", flip, place, bit)


# Checksums


def flip_checksum(valid, name):
    data = valid.bytes()
    at, size = data.messages(name)[-1][1:] if name else (40, 4)
    valid.path.write_bytes(data.data[: at + size] + bytes([data.data[at + size] ^ 1]) + data.data[at + size + 1 :])


for name in ("", "/", GROUP, KERNEL, "manifest"):
    refuses(Code.CHECKSUM, name or "superblock", flip_checksum, name)


# The manifest as a text


def put_text(valid, text):
    valid.put_text(text)


def rewrite(valid, write):
    """Put the manifest's values there in another text."""
    with h5py.File(valid.path) as file:
        values = json.loads(file["manifest"][...].tobytes())
    valid.put_text(write(values))


def written(**options):
    canonical = {"sort_keys": True, "separators": (",", ":")}
    return lambda values: json.dumps(values, **{**canonical, **options}).encode()


def replaced(old, new):
    return lambda values: written()(values).replace(old, new, 1)


def no_digest(valid):
    attribute(valid, "manifest_sha256", np.bytes_("0" * 64))


def huge_manifest(valid):
    with valid.reopened() as file:
        del file["manifest"]
        h5d.create(file.id, b"manifest", h5t.STD_U8LE, h5s.create_simple((MOST_BYTES + 1,)), early())


refuses(Code.MANIFEST_DIGEST, "another", no_digest, structure=False)
refuses(Code.MANIFEST_SIZE, "a byte too many", huge_manifest, structure=False)
for code, name, text in (
    (Code.MANIFEST_TEXT, "empty", b""),
    (Code.MANIFEST_TEXT, "not closed", b"{"),
    (Code.MANIFEST_TEXT, "no UTF-8", b'{"a":"\xff"}'),
    (Code.MANIFEST_TEXT, "UTF-8 beyond ASCII", '{"a":"ü"}'.encode()),
    (Code.MANIFEST_TEXT, "UTF-16", "{}".encode("utf-16")),
    (Code.MANIFEST_TEXT, "a pickle", b"\x80\x04cos\nsystem\n."),
    (Code.MANIFEST_FIELD, "list", b"[]"),
    (Code.MANIFEST_FIELD, "number", b"3"),
    (Code.MANIFEST_DEPTH, "65 levels", b'{"a":' * 65 + b"1" + b"}" * 65),
    (Code.MANIFEST_DEPTH, "a million levels", b"[" * 10**6),
    (Code.UNLISTED, "empty object", b"{}"),
):
    refuses(code, name, put_text, text, structure=False)
for code, name, write in (
    (Code.MANIFEST_KEY, "twice", replaced(b'{"classes"', b'{"classes":null,"classes"')),
    (Code.MANIFEST_KEY, "twice, of a tensor", replaced(b'"tensors":{', b'"tensors":{"a":1,"a":2,')),
    (Code.MANIFEST_NUMBER, "NaN", replaced(b'"threshold":0.5', b'"threshold":NaN')),
    (Code.MANIFEST_NUMBER, "infinity", replaced(b'"threshold":0.5', b'"threshold":-Infinity')),
    (Code.MANIFEST_NUMBER, "beyond float64", replaced(b'"threshold":0.5', b'"threshold":1e400')),
    (Code.MANIFEST_NUMBER, "100,000 digits", replaced(b'"threshold":0.5', b'"threshold":' + b"9" * 100_000)),
    (Code.MANIFEST_CANONICAL, "white space", written(separators=(", ", ": "))),
    (Code.MANIFEST_CANONICAL, "lines", written(indent=1)),
    (Code.MANIFEST_CANONICAL, "other order", lambda values: written(sort_keys=False)(dict(reversed(values.items())))),
    (Code.MANIFEST_CANONICAL, "other digits", replaced(b'"threshold":0.5', b'"threshold":0.50')),
    (Code.MANIFEST_CANONICAL, "other escapes", replaced(b'"classes"', b'"cl\\u0061sses"')),
    (Code.MANIFEST_CANONICAL, "end of line", lambda values: written()(values) + b"\n"),
):
    refuses(code, name, rewrite, write, structure=False)


# The fields of the manifest


def put(valid, value, *path):
    """Put a value at a path in the manifest; `...` takes away what is there."""

    def change(manifest):
        inner = functools.reduce(lambda values, step: values[step], path[:-1], manifest)
        if value is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value

    valid.edit(change)


FIELDS = [
    "classes", "config", "data_digests", "delimiter", "feature_names", "fill", "fitted", "history", "input_shape",
    "layers", "microframe", "progress", "providers", "results", "single_value", "target_columns", "target_names",
    "threshold",
]  # fmt: skip
for name in FIELDS:
    refuses(Code.MANIFEST_FIELD, f"no {name}", put, ..., name, structure=False)
for value, *path in (
    (1, "tomorrow"),
    (5, "config"),
    ("3", "input_shape"),
    ([True], "input_shape"),
    ([3.0], "input_shape"),
    ([-3], "input_shape"),
    ([2**59 + 1], "input_shape"),
    ([1] * 64, "input_shape"),
    (["3"], "input_shape"),
    ([None, "a"], "classes"),
    ([[1]], "classes"),
    ([1, 2, 3], "feature_names"),
    ("high", "threshold"),
    (True, "threshold"),
    (1, "fitted"),
    ([True], "target_columns"),
    ([-1], "target_columns"),
    ("|", "delimiter"),
    (0, "single_value"),
    (["1", "2", "3"], "fill"),
    ([None, None, None], "fill"),
    ([{"$float": "nan"}] * 3, "fill"),
    ([True, False, True], "fill"),
    ({"loss": [1.0]}, "history"),
    ([["loss", ["a"]]], "history"),
    ([["loss", [None]]], "history"),
    (None, "layers"),
    (["dense_1"], "layers"),
    (1, "layers", 0, "name"),
    ("input", "layers", 0, "inputs"),
    ([4.0], "layers", 0, "output_shape"),
    ([-4], "layers", 0, "output_shape"),
    ([0], "layers", 0, "trained"),
    (..., "layers", 0, "trained"),
    (1, "layers", 0, "tomorrow"),
    ([["loss", [True]]], "history"),
    ([["loss", [1.0]], ["loss", [1.0]]], "history"),
    ([["loss", [1.0]], ["accuracy", [1.0, 2.0]]], "history"),
    ([["recall", [[1.0, 2.0], [1.0]]]], "history"),
    ([["recall", [[1.0, 2.0], 1.0]]], "history"),
    ([["loss", [10**99]], ["loss", [1.0]]], "history"),
    ({"test": [["loss", [{}]]]}, "results"),
    ({"test": [["loss", []]]}, "results"),
    ({"test": [["loss", [1.0, 2.0]]]}, "results"),
    ({"elsewhere": [["loss", [1.0]]]}, "results"),
    (2**53 + 1, "progress", "step"),
    ("", "data_digests"),
    ({"inputs": None}, "data_digests"),
    ({"inputs": None, "targets": "", "x": 1}, "data_digests"),
    (1, "microframe"),
    ({"layer:dense": {}}, "providers"),
    ({"layer:dense": {"plugin": 5}}, "providers"),
    (True, "providers", "layer:dense", "component_version"),
    (0, "providers", "layer:dense", "component_version"),
    ({}, "progress"),
    (True, "progress", "epoch"),
    (-1, "progress", "batch"),
    (1.5, "progress", "step"),
    ("8", "progress", "batch_size"),
    (0, "progress", "batch_size"),
    (1, "progress", "tomorrow"),
    (5, "tensors"),
    ([], "tensors"),
    (5, "tensors", KERNEL),
    (["3", 4], "tensors", KERNEL, "shape"),
    ([True, 4], "tensors", KERNEL, "shape"),
    ([3.0, 4.0], "tensors", KERNEL, "shape"),
    (5, "tensors", KERNEL, "dtype"),
    (5, "tensors", KERNEL, "sha256"),
    (1, "tensors", KERNEL, "offset"),
    (..., "tensors", KERNEL, "sha256"),
):
    refuses(Code.MANIFEST_FIELD, f"{value!r:.20} as {'.'.join(map(str, path))}", put, value, *path, structure=False)
refuses(Code.MANIFEST_NUMBER, "an object", put, {"$float": "1e999"}, "progress", "loss_sum", structure=False)
for code, value, *path in (
    (Code.TYPE, "<f8", "tensors", KERNEL, "dtype"),
    (Code.TYPE, ">f4", "tensors", KERNEL, "dtype"),
    (Code.TYPE, "O", "tensors", KERNEL, "dtype"),
    (Code.TYPE, "object", "tensors", KERNEL, "original"),
    (Code.TYPE, "float64", "tensors", KERNEL, "original"),
    (Code.TYPE, "float32", "tensors", KERNEL, "original"),
    (Code.SHAPE, [4, 3], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [12], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [3, 4, 1], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [10**12, 10**12], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [-3, -4], "tensors", KERNEL, "shape"),
    (Code.UNLISTED, ..., "tensors", KERNEL),
    (Code.DIGEST, "0" * 64, "tensors", KERNEL, "sha256"),
):
    refuses(code, f"{value!r:.20} as {path[-1]}", put, value, *path, structure=False)


# What the configuration makes of the tensors


def first_layer(**fields):
    return lambda manifest: manifest["config"]["layers"][1].update(fields)


def in_progress(**fields):
    return lambda manifest: manifest["progress"].update(fields)


def in_table(**fields):
    return lambda manifest: manifest["layers"][1].update(fields)


for name, edit in (
    ("more units", first_layer(units=5)),
    ("very many units", first_layer(units=10**12)),
    ("no bias", first_layer(use_bias=False)),
    ("other inputs", lambda manifest: manifest.update(input_shape=[4])),
    ("very large inputs", lambda manifest: manifest.update(input_shape=[2**50])),
    ("float64", lambda manifest: manifest["config"].update(dtype="float64")),
    ("an array that the table of layers has alone", in_table(trained=["a"])),
    ("another name in the table of layers", in_table(name="other")),
):
    refuses(Code.TENSORS, name, Valid.edit, edit, structure=False)
for name, edit in (
    ("another name", first_layer(name="other")),
    ("a layer more", lambda manifest: manifest["config"]["layers"].append({"type": "dense", "units": 10**9})),
    ("a layer less", lambda manifest: manifest["config"]["layers"].pop()),
    ("a layer that the table has alone", lambda manifest: manifest["layers"].append(manifest["layers"][1])),
    ("a layer that the table doesn't have", lambda manifest: manifest["layers"].pop()),
    ("an input below in the table of layers", in_table(inputs=["dense_2"])),
    ("inputs twice in the table of layers", in_table(inputs=["input"] * 2)),
    ("another output shape in the table of layers", in_table(output_shape=[5])),
    ("arrays less in the table of layers", lambda manifest: manifest["layers"][1]["trained"].pop()),
    ("arrays in another order in the table of layers", lambda manifest: manifest["layers"][1]["trained"].reverse()),
    ("arrays that are not trained", in_table(trained=[])),
    ("no layers", lambda manifest: manifest["config"].pop("layers")),
    ("no list of layers", lambda manifest: manifest["config"].update(layers={"a": 1})),
    ("a layer of tomorrow", first_layer(type="layer_of_tomorrow")),
    ("a field of tomorrow", first_layer(field=1)),
    ("very many layers", lambda manifest: manifest["config"].update(layers=["flatten"] * 2**17)),
    (
        "very many layers of tomorrow",
        lambda manifest: manifest["config"].update(layers=[f"a{n}" for n in range(10**4)]),
    ),
    ("very many fields of tomorrow", first_layer(**{f"a{number}": 1 for number in range(10**4)})),
    ("very many inputs of tomorrow", first_layer(inputs=[f"a{number}" for number in range(10**4)])),
    ("a layer with a very long name", first_layer(type="a" * 10**6)),
    ("a field with a very long name", first_layer(**{"a" * 10**6: 1})),
    ("a name that clears the screen", first_layer(**{"\x1b[2J": 1})),
    ("an activation of tomorrow", first_layer(activation="activation_of_tomorrow")),
    ("a number of units below 1", first_layer(units=-1)),
    ("a truth value for a number of units", first_layer(units=True)),
    ("a very long name in the table of layers", in_table(name="a" * 10**6)),
    ("a name of two words in the table of layers", in_table(name="dense 1")),
    ("a layer that is called like the input", in_table(name="input")),
    ("inputs of more elements than an array has", lambda manifest: manifest.update(input_shape=[2**30, 2**30])),
    ("a shape of very many and large extents", first_layer(type="reshape", shape=[10**99] * 30_000)),
    ("no input", lambda manifest: manifest.update(input_shape=[])),
    ("another number of fill values", lambda manifest: manifest.update(fill=[0.5])),
    ("more classes than outputs", lambda manifest: manifest.update(classes=["a", "b", "c", "d", "e"])),
    ("a class with a very long name", lambda manifest: manifest.update(classes=["a" * 4097, "b"])),
    ("two classes of one name", lambda manifest: manifest.update(classes=["a", "a"])),
    ("two classes of one number", lambda manifest: manifest.update(classes=[1, True])),
    ("a class with a number that is too large", lambda manifest: manifest.update(classes=[2**64, 0])),
    ("no class", lambda manifest: manifest.update(classes=[])),
    ("a single class", lambda manifest: manifest.update(classes=["a"])),
    ("fewer names than inputs", lambda manifest: manifest.update(feature_names=["a"])),
    ("a batch beyond the epoch", in_progress(batch=10**6)),
    ("as many batches as an epoch has", lambda manifest: manifest["progress"].update(batch=1, batch_size=18)),
    ("batches larger than the data", in_progress(batch_size=10**6)),
    ("other samples than there are rows", in_progress(samples=17)),
    ("a memory of no callback", in_progress(memories=[{}] * 7)),
    ("no layer's dtype", lambda manifest: manifest["config"].pop("dtype")),
):
    refuses(Code.CONFIG, name, Valid.edit, edit, structure=False)


def put_tensor(valid, name, values, **entry):
    with valid.reopened() as file:
        file.pop(name, None)
        file.create_dataset(name, data=values)
    valid.list(name, **{"dtype": values.dtype.str, **entry})


for name, rows in (
    ("a row beyond the data", [*range(17), 10**9]),
    ("a row below 0", [*range(17), -1]),
    ("a row twice", [*range(17), 16]),
    ("a row less", range(17)),
):
    refuses(Code.CONFIG, name, put_tensor, "splits/train", np.array(rows), structure=False)
refuses(Code.TENSORS, "rows as values", put_tensor, "splits/train", np.zeros(18), structure=False)
refuses(Code.TENSORS, "rows as a table", put_tensor, "splits/train", np.zeros((18, 1), np.int64), structure=False)
refuses(
    Code.TENSORS,
    "outputs for one sample",
    put_tensor,
    "progress/outputs",
    np.zeros((1, 3), np.float32),
    structure=False,
)
for name in ("7/a", "00/a", "x/a", "0"):
    refuses(Code.TENSORS, f"callbacks-{name}", put_tensor, f"callbacks/{name}", np.zeros(1), structure=False)
refuses(Code.TENSORS, "one slot", put_tensor, "optimizer/slots/momentum", np.zeros(1, np.float32), structure=False)
refuses(Code.TENSORS, "state as a table", put_tensor, "random/noise", np.zeros((2, 2), np.uint8), structure=False)
for value in (math.nan, math.inf, -math.inf):
    refuses(Code.NONFINITE, str(value), put_tensor, KERNEL, np.full((3, 4), value, np.float32), structure=False)
    name = "weights/standardize_1/mean"
    refuses(Code.NONFINITE, f"{value} in a state", put_tensor, name, np.array([0.0, value, 0.0]), structure=False)


def damage(valid):
    with h5py.File(valid.path) as file:
        offset = file[KERNEL].id.get_offset()
    put_bytes(valid, lambda data: data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])


refuses(Code.DIGEST, "a bit of a tensor", damage, structure=False)

EVERY_CASE = [*BEFORE_THE_MANIFEST, *CASES]


@pytest.mark.parametrize(("code", "build"), EVERY_CASE)
def test_it_is_refused_by_its_code_and_nothing_else_is_touched(code, build, valid, refused):
    path = build(valid)
    error = refused(path)
    assert error.code == code
    assert error.where
    assert error.found.replace("\n", "").isprintable()


@pytest.mark.parametrize(("code", "build"), BEFORE_THE_MANIFEST)
def test_it_is_refused_before_anything_is_made_of_its_content(code, build, valid, refused, monkeypatch):
    path = build(valid)
    for name in ("_read_manifest", "_fill", "map"):
        monkeypatch.setattr(ModelFile, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    for options in ({}, {"mmap": True}, {"check": False}, {"allow_nonfinite": True}):
        assert refused(path, lambda path, options=options: microframe.load(path, **options)).code == code


def test_the_valid_file_and_the_tools_that_change_it_leave_a_model_that_loads(valid):
    expected = microframe.load(valid.path).network.parameters.tobytes()
    valid.bytes().save()
    change(valid, lambda file: file.create_group("passing"))
    change(valid, lambda file: file.__delitem__("passing"))
    create_with(valid)
    put(valid, 0.25, "threshold")
    rewrite(valid, written())
    model = microframe.load(valid.path)
    assert (model.network.parameters.tobytes(), model.threshold) == (expected, 0.25)
    assert model.checkpoint is not None


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.update(tomorrow=1),
        lambda config: config["training"].update(epochs=-1),
        lambda config: config["training"]["optimizer"].update(learning_rate="fast"),
        lambda config: config.update(training=5),
    ],
    ids=["field", "epochs", "learning rate", "training"],
)
def test_a_training_that_is_not_valid_is_refused_when_it_is_asked_for(valid, refused, edit):
    valid.edit(lambda manifest: edit(manifest["config"]))
    model = microframe.load(valid.path)
    assert model.predict(np.zeros((2, 3))).shape == (2,), "which needs none of it"
    assert refused(valid.path, lambda _: model.configuration).code == Code.CONFIG


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [KERNEL, "weights/standardize_1/mean"])
def test_weights_that_are_not_finite_are_loaded_if_that_is_allowed(valid, name, value):
    with h5py.File(valid.path) as file:
        values = file[name][...]
    values.flat[1] = value
    put_tensor(valid, name, values)
    model = microframe.load(valid.path, allow_nonfinite=True)
    layer, array = name.split("/")[1:]
    loaded = {**model.weights[layer], **model.network.state[layer]}[array]
    assert loaded.tobytes() == values.tobytes()
    assert model.checkpoint is not None


def test_what_is_recorded_may_be_nan(valid):
    with valid.reopened() as file:
        file["records/loss"] = np.array([1.0, math.nan])
    valid.list("records/loss", dtype="<f8")
    np.testing.assert_array_equal(microframe.load(valid.path).records["loss"], [1.0, math.nan])


def test_a_file_of_another_digest_than_was_asked_for_is_refused(valid, refused):
    error = refused(valid.path, lambda path: microframe.load(path, sha256="0" * 64))
    assert error.code == Code.FILE_DIGEST


@pytest.mark.parametrize("digest", ["", "x", "0" * 63, "0" * 63 + "g", b"0" * 64, 5])
def test_what_is_no_digest_is_a_mistake_of_the_caller(valid, digest):
    with pytest.raises(UsageError, match="sha256: expected 64 hexadecimal digits, received"):
        microframe.load(valid.path, sha256=digest)


def test_a_file_of_the_digest_that_was_asked_for_is_loaded(valid):
    digest = hashlib.sha256(valid.path.read_bytes()).hexdigest()
    assert microframe.load(valid.path, sha256=digest.upper()).is_built


def test_the_digest_is_checked_before_anything_else(valid, refused):
    valid.path.write_bytes(b"no HDF5 file")
    assert refused(valid.path, lambda path: microframe.load(path, sha256="0" * 64)).code == Code.FILE_DIGEST


@pytest.mark.parametrize("name", ["shuffle", "noise"])
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"5", b"{}", b'{"bit_generator":"PCG64"}', b"\xff", b"[" * 2**16])
def test_a_state_of_a_generator_that_is_none_is_refused_when_it_is_read(valid, refused, name, text):
    put_tensor(valid, f"random/{name}", np.frombuffer(text, np.uint8))
    model = microframe.load(valid.path)
    error = refused(valid.path, lambda _: model.checkpoint)
    assert (error.code, error.where) == (Code.RANDOM_STATE, f"/random/{name}")


def test_a_file_whose_plugin_is_missing_is_refused_by_a_code_with_the_line_that_installs_it(valid):
    def change(manifest):
        manifest["providers"]["activation:gone.swish"] = {"plugin": "gone", "distribution": "microframe-gone"}
        first_layer(activation="gone.swish")(manifest)

    valid.edit(change)
    with pytest.raises(ModelFileError) as error:
        microframe.load(valid.path)
    assert (error.value.code, error.value.where) == (Code.PLUGIN, "/manifest")
    assert str(error.value).endswith('\npip install "microframe-gone"')


def test_a_state_that_a_generator_would_hang_in_is_refused(valid, refused):
    with h5py.File(valid.path) as file:
        state = json.loads(file["random/shuffle"][...].tobytes())
    state["state"]["inc"] -= 1
    put_tensor(valid, "random/shuffle", np.frombuffer(json.dumps(state).encode(), np.uint8))
    error = refused(valid.path, lambda path: microframe.load(path).checkpoint)
    assert (error.code, error.found) == (Code.RANDOM_STATE, "no state of a generator: an even increment")


def test_a_very_large_state_is_refused_before_it_is_read(valid, refused):
    put_tensor(valid, "random/noise", np.zeros(2**16 + 1, np.uint8))
    assert refused(valid.path).code == Code.RANDOM_STATE


def test_a_state_that_is_nested_very_deeply_is_not_parsed(valid, refused):
    put_tensor(valid, "random/noise", np.frombuffer(b"[" * 2**15 + b"]" * 2**15, np.uint8))
    model = microframe.load(valid.path)
    assert refused(valid.path, lambda _: model.checkpoint).found.endswith(": nested very deeply")


def test_a_state_of_another_generator_is_refused(valid, refused):
    state = dict(np.random.MT19937(0).state)
    state["state"] = {"key": state["state"]["key"].tolist(), "pos": 1}
    put_tensor(valid, "random/noise", np.frombuffer(json.dumps(state).encode(), np.uint8))
    assert refused(valid.path, lambda path: microframe.load(path).checkpoint).code == Code.RANDOM_STATE


def test_a_checkpoint_is_not_read_from_another_file_than_the_model(valid, refused):
    model = microframe.load(valid.path)
    put(valid, 0.25, "threshold")
    for read in (lambda _: model.checkpoint, lambda _: model.save(valid.folder / "again.h5")):
        error = refused(valid.path, read)
        assert error.code == Code.CHANGED
        assert error.found.endswith("save(..., resumable=False) does without it")
    model.save(valid.folder / "again.h5", resumable=False)
    assert microframe.load(valid.folder / "again.h5").checkpoint is None


def test_a_file_that_changes_while_it_is_read_is_refused(valid):
    with ModelFile(valid.path) as file:
        os.utime(valid.path, (1, 1))
        with pytest.raises(ModelFileError) as error:
            file.read(KERNEL)
    assert error.value.code == Code.CHANGED


def test_a_process_that_does_not_end_is_ended(valid, monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS", 0.0)
    monkeypatch.setattr(isolation, "BYTES_A_SECOND", 1e99)
    with pytest.raises(ModelFileError) as error:
        microframe.load(valid.path, isolate=True)
    assert error.value.code == Code.ISOLATED


def test_a_file_that_cannot_be_written_has_a_code_as_well(valid):
    with pytest.raises(ModelFileError) as error:
        write_model_file(valid.folder / "nowhere" / "model.h5", {}, {})
    assert error.value.code == Code.WRITE


OTHERS = {
    Code.FILE_DIGEST,
    Code.HIDDEN_BYTES,
    Code.RANDOM_STATE,
    Code.CHANGED,
    Code.ISOLATED,
    Code.MEMORY,
    Code.PLUGIN,
    Code.WRITE,
}
"""The codes that take more than a file; the tests above reach them, and those of `test_one_reading`."""


def test_every_code_is_reached():
    reached = {parameters.values[0] for parameters in EVERY_CASE}
    assert reached | OTHERS == set(Code)
    assert not reached & OTHERS


def test_every_code_is_called_what_it_is():
    assert all(code == f"E_{code.name}" for code in Code)


IN_LITTLE_MEMORY = """
import json, resource, sys
import microframe
from microframe import ModelFileError, UsageError

pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 256 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    microframe.load(sys.argv[1])
except ModelFileError as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    ("code", "edits"),
    [
        (Code.TENSORS, [first_layer(units=10**9)]),
        (Code.TENSORS, [lambda manifest: manifest.update(input_shape=[10**9])]),
        (Code.SHAPE, [first_layer(units=10**9), lambda m: m["tensors"][KERNEL].update(shape=[3, 10**9])]),
    ],
    ids=["units", "inputs", "units and table"],
)
def test_a_configuration_of_a_network_larger_than_the_file_allocates_nothing(valid, refused, code, edits):
    for edit in edits:
        valid.edit(edit)
    tracemalloc.start()
    try:
        assert refused(valid.path).code == code
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory")
@pytest.mark.parametrize(("code", "stored"), [(Code.TENSORS, True), (Code.STORAGE, False)])
def test_nor_does_it_in_a_process_that_would_die_of_it(valid, code, stored):
    valid.edit(first_layer(units=10**9))
    if not stored:
        create(valid, late, (3, 10**9))
        valid.list(KERNEL, shape=[3, 10**9])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", IN_LITTLE_MEMORY, str(valid.path)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert process.stdout == f"{code}\n", process.stderr


@pytest.mark.parametrize("count", [200])
def test_datasets_that_share_their_bytes_take_none_in_total(valid, refused, count):
    """Each is within the file, and all of them together are larger than it."""
    size = 2**16
    with valid.reopened() as file:
        for number in range(count):
            file[f"records/{number}"] = np.zeros(size if number == 0 else 4, np.uint8)
        first = file["records/0"].id.get_offset()
    digest = hashlib.sha256(bytes(size)).hexdigest()
    entry = {"dtype": "|u1", "shape": [size], "sha256": digest}
    valid.edit(lambda manifest: manifest["tensors"].update({f"records/{number}": entry for number in range(count)}))
    data = valid.bytes()
    for number in range(1, count):
        name = f"records/{number}"
        data.put(data.message(name, DATASPACE) + 4, "<2Q", size, size)
        data.put(data.message(name, LAYOUT) + 2, "<2Q", first, size)
    data.save()
    tracemalloc.start()
    try:
        assert refused(valid.path).code == Code.OVERLAP
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20 < count * size
