from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from microframe_recurrent import pad_sequences

import microframe


def test_sequences_are_filled_up_behind_their_ends():
    padded = pad_sequences([[1, 2, 3], [4], [], [5, 6]])
    np.testing.assert_array_equal(padded, [[1, 2, 3], [4, 0, 0], [0, 0, 0], [5, 6, 0]])
    assert padded.dtype == np.int64


def test_steps_may_have_features():
    padded = pad_sequences([np.ones((1, 2)), np.full((3, 2), 2.0)], value=-1)
    np.testing.assert_array_equal(padded, [[[1, 1], [-1, -1], [-1, -1]], [[2, 2], [2, 2], [2, 2]]])


@given(
    st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=5),
    st.integers(0, 3),
)
def test_every_sequence_is_found_again_and_the_rest_is_padding(sequences, more):
    length = max(map(len, sequences)) + more
    padded = pad_sequences(sequences, length=length, value=0)
    assert padded.shape == (len(sequences), length)
    for row, sequence in zip(padded, sequences, strict=True):
        assert row[: len(sequence)].tolist() == sequence
        assert not row[len(sequence) :].any()


def test_the_dtype_holds_every_sequence_unless_it_is_given():
    mixed = [np.ones(2, np.float32), np.ones(1, np.int8)]
    assert pad_sequences(mixed).dtype == np.float32
    assert pad_sequences([*mixed, np.ones(3)]).dtype == np.float64
    assert pad_sequences(mixed, dtype="float64").dtype == np.float64
    assert pad_sequences([np.ones(2, np.float32), []]).dtype == np.float32


def test_the_sequences_stay_as_they_are():
    sequence = np.array([1.0, 2.0])
    padded = pad_sequences([sequence])
    padded[...] = 7
    np.testing.assert_array_equal(sequence, [1, 2])


@pytest.mark.parametrize(
    ("sequences", "expected"),
    [
        ([], "expected at least one sequence, received none"),
        ([[1, 2], [1, 2, 3, 4]], r"sequence 1 \(from 0\): expected at most 3 steps, received 4"),
        ([np.ones((2, 3)), np.ones((2, 4))], r"sequence 1 .*: expected steps of shape \(3,\).* received \(4,\)"),
        ([[1], 5], r"sequence 1 .*: expected numbers \(time, \.\.\.\), received int64 of shape \(\)"),
        (
            [[[1], [2, 3]]],
            r"sequence 0 .*: expected numbers \(time, \.\.\.\), received steps that are not of one shape",
        ),
        ([["a"]], r"sequence 0 .*: expected numbers \(time, \.\.\.\), received <U1 of shape \(1,\)"),
    ],
    ids=["none", "too long", "other features", "a number", "ragged", "text"],
)
def test_what_cannot_be_padded_is_an_error_that_says_why(sequences, expected):
    with pytest.raises(microframe.DataError, match=expected):
        pad_sequences(sequences, length=3)


@pytest.mark.parametrize("value", [0.5, -1, 300, float("inf"), float("nan")])
def test_padding_that_the_numbers_cannot_hold_is_an_error(value):
    with pytest.raises(microframe.DataError, match=f"value: expected a number that uint8 can hold, received {value}"):
        pad_sequences([np.ones(2, np.uint8)], value=value)
