from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="module")
def model(run_model):
    return run_model("two-relus")


@pytest.fixture(scope="module")
def points(model):
    dataset = model.configuration.data.source.load()
    return dataset.inputs[:, 0], dataset.target


def least_error(y, *columns):
    """The mean squared error of the best linear combination of the columns."""
    matrix = np.column_stack(columns)
    return np.mean((matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0] - y) ** 2)


def error(model, x, y):
    return np.mean((model.predict(x[:, None]) - y) ** 2)


def test_the_network_is_the_sum_of_two_rectified_lines_and_a_bias(model, points):
    x, _ = points
    neurons, total = model.network.weights["neurons"], model.network.weights["sum"]
    expected = total["bias"] + sum(
        total["kernel"][unit] * np.maximum(0, neurons["kernel"][0, unit] * x + neurons["bias"][unit])
        for unit in range(2)
    )
    np.testing.assert_allclose(model.predict(x[:, None]), expected, rtol=1e-4, atol=1e-5)


def test_no_line_fits_the_points_but_the_network_does(model, points):
    x, y = points
    one_line = least_error(y, x, np.ones_like(x))
    two_half_lines = least_error(y, x, np.ones_like(x), np.maximum(x, 0))
    assert two_half_lines < one_line / 5
    assert error(model, x, y) <= 1.05 * two_half_lines
