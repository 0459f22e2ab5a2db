"""What is said of arrays that are not as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from microframe.testing.checks.guards import assert_close, assert_same

ONES = np.ones(3)


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (np.ones(2), "differ in shape, (2,) and (3,)"),
        (np.ones(3, np.float32), "differ in dtype, float32 and float64"),
        (np.array([1.0, 1.5, 1.0]), "differ by up to 0.5"),
    ],
    ids=["shape", "dtype", "value"],
)
def test_arrays_that_are_not_the_same_are_told_how_they_differ(received, message):
    with pytest.raises(AssertionError) as caught:
        assert_same(received, ONES, "the same")
    assert str(caught.value) == f"expected the same, received arrays that {message}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_that_are_not_close_differ_by_value_whatever_their_dtypes(dtype):
    with pytest.raises(AssertionError, match=r"^expected the same, received arrays that differ by up to 2$"):
        assert_close(np.array([1, 3, 1], dtype), ONES, "the same")


@pytest.mark.parametrize("dtype", [str, object, bool])
def test_what_is_no_number_differs_in_elements(dtype):
    received, expected = np.array([0, 1, 1]).astype(dtype), np.array([0, 1, 0]).astype(dtype)
    amount = "by up to 1" if dtype is bool else "in 1 of 3 elements"
    with pytest.raises(AssertionError, match=f"received arrays that differ {amount}$"):
        assert_same(received, expected, "the same")
