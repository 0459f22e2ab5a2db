from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.errors import DataError
from microframe.interfaces import Dataset
from microframe.network import Network
from microframe.preparation import (
    check_classes,
    check_count,
    check_inputs,
    column_means,
    divide,
    number_classes,
    prepare,
)
from microframe.standard.layers import Dense, Embedding
from microframe.standard.losses import BinaryCrossEntropy, CrossEntropy, MeanSquaredError

NAMES = st.one_of(
    st.lists(st.text(max_size=3), min_size=1, unique=True),
    st.lists(st.integers(-(2**40), 2**40), min_size=1, unique=True),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, unique=True),
)


def classifier(units=3, inputs=2):
    return Network([Dense(units, "softmax")], (inputs,))


@given(NAMES.map(lambda names: [name for name in names if "\0" not in str(name)]).filter(bool), st.data())
def test_labels_become_the_numbers_of_their_sorted_names(names, data):
    labels = data.draw(st.lists(st.sampled_from(names), min_size=1))
    numbers, classes = number_classes(labels, None)
    assert list(classes) == sorted(set(labels))
    assert [classes[number] for number in numbers] == labels
    assert {type(name) for name in classes} <= {str, int, float}
    again, known = number_classes(labels, classes)
    assert known is classes
    np.testing.assert_array_equal(again, numbers)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["b", "a", "b"], ("a", "b")),
        (np.array(["b", "a", "b"], object), ("a", "b")),
        (np.array([3, -1, 3], np.int16), (-1, 3)),
        (np.array([1.5, 0.5, 1.5], np.float32), (0.5, 1.5)),
        ([True, False, True], (False, True)),
        ([["b"], ["a"], ["b"]], ("a", "b")),
        (np.array([[7], [5], [7]]), (5, 7)),
    ],
)
def test_names_are_plain_python_whatever_the_labels_were(labels, names):
    numbers, classes = number_classes(labels, None)
    assert classes == names
    assert [type(name) for name in classes] == [type(name) for name in names]
    assert numbers.tolist() == [1, 0, 1]
    assert numbers.shape == (3,)


def test_known_classes_keep_their_numbers_also_when_some_do_not_occur():
    numbers, classes = number_classes(["c", "a"], ("a", "b", "c"))
    assert (numbers.tolist(), classes) == ([2, 0], ("a", "b", "c"))
    assert number_classes([1.0, 0.0], (0, 1))[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["a", "setsoa"],
            "target: expected one of the classes ['setosa', 'a'], received 'setsoa' (did you mean 'setosa'?)",
        ),
        (["b"], "target: expected one of the classes ['setosa', 'a'], received 'b'"),
        ([3], "target: expected one of the classes ['setosa', 'a'], received 3"),
        ([np.nan], "target: expected one of the classes ['setosa', 'a'], received nan"),
    ],
)
def test_a_label_that_is_not_known_is_named_with_the_nearest(labels, message):
    with pytest.raises(DataError) as error:
        number_classes(labels, ("setosa", "a"))
    assert str(error.value) == message


@pytest.mark.parametrize(
    "labels",
    [
        [1.0, np.nan],
        [np.inf, 0.0],
        [1j, 2],
        np.array(["2020-01-01"], "datetime64[D]"),
        np.array([None, 1], object),
        np.array(["a", 1], object),
    ],
)
def test_labels_that_no_file_could_hold_are_refused_before_training(labels):
    with pytest.raises(DataError, match="target: expected labels"):
        number_classes(labels, None)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (("a" * 4097, "b"), r"texts of at most 4096 characters or 64-bit numbers, received 'aaaa.*\.\.\.$"),
        ((2**64, 0), "64-bit numbers, received 18446744073709551616$"),
        ((None, "a"), "64-bit numbers, received None$"),
        (("a", "b", "a"), "classes that differ, received 'a' twice$"),
        ((1, 1.0), "classes that differ, received 1 twice$"),
        ((), "at least two classes, received none$"),
    ],
)
def test_names_of_classes_that_no_file_may_have_are_refused(classes, message):
    check_classes(("a" * 4096, 2**64 - 1, -(2**63), 0.5, True), (5,))
    with pytest.raises(DataError, match=f"^target: expected .*{message}"):
        check_classes(classes, (len(classes),))


