from __future__ import annotations

import struct

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microframe.storage import write_model_file
from microframe.storage.codes import Refused
from microframe.storage.hdf5 import NAME, Structure, groups_of


def structure_of(path):
    data = path.read_bytes()
    return Structure(lambda offset, size: data[offset : offset + size], len(data), lambda _: None)


@pytest.fixture
def refused():
    """Gives the code with which bytes are refused."""

    def refused(data):
        with pytest.raises(Refused) as error:
            Structure(lambda offset, size: bytes(data[offset : offset + size]), len(data), lambda _: None)
        return str(error.value.code)

    return refused


def test_every_dataset_is_where_the_library_says_it_is(trained_file):
    structure = structure_of(trained_file)
    found, groups = {}, set()

    def visit(name, node):
        if isinstance(node, h5py.Group):
            groups.add(name)
        else:
            found[name] = (node.id.get_offset() or 0, node.nbytes, node.dtype.str, node.shape)

    with h5py.File(trained_file) as file:
        file.visititems(visit)
        attributes = dict(file.attrs)
    assert {name: tuple(vars(stored).values()) for name, stored in structure.datasets.items()} == found
    assert structure.groups == groups
    assert structure.attributes == attributes


def test_a_dataset_without_elements_takes_no_bytes(model_file):
    stored = structure_of(model_file).datasets["weights/empty"]
    assert (stored.size, stored.shape) == (0, (0, 4))


@pytest.mark.parametrize(("count", "length", "tables"), [(9, 1, 0), (60, 240, 1), (2300, 240, 2)])
def test_links_of_a_large_group_are_found_in_every_block_of_its_heap(tmp_path, count, length, tables):
    names = [f"{'n' * length}{number}" for number in range(count)]
    write_model_file(tmp_path / "model.h5", {}, {f"records/{name}": np.float32([len(name)]) for name in names})
    data = (tmp_path / "model.h5").read_bytes()
    assert data.count(b"FHIB") == tables
    assert structure_of(tmp_path / "model.h5").datasets.keys() == {"manifest", *(f"records/{name}" for name in names)}


def heap_of(tmp_path, count):
    """A file with a group so large that its links are in a heap, and where the heap begins."""
    write_model_file(tmp_path / "model.h5", {}, {f"records/{number}": np.zeros(2) for number in range(count)})
    data = bytearray((tmp_path / "model.h5").read_bytes())
    return data, data.index(b"FRHP")


@pytest.mark.parametrize(
    ("offset", "layout", "value"),
    [
        pytest.param(4, "<B", 1, id="version"),
        pytest.param(7, "<H", 8, id="filters"),
        pytest.param(9, "<B", 0, id="no checksums"),
        pytest.param(9, "<B", 3, id="wrapped ids"),
        pytest.param(70, "<Q", 19, id="one link fewer"),
        pytest.param(70, "<Q", 2**63, id="links without end"),
        pytest.param(78, "<Q", 1, id="huge objects"),
        pytest.param(102, "<Q", 1, id="tiny objects"),
        pytest.param(110, "<H", 0, id="no columns"),
        pytest.param(110, "<H", 65535, id="many columns"),
        pytest.param(112, "<Q", 0, id="empty blocks"),
        pytest.param(112, "<Q", 8, id="blocks smaller than their heads"),
        pytest.param(112, "<Q", 2**63, id="large blocks"),
        pytest.param(120, "<Q", 2**40, id="larger blocks"),
        pytest.param(128, "<H", 0, id="no offsets"),
        pytest.param(128, "<H", 65535, id="wide offsets"),
        pytest.param(140, "<H", 65, id="many rows"),
        pytest.param(140, "<H", 65535, id="very many rows"),
    ],
)
def test_a_heap_of_another_kind_is_refused(tmp_path, offset, layout, value, refused, lookup3_by_hand):
    data, heap = heap_of(tmp_path, 20)
    struct.pack_into(layout, data, heap + offset, value)
    struct.pack_into("<I", data, heap + 142, lookup3_by_hand(bytes(data[heap : heap + 142])))
    assert refused(data) == "E_STRUCTURE"


