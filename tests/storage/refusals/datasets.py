"""How datasets are stored."""

from __future__ import annotations

import functools
import hashlib

import h5py
from h5py import h5d, h5p, h5s, h5t, h5z

from microframe.storage import Code

from .cases import DATASPACE, DATATYPE, GROUP, KERNEL, LAYOUT, refuses


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
