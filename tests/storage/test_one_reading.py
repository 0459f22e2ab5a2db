"""A file is the same model to microframe and to every HDF5 tool, and has no place for anything else."""

from __future__ import annotations

import runpy
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import microframe
from microframe import Model, ModelFileError
from microframe.standard.layers import Dense
from microframe.storage import ModelFile, write_model_file

TOOLS = runpy.run_path(str(Path(__file__).parent / "mutations" / "blocks.py"))
COUNT = 12
"""Layers: more than the library keeps without a heap."""


class Large:
    """A valid file with a heap, whose bytes are changed and whose checksums are then right again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        Model([Dense(2)] * COUNT).build((2,)).save(path)
        self.data = bytearray(path.read_bytes())
        self.layout = TOOLS["Blocks"](bytes(self.data))

    def block(self, kind: str) -> Any:
        return next(block for block in self.layout.blocks if block.kind == kind and block.path == "weights")

    def fields(self, kind: str, name: str) -> list[Any]:
        return [field for field in self.block(kind).fields if field.name == name]

    def code(self, kind: str) -> str:
        """The code by which it is refused after a change to a block of `kind`."""
        TOOLS["fix_checksums"](self.data, [self.block(kind)])
        self.path.write_bytes(self.data)
        with pytest.raises(ModelFileError) as error:
            microframe.load(self.path)
        return error.value.code


@pytest.fixture
def large(tmp_path) -> Large:
    return Large(tmp_path / "large.h5")


def test_bytes_between_the_parts_of_a_file_are_refused(trained_file):
    data = trained_file.read_bytes()
    with ModelFile(trained_file) as file:
        gaps = [(begin, end) for begin, end, _ in file._structure.gaps()]
    assert gaps
    for begin, end in gaps:
        assert not any(data[begin:end])
        trained_file.write_bytes(data[: end - 1] + b"x" + data[end:])
        with pytest.raises(ModelFileError) as error:
            ModelFile(trained_file)
        assert error.value.code == "E_HIDDEN_BYTES"


def test_an_archive_at_the_end_is_refused_also_where_the_file_says_that_it_ends_behind_it(trained_file, bytes_of):
    data = bytes_of(trained_file)
    for content, code in ((b"PK\5\6" + bytes(18), "E_HIDDEN_BYTES"), (bytes(2**17), "E_HIDDEN_BYTES")):
        data = bytes_of(trained_file)
        data.data += content
        data.put(28, "<Q", len(data.data))
        data.save()
        with pytest.raises(ModelFileError) as error:
            ModelFile(trained_file)
        assert error.value.code == code
        trained_file.write_bytes(bytes(data.data[: -len(content)]))


def test_what_is_marked_as_empty_is(trained_file, bytes_of):
    data = bytes_of(trained_file)
    _, at, size = next(message for message in data.messages("weights/dense_1/kernel") if not message[0] and message[2])
    data.data[at + size - 1] = 1
    data.save()
    with pytest.raises(ModelFileError) as error:
        ModelFile(trained_file)
    assert (error.value.code, error.value.where) == ("E_HIDDEN_BYTES", "/weights/dense_1/kernel")


def behind_the_links(large: Large) -> int:
    """Where in the heap of the weights nothing is any more."""
    last = max(large.fields("heap_block", "stored_link.address"), key=lambda field: field.start)
    return last.start + last.width


def test_links_that_microframe_would_not_see_are_refused(large):
    large.data[behind_the_links(large) + 1] = 1
    assert large.code("heap_block") == "E_HIDDEN_BYTES"


def test_a_name_that_leads_others_to_a_hidden_link_is_refused(large, tmp_path):
    """The HDF5 library looks a name up in the index, which leads it to another link than the one in the list."""
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["layer/kernel"] = np.full((2, 2), 666.0)
    value = b"\0" + bytes(tmp_path / "other.h5") + b"\0/layer\0"
    link = b"\x01\x08\x40\x07dense_1" + struct.pack("<H", len(value)) + value
    place = behind_the_links(large) + 1
    large.data[place : place + len(link)] = link
    wanted = TOOLS["lookup3"](b"dense_1")
    names, places = large.fields("node", "node.name"), large.fields("node", "node.place")
    at = next(where for name, where in zip(names, places, strict=True) if large.layout.number(name.start, 4) == wanted)
    struct.pack_into("<BIH", large.data, at.start, 0, place - large.block("heap_block").start, len(link))
    TOOLS["fix_checksums"](large.data, [large.block("heap_block")])
    assert large.code("node") == "E_STRUCTURE"
    with h5py.File(large.path) as file:
        assert file["weights/dense_1/kernel"][0, 0] == 666, "which is what this is about"


def swap(data: bytearray, one: Any, other: Any) -> None:
    first, second = (bytes(data[field.start : field.start + field.width]) for field in (one, other))
    data[one.start : one.start + one.width], data[other.start : other.start + other.width] = second, first


def test_an_index_that_leads_to_other_links_of_the_group_is_refused(large):
    swap(large.data, *large.fields("node", "node.place")[:2])
    assert large.code("node") == "E_CHECKSUM"


def test_an_index_in_which_a_name_cannot_be_found_is_refused(large):
    for name in ("node.place", "node.name"):
        swap(large.data, *large.fields("node", name)[:2])
    assert large.code("node") == "E_STRUCTURE"


def test_an_index_of_another_group_s_links_or_of_some_alone_is_refused(large):
    first, second = large.fields("node", "node.place")[:2]
    large.data[first.start : first.start + 7] = large.data[second.start : second.start + 7]
    assert large.code("node") == "E_STRUCTURE"
    large.data[large.fields("tree", "tree.all")[0].start] -= 1
    assert large.code("tree") == "E_STRUCTURE"


def test_nothing_stands_behind_the_records_of_an_index(large):
    block = large.block("node")
    large.data[block.start + block.size - 1] = 1
    assert large.code("node") == "E_STRUCTURE"


@pytest.mark.parametrize("count", [9, 46, 600, 3000])
def test_the_index_of_a_group_of_any_size_is_that_of_its_links(tmp_path, count):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {f"records/record_{number}": np.float32([number]) for number in range(count)})
    with ModelFile(path) as file, h5py.File(path) as other:
        assert sorted(file.paths("records")) == sorted(other["records"])
        assert all(
            other[f"records/{name}"][0] == file.read(f"records/{name}")[0] for name in file.paths("records")[::50]
        )


@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 11])
@pytest.mark.parametrize("name", ["/", "weights", "weights/dense_1/kernel"])
def test_messages_that_end_early_are_refused_and_no_bug(trained_file, bytes_of, name, length):
    content, refused = trained_file.read_bytes(), 0
    for kind, at, size in bytes_of(trained_file).messages(name):
        if kind and size >= length + 4:
            data = bytes_of(trained_file)
            data.messages(name)
            data.put(at - 3, "<H", length)
            data.data[at + length : at + size] = struct.pack("<BHB", 0, size - length - 4, 0).ljust(
                size - length, b"\0"
            )
            data.save()
            with pytest.raises(ModelFileError):
                ModelFile(trained_file)
            trained_file.write_bytes(content)
            refused += 1
    assert refused >= 2
