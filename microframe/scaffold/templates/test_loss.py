from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.loss import PartName, microframe_components
from microframe.testing import parametrize_with_checks

TARGET = np.zeros((2, 2))


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def test_values_and_gradient_are_those_worked_out_by_hand() -> None:
    # cosh(log 2) = (2 + 1/2) / 2 = 1.25, and tanh(log 2) = (2 - 1/2) / (2 + 1/2) = 0.6.
    prediction = np.log(2) * np.array([[1.0, 0.0], [-1.0, 1.0]])
    expected = np.log(1.25) * np.array([0.5, 1.0])
    np.testing.assert_allclose(PartName().sample_values(prediction, TARGET), expected)
    gradient = np.empty_like(prediction)
    PartName().gradient(prediction, TARGET, gradient)
    np.testing.assert_allclose(gradient, [[0.15, 0.0], [-0.15, 0.15]], atol=1e-15)


def test_the_scale_stretches_errors_and_squares_in_the_value() -> None:
    prediction = 2 * np.log(2) * np.ones((2, 2))
    value = PartName(2.0).value(prediction, TARGET)
    np.testing.assert_allclose(value, 4 * np.log(1.25))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient_are_right_for_huge_errors_and_for_tiny_ones(dtype: str) -> None:
    prediction = np.array([[1e4], [-1e4], [1e-3]]).astype(dtype)
    target, gradient = np.zeros_like(prediction), np.empty_like(prediction)
    values = PartName().sample_values(prediction, target)
    PartName().gradient(prediction, target, gradient)
    expected = np.array([1e4 - np.log(2), 1e4 - np.log(2), 1e-6 / 2])
    np.testing.assert_allclose(values, expected, rtol=1e-3)
    np.testing.assert_allclose(3 * gradient[:, 0], np.array([1, -1, 1e-3]), rtol=1e-5)


def test_a_configuration_names_it_and_an_outlier_hardly_moves_what_is_learnt() -> None:
    x = np.linspace(-1, 1, 41)
    y = 3 * x
    y[20] = 1000  # at x = 0, where it pulls at the intercept alone
    configuration = {
        "layers": [{"type": "dense", "units": 1, "name": "line"}],
        "training": {
            "loss": {"type": "part_name", "scale": 0.1},
            "optimizer": {"type": "adam", "learning_rate": 0.1},
            "epochs": 100,
        },
    }
    model = Model.from_config(configuration)
    model.fit(x[:, None], y)
    np.testing.assert_allclose(model.weights["line"]["kernel"], [[3]], atol=0.1)
    np.testing.assert_allclose(model.weights["line"]["bias"], [0], atol=0.1)


def test_a_scale_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="scale: expected a number greater than 0"):
        PartName(0.0)
