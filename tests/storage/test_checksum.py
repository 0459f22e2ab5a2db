from __future__ import annotations

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microframe.storage.checksum import first_mismatch, lookup3


@pytest.mark.parametrize(
    ("text", "checksum"),
    [
        # the first is the example in the author's lookup3.c, the others are of an implementation in plain Python
        (b"Four score and seven years ago", 0x17770551),
        (b"abcdefghijkl", 0x4012F87B),
        (b"a", 0x58D68708),
        (bytes(44), 0xB0B6DC57),
    ],
)
def test_known_checksums(text, checksum, lookup3_by_hand):
    assert lookup3([text]).tolist() == [checksum]
    assert lookup3_by_hand(text) == checksum


@settings(max_examples=100, deadline=None)
@given(blocks=st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=12))
def test_many_blocks_of_any_lengths_have_the_checksums_that_each_has_alone(blocks, lookup3_by_hand):
    assert lookup3(blocks).tolist() == [lookup3_by_hand(block) for block in blocks]


@pytest.mark.parametrize("length", range(1, 40))
def test_every_length_of_the_last_words_is_right(length, lookup3_by_hand):
    text = bytes(range(1, length + 1))
    assert lookup3([text]).tolist() == [lookup3_by_hand(text)]


@settings(max_examples=50, deadline=None)
@given(data=st.data(), blocks=st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=6))
def test_the_first_wrong_checksum_is_found_among_blocks_of_many_sizes(data, blocks, lookup3_by_hand):
    pairs = [(block, lookup3_by_hand(block)) for block in blocks]
    assert first_mismatch(pairs) is None
    wrong = data.draw(st.sets(st.integers(0, len(blocks) - 1), min_size=1))
    damaged = [(block, checksum ^ (position in wrong)) for position, (block, checksum) in enumerate(pairs)]
    assert first_mismatch(damaged) == min(wrong)


def test_nothing_has_no_mismatch():
    assert first_mismatch([]) is None


def test_it_is_the_checksum_that_the_hdf5_library_writes(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w", libver="v110"):
        pass
    superblock = (tmp_path / "file.h5").read_bytes()[:48]
    assert lookup3([superblock[:-4]]).tobytes() == superblock[-4:]