@pytest.mark.parametrize(
    ("loss", "target", "expected"),
    [
        (CrossEntropy(), np.zeros(3), True),
        (CrossEntropy(), np.zeros((3, 1)), True),
        (CrossEntropy(), np.zeros((3, 2)), False),
        (CrossEntropy(), np.zeros((3, 1, 1)), False),
        (CrossEntropy(), ["a", "b"], True),
        (MeanSquaredError(), np.zeros(3), False),
        (BinaryCrossEntropy(), np.array([0.0, 1.0]), True),
        (BinaryCrossEntropy(), np.array([0.2, 0.8]), False),
    ],
)
def test_one_target_a_sample_is_a_label_where_the_loss_is_of_classes(loss, target, expected):
    assert loss.takes_labels(np.asarray(target)) == expected


@given(
    st.integers(1, 200),
    st.floats(0, 0.45),
    st.floats(0, 0.45),
    st.sampled_from(["auto", "stratified", "shuffled", "tail"]),
    st.integers(0, 99),
)
def test_a_division_holds_every_row_once_with_shares_of_all_rows(count, test, validation, how, seed):
    labels = np.random.default_rng(seed).integers(0, 3, count)
    try:
        parts = divide(count, test, validation, how, labels, seed)
    except DataError:
        held_out = round(count * test)
        validated = round((count - held_out) * validation / (1 - test))
        assert held_out + validated == count or (test > 0 and not held_out) or (validation > 0 and not validated)
        return
    rows = [parts.train, parts.validation, parts.test]
    assert sorted(np.concatenate(rows).tolist()) == list(range(count))
    assert all((np.diff(part) > 0).all() for part in rows)
    assert len(parts.test) == round(count * test)
    assert abs(len(parts.validation) - count * validation) <= 1.5
    again = divide(count, test, validation, how, labels, seed)
    for part, twin in zip(rows, [again.train, again.validation, again.test], strict=True):
        np.testing.assert_array_equal(part, twin)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((0.001, 0.2), "test: expected a share of at least one sample, but 0.001 of 150 samples is none"),
        ((0.2, 0.001), "validation: expected a share of at least one sample, but 0.001 of 150 samples is none"),
    ],
)
@pytest.mark.parametrize("how", ["auto", "shuffled", "tail"])
def test_a_share_that_comes_to_no_sample_is_refused(shares, message, how):
    with pytest.raises(DataError) as error:
        divide(150, *shares, how, None, 0)
    assert str(error.value) == message


def test_the_tail_is_last_and_the_validation_part_before_it():
    parts = divide(10, 0.2, 0.3, "tail", None, 0)
    assert [part.tolist() for part in (parts.train, parts.validation, parts.test)] == [
        [0, 1, 2, 3, 4],
        [5, 6, 7],
        [8, 9],
    ]


