from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.fitted_layer import PartName, microframe_components
from microframe.testing import parametrize_with_checks

ROWS = np.array([[1.0, -8.0, 0.0], [-2.0, 4.0, 0.0]])


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("batches", [[ROWS], [ROWS[:1], ROWS[1:]]])
def test_the_peaks_are_those_of_all_batches(batches: list[np.ndarray]) -> None:
    state = {"peak": np.full(3, np.nan)}
    PartName().fit(state, batches)
    assert state["peak"].tolist() == [2, 8, 1]


def test_what_a_model_was_trained_on_comes_to_lie_within_the_limit() -> None:
    layers = [
        {"type": "part_name", "limit": 4.0},
        {"type": "dense", "units": 3, "kernel_initializer": "identity"},
    ]
    model = Model.from_config({"layers": layers, "dtype": "float64"})
    sgd = {"type": "sgd", "learning_rate": 1e-300}  # leaves the dense layer the identity
    model.fit(ROWS, ROWS, loss="mean_squared_error", optimizer=sgd, epochs=1)
    np.testing.assert_allclose(model(ROWS), [[2, -4, 0], [-4, 2, 0]], atol=1e-12)
    np.testing.assert_allclose(model(np.array([[6.0, 0.0, 1.0]])), [[12, 0, 4]], atol=1e-12)


def test_a_limit_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="limit: expected a number greater than 0"):
        PartName(0.0)
