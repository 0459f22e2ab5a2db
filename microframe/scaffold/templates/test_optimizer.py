from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.optimizer import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def trained(optimizer: dict[str, Any], epochs: int) -> float:
    """The weight w, first 1, of y = w x after steps on x = 1, y = 0, where the gradient is w."""
    layer = {"type": "dense", "units": 1, "use_bias": False, "kernel_initializer": "ones"}
    configuration = {
        "layers": [{**layer, "name": "line"}],
        "dtype": "float64",
        "training": {"loss": "half_squared_error", "optimizer": optimizer, "epochs": epochs},
    }
    model = Model.from_config(configuration)
    model.fit([[1.0]], [0.0])
    return float(model.weights["line"]["kernel"][0, 0])


def test_two_steps_are_those_worked_out_by_hand() -> None:
    optimizer = {"type": "part_name", "learning_rate": 0.1, "beta": 0.5, "nu": 0.5}
    # g = 1 and m = 0.5, so w = 1 - 0.1 (0.5 + 0.25)
    assert trained(optimizer, 1) == pytest.approx(0.925, rel=1e-12)
    # g = 0.925 and m = 0.25 + 0.4625 = 0.7125, so w = 0.925 - 0.1 (0.4625 + 0.35625)
    assert trained(optimizer, 2) == pytest.approx(0.843125, rel=1e-12)


def test_without_momentum_it_is_plain_gradient_descent() -> None:
    sgd = {"type": "sgd", "learning_rate": 0.1}
    assert trained({"type": "part_name", "nu": 0.0}, 5) == pytest.approx(trained(sgd, 5))


def test_it_reaches_the_minimum() -> None:
    optimizer = {"type": "part_name", "learning_rate": 0.5, "beta": 0.9}
    assert abs(trained(optimizer, 200)) < 1e-6


@pytest.mark.parametrize(("field", "value"), [("beta", 1.0), ("nu", 1.5), ("nu", -0.1)])
def test_fields_out_of_bounds_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected a number"):
        PartName(**{field: value})
