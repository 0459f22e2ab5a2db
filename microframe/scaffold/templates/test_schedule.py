from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.schedule import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    ("epoch", "factor"), [(0.0, 0.2), (1.0, 0.4), (3.0, 0.8), (4.0, 1.0), (16.0, 0.5), (64.0, 0.25)]
)
def test_factors_are_those_worked_out_by_hand(epoch: float, factor: float) -> None:
    assert PartName(4.0, start=0.2).factor(epoch, 10) == pytest.approx(factor, rel=1e-12)


def test_the_rise_meets_the_fall() -> None:
    schedule = PartName(2.5, start=0.3)
    assert schedule.factor(2.5 - 1e-9, 10) == pytest.approx(schedule.factor(2.5, 10))


def test_the_learning_rate_of_a_training_follows_it() -> None:
    schedule = {"type": "part_name", "warmup": 2.0, "start": 0.5}
    configuration = {
        "layers": [{"type": "dense", "units": 1}],
        "training": {
            "loss": "mean_squared_error",
            "optimizer": {"type": "sgd", "learning_rate": 0.1, "schedule": schedule},
            "batch_size": "all",  # one step an epoch, so that it sees whole epochs
            "epochs": 9,
        },
    }
    history = Model.from_config(configuration).fit([[1.0], [2.0]], [1.0, 2.0])
    rates = history["learning_rate"][[0, 1, 2, 8]]
    np.testing.assert_allclose(rates, [0.05, 0.075, 0.1, 0.05])


@pytest.mark.parametrize(("field", "value"), [("warmup", 0.0), ("start", 1.5)])
def test_fields_out_of_bounds_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected a number"):
        PartName(**{field: value})
