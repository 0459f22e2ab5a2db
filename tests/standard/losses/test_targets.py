from __future__ import annotations

import math

import numpy as np
import pytest

from microframe.standard import losses

DOUBLE = np.dtype("float64")


def test_class_numbers_become_one_hot_rows_in_the_dtype_of_the_network():
    rows = losses.CrossEntropy().prepare(np.array([2, 0]), (3,), np.dtype("float32"))
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])
    assert rows.dtype == np.float32


def test_class_numbers_may_be_floats_that_are_whole():
    rows = losses.CrossEntropy().prepare(np.array([[2.0, 0.0]]), (2, 3), DOUBLE)
    np.testing.assert_array_equal(rows, [[[0, 0, 1], [1, 0, 0]]])


def test_hinge_takes_class_numbers_and_signs_alike():
    signs = [[-1], [1]]
    np.testing.assert_array_equal(losses.Hinge().prepare(np.array([0, 1]), (1,), DOUBLE), signs)
    np.testing.assert_array_equal(losses.Hinge().prepare(np.array([-1, 1]), (1,), DOUBLE), signs)
    np.testing.assert_array_equal(losses.Hinge().prepare(np.array([[-1.0], [1.0]]), (1,), DOUBLE), signs)


def test_rows_of_rounded_probabilities_are_made_to_sum_to_one():
    rows = losses.CrossEntropy().prepare(np.array([[0.333, 0.333, 0.3335]]), (3,), DOUBLE)
    assert rows.sum() == pytest.approx(1, abs=1e-15)


def test_preparing_leaves_the_targets_as_they_are():
    raw = np.array([[0.2, 0.8]])
    WEIGHTED_PAIR = losses.CrossEntropy(class_weights=(2, 3), label_smoothing=0.5)
    WEIGHTED_PAIR.prepare(raw, (2,), DOUBLE)
    np.testing.assert_array_equal(raw, [[0.2, 0.8]])


@pytest.mark.parametrize(
    ("loss", "target", "outputs", "message"),
    [
        (losses.CrossEntropy(), [0, 3], (3,), r"class numbers from 0 to 2, received 3"),
        (losses.CrossEntropy(), [0, -1], (3,), r"class numbers from 0 to 2, received -1"),
        (losses.CrossEntropy(), [0, math.nan], (3,), r"class numbers from 0 to 2, received nan"),
        (losses.CrossEntropy(), [0, 1.5], (3,), r"class numbers that are whole, received 1\.5"),
        (losses.CrossEntropy(), ["a", "b"], (3,), r"targets that are numbers, received values of type <U1"),
        (losses.CrossEntropy(), [0, 1], (1,), r"binary_cross_entropy"),
        (losses.CrossEntropy(), [[0.5, 0.5]], (3,), r"class numbers of shape \(\) or rows of shape \(3,\).*\(2,\)"),
        (losses.CrossEntropy(), [[0.5, 0.6]], (2,), r"sum to 1 in each row, received a sum of 1\.1"),
        (losses.CrossEntropy(), [[-0.5, 1.5]], (2,), r"probabilities from 0 to 1, received -0\.5"),
        (losses.CrossEntropy(class_weights=(1, 2)), [0, 1], (3,), r"class_weights for 3 classes.*received 2"),
        (losses.BinaryCrossEntropy(), [0, 2], (1,), r"targets from 0 to 1, received 2"),
        (losses.BinaryCrossEntropy(), [0, 1], (3,), r"shape \(3,\).*received \(\); .* use cross_entropy"),
        (losses.BinaryCrossEntropy(), [[0, 1]], (3,), r"shape \(3,\) for each sample, received \(2,\)$"),
        (losses.KLDivergence(), [0, 1], (2,), r"shape \(2,\) for each sample, received \(\)"),
        (losses.KLDivergence(), [[0.5, 0.4]], (2,), r"sum to 1 in each row, received a sum of 0\.9"),
        (losses.Hinge(), [0, 1, 2], (1,), r"class numbers 0 and 1, or signs -1 and 1, received 0, 1, 2"),
        (losses.Hinge(), [-1, 0, 1], (1,), r"class numbers 0 and 1, or signs -1 and 1, received -1, 0, 1"),
        (losses.Hinge(), [[0.5, 0.5]], (2,), r"one-hot rows"),
        (losses.Poisson(), [[1.0, -2.0]], (2,), r"counts of at least 0, received -2"),
        (losses.MeanSquaredError(), [[1.0, 2.0]], (3,), r"shape \(3,\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused_with_a_clear_word(loss, target, outputs, message):
    with pytest.raises(ValueError, match=message):
        loss.prepare(np.array(target), outputs, DOUBLE)
