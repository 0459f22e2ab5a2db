from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.callback import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def stops(callback: PartName, losses: list[float]) -> list[int]:
    """After which batches, from 1, it asks for the end."""
    asked: list[int] = []
    memory: dict[str, Any] = {}
    run: Any = SimpleNamespace()
    callback.training_begin(run, memory)
    for batch, loss in enumerate(losses, start=1):
        run.loss, run.stop = loss, lambda _, batch=batch: asked.append(batch)
        callback.batch_end(run, memory)
    return asked


def test_the_mean_that_counts_is_the_one_worked_out_by_hand() -> None:
    # With decay 1/2, the losses 4 and 1 have the mean (4 / 2 + 1) / (1 / 2 + 1) = 2.
    callback = PartName(3.0, decay=0.5, patience=1)
    assert stops(callback, [4.0, 1.0, 5.99]) == []
    assert stops(callback, [4.0, 1.0, 6.01]) == [3]


def test_it_waits_for_as_many_batches_as_it_is_told_to() -> None:
    assert stops(PartName(2.0, patience=3), [1.0, 9.0, 1.0, 1.0]) == []
    assert stops(PartName(2.0, patience=3), [1.0, 1.0, 1.0, 9.0]) == [4]


def test_a_training_ends_when_its_loss_leaps() -> None:
    x = np.ones((40, 1))
    y = np.ones(40)
    y[30] = 1e3
    configuration = {
        "layers": [{"type": "dense", "units": 1}],
        "training": {
            "loss": "mean_squared_error",
            "callbacks": [{"type": "part_name", "patience": 10}],
            "batch_size": 1,
            "shuffle": False,
        },
    }
    model = Model.from_config(configuration)
    history = model.fit(x, y)
    assert history.epochs == 0  # the first epoch was not completed
    assert model.checkpoint is not None
    assert model.checkpoint.progress["batch"] == 31


@pytest.mark.parametrize(("field", "value"), [("factor", 0.0), ("decay", 1.0), ("patience", 0)])
def test_fields_out_of_bounds_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected a"):
        PartName(**{field: value})
