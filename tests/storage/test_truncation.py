"""A file that ends early, wherever something in it begins or ends, whatever it says of its own size."""

from __future__ import annotations

import gc
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import microframe
from microframe import Model, ModelFileError
from microframe.standard.layers import Dense

pytestmark = pytest.mark.usefixtures("in_time")

CONTENTS = ["header last", "heap last", "tensor last", "manifest last"]
SUPERBLOCK = 48
END = 28
"""Where the superblock says at which byte the file ends."""


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    """Where everything stands in a file, found without the reader that is under test."""
    return runpy.run_path(str(Path(__file__).parent / "mutations" / "blocks.py"))


@pytest.fixture(scope="module")
def contents(trained_bytes: bytes, tmp_path_factory: pytest.TempPathFactory, tools: dict[str, Any]) -> dict[str, bytes]:
    """Files that end in metadata, of a header and of a heap with several blocks, or in the data of a dataset."""
    path = tmp_path_factory.mktemp("truncation") / "layers.h5"
    Model([Dense(2)] * 30).build((2,)).save(path)
    assert b"FHIB" in path.read_bytes()
    return {
        "header last": trained_bytes,
        "heap last": path.read_bytes(),
        "tensor last": with_last(trained_bytes, "weights/dense_1/kernel", tools),
        "manifest last": with_last(trained_bytes, "manifest", tools),
    }


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """A model that nobody uses any more keeps the file open that it is mapped from, which other tests count."""
    yield
    gc.collect()


def with_last(content: bytes, path: str, tools: dict[str, Any]) -> bytes:
    """The same file, but for the data of a dataset, which lies at its end."""
    blocks = tools["Blocks"](content)
    place = blocks.datasets[path]
    data = bytearray(content + bytes(-len(content) % 64))
    data[place.layout : place.layout + 8] = len(data).to_bytes(8, "little")
    data += content[place.offset : place.offset + place.size]
    data[place.offset : place.offset + place.size] = bytes(place.size)
    tools["fix_checksums"](data, [block for block in blocks.blocks if block.path == path])
    return ending_at(bytes(data), len(data), tools)


def outcome(path: Path, content: bytes) -> str:
    """What comes of loading without digests, so that only the structure can tell that the end is missing."""
    path.write_bytes(content)
    try:
        microframe.load(path, mmap=True)
    except ModelFileError as error:
        return str(error.code)
    return "loaded"


def sizes_of(content: bytes, tools: dict[str, Any]) -> list[int]:
    """Every boundary of a block of metadata or of a dataset but the last, and a byte before each."""
    boundaries = tools["Blocks"](content).boundaries()
    assert (boundaries[0], boundaries[-1]) == (0, len(content))
    sizes = {size for edge in boundaries for size in (edge - 1, edge)}
    return sorted(sizes - {-1, len(content)})


def ending_at(content: bytes, size: int, tools: dict[str, Any]) -> bytes:
    """The first `size` bytes, of which the superblock says that they are all, with its checksum."""
    end = content[:END] + size.to_bytes(8, "little") + content[END + 8 : SUPERBLOCK - 4]
    return (end + tools["lookup3"](end).to_bytes(4, "little") + content[SUPERBLOCK:])[:size]


@pytest.mark.parametrize("name", CONTENTS)
def test_a_file_that_is_cut_at_any_boundary_is_refused_as_truncated(tmp_path, contents, tools, name):
    content, path = contents[name], tmp_path / "cut.h5"
    sizes = sizes_of(content, tools)
    assert len(sizes) > 100
    for size in sizes:
        assert outcome(path, content[:size]) == ("E_TRUNCATED" if size >= 8 else "E_NOT_HDF5"), size
    assert outcome(path, content) == "loaded"


@pytest.mark.parametrize("name", CONTENTS)
def test_so_is_one_that_says_that_it_ends_there(tmp_path, contents, tools, name):
    content, path = contents[name], tmp_path / "cut.h5"
    for size in sizes_of(content, tools):
        if size >= SUPERBLOCK:
            assert outcome(path, ending_at(content, size, tools)) == "E_TRUNCATED", size
    assert ending_at(content, len(content), tools) == content, "which loads"


def test_bytes_at_the_end_that_nobody_uses_are_missed_as_well(tmp_path, trained_bytes, tools):
    content, path = trained_bytes + bytes(64), tmp_path / "cut.h5"
    content = ending_at(content, len(content), tools)
    assert outcome(path, content) == "loaded"
    for size in (len(content) - 1, len(trained_bytes)):
        assert outcome(path, content[:size]) == "E_TRUNCATED"
    assert ending_at(content, len(trained_bytes), tools) == trained_bytes, "which loads"
