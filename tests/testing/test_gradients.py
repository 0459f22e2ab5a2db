"""Gradients against differences, where there are kinks."""

from __future__ import annotations

import numpy as np
import pytest

from microframe.testing.gradients import assert_gradient, assert_kinks_shared, has_kink

ZEROS = np.zeros(4)


def largest(x):
    return float(x.max())


@pytest.mark.parametrize("gradient", [[1, 0, 0, 0], [0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25], [0.5, 0, 0.5, 0]])
def test_one_of_equal_elements_may_get_the_gradient_of_the_largest_or_several_a_share(gradient):
    assert_gradient(largest, np.array(gradient, float), ZEROS)
    assert_kinks_shared(largest, np.array(gradient, float), ZEROS)


@pytest.mark.parametrize("gradient", [[1, 1, 1, 1], [1, 0, 0, 1], [0.5, 0.5, 0.5, 0], [0.2, 0.2, 0.2, 0.2]])
def test_equal_elements_may_not_get_more_or_less_than_the_gradient_of_the_largest_together(gradient):
    gradient = np.array(gradient, float)
    assert_gradient(largest, gradient, ZEROS)  # each is right for an element that moves alone
    with pytest.raises(AssertionError, match=f"add up to {gradient.sum():g}, but when all of them move, the slopes"):
        assert_kinks_shared(largest, gradient, ZEROS)


def test_kinks_that_elements_have_to_themselves_are_right_with_any_slope_in_between():
    def above_zero(x):
        return float(np.maximum(x, 0) @ [1.0, -1.0, 2.0, -3.0])

    for share in (0.0, 0.3, 1.0):
        assert_kinks_shared(above_zero, share * np.array([1.0, -1.0, 2.0, -3.0]), ZEROS)


def test_a_function_has_a_kink_where_its_slopes_differ():
    assert has_kink(largest, ZEROS)
    assert not has_kink(largest, np.arange(4.0))
    assert not has_kink(lambda x: float((x * x).sum()), ZEROS)
