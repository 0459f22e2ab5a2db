"""Objects, and what leads to them."""

from __future__ import annotations

import os

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from microframe.storage import Code

from .cases import BIAS, GROUP, KERNEL, LINK, LINK_INFO, refuses
from .datasets import early


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
