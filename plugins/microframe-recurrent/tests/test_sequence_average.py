from __future__ import annotations

import numpy as np
from microframe_recurrent import Masking, SequenceAverage


def test_it_is_the_mean_of_all_steps(built, x):
    np.testing.assert_allclose(built(SequenceAverage())(x), x.mean(axis=1), rtol=1e-12)


def test_padding_does_not_count(built, padded, lengths):
    y = built(Masking(name="mask"), SequenceAverage(inputs=("input", "mask")))(padded)
    for row, length in enumerate(lengths):
        expected = padded[row, :length].mean(axis=0) if length else np.zeros(3)
        np.testing.assert_allclose(y[row], expected, rtol=1e-12)