def test_each_part_has_the_classes_in_their_shares():
    labels = np.repeat([0, 1], [60, 20])
    parts = divide(80, 0.25, 0.25, "auto", labels, 3)
    for part in (parts.train, parts.validation, parts.test):
        assert np.bincount(labels[part]).tolist() == [len(part) * 3 // 4, len(part) // 4]


def test_another_seed_divides_otherwise():
    one, other = (divide(100, 0.5, 0, "shuffled", None, seed).test for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_something_must_be_left_to_train_on():
    with pytest.raises(DataError, match="of 2 samples none is left to train on"):
        divide(2, 0, 0.9, "auto", None, 0)
    with pytest.raises(DataError, match="of 0 samples none is left"):
        divide(0, 0, 0, "auto", None, 0)


def test_a_stratified_division_needs_classes():
    with pytest.raises(DataError, match="a stratified split needs classes"):
        divide(10, 0.2, 0, "stratified", None, 0)


def test_samples_have_targets_in_the_form_of_the_loss_and_labels_as_they_were():
    x = np.arange(8.0).reshape(4, 2)
    samples = prepare(classifier(), CrossEntropy(), x, np.array([0, 2, 1, 0]), np.array([1, 2, 3, 4]))
    assert samples.inputs.dtype == np.float32
    assert samples.labels.tolist() == [0, 2, 1, 0]
    assert samples.weight.tolist() == [1, 2, 3, 4]
    assert samples.weight.dtype == np.float32
    assert len(samples.target) == len(samples) == 4
    assert samples.rows is None


def test_samples_may_be_some_of_the_rows():
    x = np.arange(8.0).reshape(4, 2)
    rows = np.array([1, 3])
    samples = prepare(Network([Dense(1)], (2,)), MeanSquaredError(), x, np.arange(4.0), np.arange(4.0), rows)
    assert len(samples) == 2
    assert samples.labels.tolist() == [1, 3]
    assert samples.weight.tolist() == [1, 3]
    (batch,) = samples.batches(9, np.dtype(np.float32))
    np.testing.assert_array_equal(batch.inputs, x[rows])
    np.testing.assert_array_equal(batch.target, [[1], [3]])


def test_an_hdf5_dataset_stays_where_it_is(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("x", data=np.zeros((4, 2)))
        assert prepare(classifier(), CrossEntropy(), dataset, np.zeros(4, int)).inputs is dataset


def test_inputs_of_indices_stay_whole():
    network = Network([Embedding(5, 3)], (2,))
    samples = prepare(network, MeanSquaredError(), [[0.0, 4.0]], np.zeros((1, 2, 3)))
    assert samples.inputs.dtype == np.int64
    with pytest.raises(DataError, match="expected whole numbers as inputs"):
        prepare(network, MeanSquaredError(), [[0.5, 4.0]], np.zeros((1, 2, 3)))


@pytest.mark.parametrize(
    ("inputs", "labels", "weight", "message"),
    [
        (np.zeros((4, 3)), np.zeros(4), None, r"expected inputs of shape \(2,\) for each sample, received \(3,\)"),
        (np.zeros((4, 2)), np.zeros(3), None, "expected 4 targets, one for each sample, received 3"),
        (np.zeros((0, 2)), np.zeros(0), None, "expected at least one sample, received none"),
        (np.zeros((4, 2)), np.zeros(4), np.ones(5), "expected 4 sample weights, one for each sample, received 5"),
        (np.zeros((4, 2)), np.zeros(4), np.ones((4, 1)), r"received float64 of shape \(4, 1\)"),
        (np.zeros((4, 2)), np.zeros(4), ["a"] * 4, "received <U1 of shape"),
        (np.zeros((4, 2)), np.full(4, 3), None, "loss 'cross_entropy': expected class numbers from 0 to 2, received 3"),
        (np.zeros((4, 2)), np.zeros((4, 2)), None, "loss 'cross_entropy': expected class numbers of shape"),
    ],
)
def test_samples_that_do_not_fit_are_refused(inputs, labels, weight, message):
    with pytest.raises(DataError, match=message):
        prepare(classifier(), CrossEntropy(), inputs, labels, weight)


def test_the_target_has_the_form_that_the_fused_loss_takes():
    network = Network([Dense(1, "sigmoid")], (2,))
    samples = prepare(network, BinaryCrossEntropy(), np.zeros((3, 2)), np.array([0, 1, 1]))
    assert samples.target.shape == (3, 1)
    assert samples.target.dtype == np.float32


def test_counts_and_shapes_are_compared():
    check_count(2, np.zeros(2))
    check_inputs((3,), (3,))
    check_inputs([3], (3,))
    with pytest.raises(DataError):
        check_count(2, np.zeros(3))
    with pytest.raises(DataError):
        check_inputs((3, 1), (3,))


def test_missing_values_are_filled_with_the_means_of_the_training_rows():
    x = np.array([[1.0, np.nan], [3.0, 4.0], [np.nan, 6.0], [100.0, 100.0]])
    means = column_means(Dataset(x, missing="mean"), np.arange(3))
    np.testing.assert_allclose(means, [2, 5])
    assert column_means(Dataset(x), np.arange(3)) is None


def test_means_are_the_same_in_many_batches(monkeypatch):
    monkeypatch.setattr("microframe.preparation.BATCH_ROWS", 7)
    x = np.random.default_rng(0).normal(1e4, 1, (50, 3)).astype(np.float32)
    x[::3, 1] = np.nan
    rows = np.arange(0, 50, 2)
    expected = np.nanmean(x[rows].astype(float), axis=0)
    np.testing.assert_allclose(column_means(Dataset(x, missing="mean"), rows), expected, rtol=1e-12)


def test_a_column_without_any_training_value_has_no_mean():
    x = np.array([[1.0, np.nan], [3.0, np.nan], [3.0, 1.0]])
    with pytest.raises(DataError, match="every training value is missing in column 1"):
        column_means(Dataset(x, missing="mean"), np.arange(2))