def test_a_heap_that_lists_one_block_twice_is_refused(tmp_path, refused, lookup3_by_hand):
    data, heap = heap_of(tmp_path, 60)
    table = data.index(b"FHIB")
    width, _, _, bits, _, root, rows = struct.unpack_from("<HQQHHQH", data, heap + 110)
    assert root == table
    first = table + 13 + -(-bits // 8)
    struct.pack_into("<Q", data, first + 8, struct.unpack_from("<Q", data, first)[0])
    end = first + 8 * width * rows
    struct.pack_into("<I", data, end, lookup3_by_hand(bytes(data[table:end])))
    assert refused(data) == "E_ALIAS", "its links lead to the objects of the first one"


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_links_in_a_heap_have_checksums_too(tmp_path, place, refused):
    data, _ = heap_of(tmp_path, 60)
    block = data.index(b"FHDB")
    data[block + 30 + int(place * 400)] ^= 1
    assert refused(data) in {"E_CHECKSUM", "E_STRUCTURE", "E_NAME", "E_TRUNCATED", "E_SOFT_LINK", "E_ALIAS"}


def test_reading_takes_no_more_of_the_file_than_its_metadata(trained_file):
    data, taken = trained_file.read_bytes(), []

    def read(offset, size):
        taken.append(size)
        return data[offset : offset + size]

    structure = Structure(read, len(data), lambda _: None)
    content = sum(stored.size for stored in structure.datasets.values())
    assert sum(taken) < 1.2 * (len(data) - content)


def test_a_structure_whose_headers_lie_in_each_other_is_refused_before_much_is_read(refused, lookup3_by_hand):
    """Each object's header reaches to the end of the file, so that reading all of them would take its square."""
    count, size = 1000, 60_000
    data = bytearray(size)
    links, step = [], 40
    for number in range(count):
        name = f"{number:04}".encode()
        links.append(bytes([1, 0, len(name)]) + name + struct.pack("<Q", 20_000 + number * step))
    messages = b"".join(struct.pack("<BHB", 6, len(link), 0) + link for link in links)
    root = b"OHDR\x02\x01" + struct.pack("<H", len(messages)) + messages
    data[48 : 48 + len(root)] = root
    struct.pack_into("<I", data, 48 + len(root), lookup3_by_hand(root))
    for number in range(count):
        at = 20_000 + number * step
        struct.pack_into("<4sBBH", data, at, b"OHDR", 2, 1, size - at - 12)
        struct.pack_into("<BHB", data, at + 8, 0, size - at - 16, 0)
    head = b"\x89HDF\r\n\x1a\n" + bytes([3, 8, 8, 0]) + struct.pack("<4Q", 0, 2**64 - 1, size, 48)
    data[:48] = head + struct.pack("<I", lookup3_by_hand(head))
    taken = []

    def read(offset, size):
        taken.append(size)
        return bytes(data[offset : offset + size])

    with pytest.raises(Refused) as error:
        Structure(read, size, lambda _: None)
    assert error.value.code == "E_STRUCTURE"
    assert sum(taken) < 4 * size


@pytest.mark.parametrize("name", ["a", "A1", "_", "0", "a.b", "a-b", "x" * 255])
def test_plain_names(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "-a", "a b", "a/b", "a\\b", "a:b", "a\n", "é", "x" * 256, "a\0"])
def test_other_names(name):
    assert not NAME.fullmatch(name)


@settings(max_examples=100, deadline=None)
@given(st.sets(st.from_regex(r"[ab](/[ab]){0,3}", fullmatch=True)))
def test_the_groups_of_paths_are_all_that_lead_to_them(paths):
    groups = groups_of(paths)
    assert all(any(path.startswith(f"{group}/") for path in paths) for group in groups)
    assert all(path.rpartition("/")[0] in groups for path in paths if "/" in path)
