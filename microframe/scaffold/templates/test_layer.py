from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.layer import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def test_the_output_is_the_value_times_the_gate() -> None:
    layers = [{"type": "part_name", "units": 2, "name": "gated"}]
    model = Model.from_config({"layers": layers, "dtype": "float64"}).build((2,))
    weights = model.weights["gated"]
    weights["kernel"][:] = [[1, 0], [2, 1]]
    weights["bias"][:] = [0.5, -1]
    weights["gate_kernel"][:] = 0
    weights["gate_bias"][:] = [0, np.log(3)]  # gates of 1/2 and 3/4
    x = np.array([[1.0, 2.0], [-1.0, 3.0]])
    # values of 1 + 4 + 0.5 and 2 - 1 in the first row, -1 + 6 + 0.5 and 3 - 1 in the second
    np.testing.assert_allclose(model(x), [[2.75, 0.75], [2.75, 1.5]], rtol=1e-12)


def test_a_closed_gate_lets_nothing_pass_and_an_open_one_everything() -> None:
    model = Model([PartName(1, name="gated")]).build((1,))
    weights = model.weights["gated"]
    weights["kernel"][:] = 1
    weights["gate_kernel"][:] = 1
    assert model(np.array([[-1e4], [1e4]])).tolist() == [[0], [1e4]]


def test_a_network_learns_with_it() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    y = x[:, 0] / (1 + np.exp(-x[:, 1]))
    layers = [{"type": "part_name", "units": 4}, {"type": "dense", "units": 1}]
    model = Model.from_config({"layers": layers})
    optimizer = {"type": "adam", "learning_rate": 0.03}
    loss = model.fit(x, y, loss="mean_squared_error", optimizer=optimizer, epochs=20)["loss"]
    assert loss[-1] < 0.05 * np.var(y)


def test_a_number_of_units_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="units: expected a whole number of at least 1"):
        PartName(0)
