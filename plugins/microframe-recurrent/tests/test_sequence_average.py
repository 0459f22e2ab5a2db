from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import Masking, SequenceAverage

import microframe


def test_it_is_the_mean_of_all_steps(built, x):
    np.testing.assert_allclose(built(SequenceAverage())(x), x.mean(axis=1), rtol=1e-12)


def test_padding_does_not_count(built, padded, lengths):
    y = built(Masking(name="mask"), SequenceAverage(inputs=("input", "mask")))(padded)
    for row, length in enumerate(lengths):
        expected = padded[row, :length].mean(axis=0) if length else np.zeros(3)
        np.testing.assert_allclose(y[row], expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_an_input_that_is_no_sequence_is_refused(shape):
    with pytest.raises(microframe.ConfigError, match=r"expected an input of shape \(time, features\)"):
        microframe.Model([SequenceAverage()]).build(shape)


def test_a_mask_that_does_not_fit_is_refused():
    with pytest.raises(microframe.ConfigError, match=r"expected a mask of shape \(4,\)"):
        microframe.Model([SequenceAverage(inputs=("input", "input"))]).build((4, 3))
