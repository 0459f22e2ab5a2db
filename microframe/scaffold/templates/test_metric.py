from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.metric import PartName, microframe_components
from microframe.testing import parametrize_with_checks

PREDICTION, TARGET = np.array([[8.0], [14.0]]), np.array([[10.0], [10.0]])


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def test_values_are_those_worked_out_by_hand() -> None:
    # 0.9 * 2 for the prediction that is too low, 0.1 * 4 for the one that is too high
    assert PartName(0.9).value(PREDICTION, TARGET) == pytest.approx((1.8 + 0.4) / 2)
    assert PartName(0.5).value(PREDICTION, TARGET) == pytest.approx((1 + 2) / 2)
    # and the same for the two outputs of one sample
    assert PartName(0.9).value(PREDICTION.T, TARGET.T) == pytest.approx((1.8 + 0.4) / 2)


def test_weights_count_samples_several_times() -> None:
    weight = np.array([3.0, 1.0])
    value = PartName(0.9).value(PREDICTION, TARGET, weight)
    assert value == pytest.approx((3 * 1.8 + 0.4) / 4)
    assert np.isnan(PartName(0.9).value(PREDICTION, TARGET, np.zeros(2)))


def test_no_constant_prediction_is_better_than_the_quantile() -> None:
    target = np.random.default_rng(0).normal(size=(1000, 1))

    def value(constant: float) -> float:
        return PartName(0.8).value(np.full_like(target, constant), target)

    quantile = float(np.quantile(target, 0.8))
    assert value(quantile) < min(value(quantile - 0.1), value(quantile + 0.1))


def test_predictions_and_targets_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape, received \(2, 1\) and \(3,\)"):
        PartName().value(PREDICTION, np.zeros(3))


def test_a_training_reports_it() -> None:
    configuration = {
        "layers": [{"type": "dense", "units": 1}],
        "training": {
            "loss": "mean_squared_error",
            "metrics": ["mean_absolute_error", {"type": "part_name", "quantile": 0.5}],
            "epochs": 2,
        },
    }
    history = Model.from_config(configuration).fit([[1.0], [2.0]], [3.0, 5.0])
    np.testing.assert_allclose(history["part_name"], history["mean_absolute_error"] / 2)


def test_a_quantile_above_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="quantile: expected a number of at least 0"):
        PartName(90)
