from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.activation import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def test_values_and_derivatives_are_those_worked_out_by_hand() -> None:
    # With b = 4 the root is 2 at x = 0 and 2.5 at x = +-1.5.
    x = np.array([-1.5, 0.0, 1.5])
    y, derivative = np.empty_like(x), np.empty_like(x)
    PartName(4.0).forward(x, y)
    PartName(4.0).backward(np.ones_like(x), None, y, derivative)
    np.testing.assert_allclose(y, [0.5, 1.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose(derivative, [0.2, 0.5, 0.8], rtol=1e-14)


def test_far_from_zero_it_is_accurate_in_single_precision_too() -> None:
    x = np.array([-1e4, 1e4], np.float32)
    y, derivative = np.empty_like(x), np.empty_like(x)
    PartName(4.0).forward(x, y)
    PartName(4.0).backward(np.ones_like(x), None, y, derivative)
    # b / (4 |x|) in the left tail, and x itself on the right
    np.testing.assert_allclose(y, [1e-4, 1e4], rtol=1e-6)
    np.testing.assert_allclose(derivative, [1e-8, 1.0], rtol=1e-6)


def test_a_configuration_names_it_and_a_network_learns_with_it() -> None:
    x = np.linspace(-3, 3, 100)[:, None]
    activation = {"type": "part_name", "b": 0.5}
    layers = [
        {"type": "dense", "units": 8, "activation": activation},
        {"type": "dense", "units": 1},
    ]
    model = Model.from_config({"layers": layers})
    optimizer = {"type": "adam", "learning_rate": 0.03}
    loss = model.fit(x, np.abs(x), loss="mean_squared_error", optimizer=optimizer, epochs=50)["loss"]
    assert loss[-1] < 0.05 * np.var(np.abs(x))


def test_a_field_out_of_bounds_is_refused() -> None:
    with pytest.raises(ConfigError, match="b: expected a number greater than 0"):
        PartName(0.0)
