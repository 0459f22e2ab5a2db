from __future__ import annotations

import math

import numpy as np
import pytest
from microframe_recurrent import PositionalEncoding


def encoding(built, steps, features, **fields):
    model = built(PositionalEncoding(**fields), shape=(steps, features))
    return model(np.zeros((1, steps, features)))[0]


@pytest.mark.parametrize("features", [1, 2, 5, 8])
@pytest.mark.parametrize("max_wavelength", [10000.0, 50.0])
def test_each_feature_is_a_sine_or_cosine_of_the_position(built, features, max_wavelength):
    received = encoding(built, 7, features, max_wavelength=max_wavelength)
    for position in range(7):
        for feature in range(features):
            angle = position / max_wavelength ** (feature // 2 * 2 / features)
            expected = math.cos(angle) if feature % 2 else math.sin(angle)
            assert received[position, feature] == pytest.approx(expected, abs=1e-12)


def test_it_is_added_to_the_input(built, x):
    code = encoding(built, 6, 3)
    np.testing.assert_array_equal(built(PositionalEncoding())(x), x + code)


def test_how_alike_two_positions_are_depends_on_their_distance_alone(built):
    code = encoding(built, 40, 16)
    products = code @ code.T
    for distance in range(40):
        diagonal = np.diagonal(products, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], atol=1e-12)


def test_it_keeps_the_dtype(built):
    model = built(PositionalEncoding(), shape=(4, 6), dtype="float32")
    y = model(np.zeros((2, 4, 6), np.float32))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[0], encoding(built, 4, 6), atol=1e-7)
