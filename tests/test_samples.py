from __future__ import annotations

from unittest import mock

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe import DataError
from microframe import samples as module
from microframe.samples import Batch, Samples, as_rows, split_rows

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
SEEDS = st.integers(0, 1000)


class RowsOfAFile:
    """What an HDF5 dataset shows of itself, with a list of the stretches that were read."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self.reads: list[tuple[int, int]] = []

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert isinstance(rows, slice), "blocks are read as slices"
        assert rows.step in {None, 1}
        self.reads.append((rows.start, rows.stop))
        return self._array[rows].copy()


def numbered(count: int, columns: int = 3, dtype: str = "float64") -> np.ndarray:
    """Rows that can be told apart by their first value, which is ten times their number."""
    return (10 * np.arange(count)[:, None] + np.arange(columns)).astype(dtype)


def collect(samples: Samples, size: int, seed: int | None = None, dtype: np.dtype = FLOAT32) -> list[Batch]:
    """The batches, copied, as each overwrites the one before it."""
    rng = None if seed is None else np.random.default_rng(seed)
    everything = np.arange(len(samples))
    return [
        Batch(everything[batch.rows], *(None if part is None else np.array(part) for part in batch[1:]))
        for batch in samples.batches(size, dtype, rng)
    ]


def joined(batches: list[Batch], part: str) -> np.ndarray:
    return np.concatenate([getattr(batch, part) for batch in batches])


@st.composite
def parts(draw: st.DrawFn) -> Samples:
    """A part of an array or of a file, with targets and weights that say which row they belong to."""
    count = draw(st.integers(1, 40))
    chosen = draw(st.none() | st.sets(st.integers(0, count - 1), min_size=1).map(sorted))
    rows = None if chosen is None else np.array(chosen)
    all_rows = np.arange(count) if rows is None else rows
    inputs = numbered(count)
    source = RowsOfAFile(inputs) if draw(st.booleans()) else inputs
    return Samples(source, target=all_rows * 1.0, labels=all_rows, weight=all_rows + 0.5, rows=rows)


@given(samples=parts(), size=st.integers(1, 12), seed=st.none() | SEEDS, block=st.integers(1, 600))
def test_batches_hold_every_row_of_the_part_once_with_its_own_target_and_weight(samples, size, seed, block):
    with mock.patch.object(module, "BLOCK_BYTES", block):
        batches = collect(samples, size, seed)
    rows = joined(batches, "rows")
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(samples)))
    if seed is None:
        np.testing.assert_array_equal(rows, np.arange(len(samples)))
    whole = samples.labels[rows]
    np.testing.assert_array_equal(joined(batches, "inputs"), numbered(1000)[whole])
    np.testing.assert_array_equal(joined(batches, "target"), whole)
    np.testing.assert_array_equal(joined(batches, "weight"), whole + 0.5)


@given(samples=parts(), size=st.integers(1, 12), seed=st.none() | SEEDS, block=st.integers(1, 600))
def test_only_the_last_batch_may_be_smaller(samples, size, seed, block):
    with mock.patch.object(module, "BLOCK_BYTES", block):
        lengths = [len(batch.inputs) for batch in collect(samples, size, seed)]
    assert lengths[:-1] == [size] * (len(lengths) - 1)
    assert 1 <= lengths[-1] <= size


@pytest.mark.parametrize("source", [np.asarray, RowsOfAFile])
def test_the_same_generator_shuffles_alike_and_the_next_epoch_differently(source):
    samples = Samples(source(numbered(50)))
    assert joined(collect(samples, 8, 1), "rows").tolist() == joined(collect(samples, 8, 1), "rows").tolist()
    assert joined(collect(samples, 8, 1), "rows").tolist() != joined(collect(samples, 8, 2), "rows").tolist()
    rng = np.random.default_rng(1)
    first, second = ([batch.inputs[0, 0] for batch in samples.batches(8, FLOAT32, rng)] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("source", [np.asarray, RowsOfAFile])
def test_samples_without_targets_give_batches_without(source):
    for seed in (None, 0):
        batch = collect(Samples(source(numbered(3))), 2, seed)[0]
        assert batch.target is None
        assert batch.weight is None


@pytest.mark.parametrize("source", [np.asarray, RowsOfAFile])
@pytest.mark.parametrize("stored", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("wanted", [FLOAT32, FLOAT64, np.dtype("int64")])
@pytest.mark.parametrize("seed", [None, 0])
def test_inputs_come_in_the_dtype_asked_for(source, stored, wanted, seed):
    batches = collect(Samples(source(numbered(9, dtype=stored))), 4, seed, wanted)
    assert {batch.inputs.dtype for batch in batches} == {wanted}
    rows = joined(batches, "rows")
    np.testing.assert_array_equal(joined(batches, "inputs"), numbered(9)[rows])


@pytest.mark.parametrize("source", [np.asarray, RowsOfAFile])
@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("rows", [None, np.array([0, 2, 3])])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_a_missing_value_is_filled_by_its_column_and_the_data_stays_as_it_is(source, seed, rows, dtype):
    inputs = numbered(4)
    inputs[0, 1] = inputs[2, 1] = inputs[3, 2] = np.nan
    untouched = inputs.copy()
    batches = collect(Samples(source(inputs), rows=rows, fill=np.array([7.0, 8.0, 9.0])), 2, seed, dtype)
    expected = numbered(4)
    expected[0, 1] = expected[2, 1] = 8
    expected[3, 2] = 9
    chosen = np.arange(4) if rows is None else rows
    np.testing.assert_array_equal(joined(batches, "inputs"), expected[chosen[joined(batches, "rows")]])
    np.testing.assert_array_equal(inputs, untouched)


def test_missing_values_stay_where_nothing_fills_them():
    inputs = np.array([[np.nan, 1.0]])
    np.testing.assert_array_equal(collect(Samples(inputs), 1)[0].inputs, inputs)


def test_batches_of_an_array_in_order_are_views_of_it():
    inputs, target = numbered(10), np.arange(10.0)
    for batch in Samples(inputs, target).batches(4, FLOAT64):
        assert np.shares_memory(batch.inputs, inputs)
        assert np.shares_memory(batch.target, target)


def test_shuffled_batches_of_a_size_share_one_array():
    batches = list(Samples(numbered(12), np.arange(12.0)).batches(4, FLOAT64, np.random.default_rng(0)))
    assert len({id(batch.inputs) for batch in batches}) == len({id(batch.target) for batch in batches}) == 1


@given(count=st.integers(1, 60), size=st.integers(1, 9), seed=st.none() | SEEDS, block=st.integers(1, 900))
def test_a_file_is_read_once_in_blocks_of_bounded_size(count, size, seed, block):
    source = RowsOfAFile(numbered(count))
    row_bytes = 3 * 8
    with mock.patch.object(module, "BLOCK_BYTES", block):
        collect(Samples(source), size, seed)
    read = sorted(source.reads)
    assert [start for start, _ in read] == [0, *(stop for _, stop in read[:-1])]
    assert read[-1][1] == count
    assert all((stop - start) * row_bytes <= max(block, size * row_bytes) for start, stop in read)


def test_blocks_of_a_file_without_rows_of_the_part_are_not_read():
    source = RowsOfAFile(numbered(100))
    with mock.patch.object(module, "BLOCK_BYTES", 10 * 24):
        batches = collect(Samples(source, rows=np.arange(52, 58)), 2)
    assert source.reads == [(50, 60)]
    np.testing.assert_array_equal(joined(batches, "inputs")[:, 0], 10 * np.arange(52, 58))


@pytest.mark.parametrize("seed", [None, 3])
def test_an_open_hdf5_dataset_gives_its_rows(tmp_path, seed):
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(module, "BLOCK_BYTES", 200):
        file["x"] = numbered(30, dtype="uint8")
        batches = collect(Samples(as_rows(file["x"], FLOAT32), rows=np.arange(0, 30, 2)), 4, seed)
    rows = joined(batches, "rows")
    np.testing.assert_array_equal(np.sort(rows), np.arange(15))
    np.testing.assert_array_equal(joined(batches, "inputs"), numbered(30, dtype="uint8")[2 * rows])


def test_rows_of_a_file_are_shuffled_within_blocks_and_the_blocks_among_themselves():
    with mock.patch.object(module, "BLOCK_BYTES", 10 * 24):
        rows = joined(collect(Samples(RowsOfAFile(numbered(100))), 5, 0), "rows")
    blocks = rows.reshape(10, 10) // 10
    assert (blocks == blocks[:, :1]).all()
    assert blocks[:, 0].tolist() != sorted(blocks[:, 0].tolist())
    assert any(block.tolist() != sorted(block.tolist()) for block in rows.reshape(10, 10))


def test_floating_point_arrays_are_cast_down_at_once_and_other_ones_batch_by_batch(tmp_path):
    assert as_rows(np.zeros((2, 2)), FLOAT32).dtype == FLOAT32
    assert as_rows([[1, 2]], FLOAT32).dtype == np.int64
    assert as_rows(np.zeros((2, 2), np.uint8), FLOAT32).dtype == np.uint8
    memory_map = np.memmap(tmp_path / "map", np.float64, "w+", shape=(2, 2))
    assert as_rows(memory_map, FLOAT32) is memory_map
    single = np.zeros((2, 2), np.float32)
    assert as_rows(single, FLOAT32) is single
    assert as_rows(single, FLOAT64) is single
    assert as_rows(single, np.dtype("int64")).dtype == np.int64


@pytest.mark.parametrize("source", [np.asarray, RowsOfAFile])
@pytest.mark.parametrize("seed", [None, 0])
def test_a_value_beyond_the_range_of_the_dtype_becomes_infinite_without_a_warning(source, seed):
    inputs = np.array([[1e300], [1.0]])
    assert sorted(joined(collect(Samples(source(inputs)), 1, seed), "inputs")[:, 0]) == [1, np.inf]
    assert as_rows(inputs, FLOAT32).tolist() == [[np.inf], [1]]


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, 1e300])
def test_values_with_a_fraction_are_no_indices_wherever_they_come_from(tmp_path, value):
    inputs, whole = np.array([[1.0, 2.0], [3.0, value]]), np.dtype("int64")
    with pytest.raises(DataError, match="expected whole numbers"):
        as_rows(inputs, whole)
    memory_map = np.memmap(tmp_path / "map", np.float64, "w+", shape=(2, 2))
    memory_map[:] = inputs
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = inputs
        for source in (memory_map, file["x"]):
            for seed in (None, 0):
                with pytest.raises(DataError, match="expected whole numbers"):
                    collect(Samples(as_rows(source, whole)), 2, seed, whole)


def test_text_is_no_input():
    with pytest.raises(DataError, match="expected an array of numbers, received dtype <U1"):
        as_rows([["a"], ["b"]])


@given(
    count=st.integers(0, 60),
    share=st.floats(0, 1),
    how=st.sampled_from(["auto", "stratified", "shuffled", "tail"]),
    seed=SEEDS,
)
def test_a_split_divides_the_rows_and_keeps_their_order(count, share, how, seed):
    labels = np.random.default_rng(seed).integers(0, 3, count)
    kept, held_out = split_rows(count, share, how, labels, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(count))
    assert len(held_out) == round(count * share)
    for rows in (kept, held_out):
        assert (np.diff(rows) > 0).all()
    if how == "tail":
        np.testing.assert_array_equal(held_out, np.arange(count - len(held_out), count))


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    share=st.floats(0, 1),
    how=st.sampled_from(["auto", "stratified"]),
    seed=SEEDS,
)
def test_a_stratified_split_holds_out_the_share_of_each_class(counts, share, how, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    _, held_out = split_rows(len(labels), share, how, labels, rng)
    for label, count in enumerate(counts):
        # each class is off by less than a row of its share of what is held out, whose own rounding adds a little
        allowed = 1 + count * len(counts) / len(labels)
        assert abs(np.sum(labels[held_out] == label) - count * share) <= allowed


@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    held_out=st.integers(0, 50),
    how=st.sampled_from(["auto", "stratified"]),
    seed=SEEDS,
)
def test_a_stratified_split_keeps_a_row_of_each_class_where_enough_are_kept(counts, held_out, how, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    share = min(held_out, len(labels) - len(counts)) / len(labels)
    kept, _ = split_rows(len(labels), share, how, labels, np.random.default_rng(seed))
    assert set(labels[kept]) == set(range(len(counts)))


def test_which_row_of_a_class_is_sure_to_be_kept_is_drawn():
    labels = np.repeat([0, 1], [20, 5])
    first = [split_rows(25, 0.92, "stratified", labels, np.random.default_rng(seed))[0] for seed in range(20)]
    assert len({tuple(kept) for kept in first}) > 10


def test_equal_classes_are_held_out_equally():
    labels = np.tile([0, 1, 2], 50)
    _, held_out = split_rows(150, 0.2, "stratified", labels, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(labels[held_out]), [10, 10, 10])


def test_a_split_is_drawn_by_its_generator():
    def held_out(seed: int, how: str) -> list[int]:
        labels = np.arange(40) % 2
        return split_rows(40, 0.5, how, labels, np.random.default_rng(seed))[1].tolist()

    for how in ("stratified", "shuffled"):
        assert held_out(1, how) == held_out(1, how)
        assert held_out(1, how) != held_out(2, how)


def test_without_classes_auto_draws_freely_and_stratified_is_refused():
    rng = np.random.default_rng(0)
    _, held_out = split_rows(100, 0.3, "auto", None, rng)
    assert held_out.tolist() != list(range(70, 100))
    with pytest.raises(DataError, match="needs classes"):
        split_rows(10, 0.3, "stratified", None, rng)
