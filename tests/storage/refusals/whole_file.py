"""What is at the path, the bytes around the HDF5 data, and checksums."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

import h5py
import pytest

from microframe.storage import Code

from .cases import GROUP, KERNEL, refuses


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


def flip_checksum(valid, name):
    data = valid.bytes()
    at, size = data.messages(name)[-1][1:] if name else (40, 4)
    valid.path.write_bytes(data.data[: at + size] + bytes([data.data[at + size] ^ 1]) + data.data[at + size + 1 :])


for name in ("", "/", GROUP, KERNEL, "manifest"):
    refuses(Code.CHECKSUM, name or "superblock", flip_checksum, name)
