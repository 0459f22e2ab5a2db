from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.arrays import Array
from microframe.scaffold.templates.source import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


def loaded(**fields: Any) -> tuple[Array, Array]:
    """The points (samples, 2) and the number of the class of each."""
    data = PartName(**fields).load()
    return np.asarray(data.inputs), np.asarray(data.target)


def test_points_without_noise_are_those_worked_out_by_hand() -> None:
    points, classes = loaded(samples=6, noise=0.0)
    # at the angles 0, pi / 2 and pi
    np.testing.assert_allclose(points[classes == 0], [[1, 0], [0, 1], [-1, 0]], atol=1e-12)
    np.testing.assert_allclose(points[classes == 1], [[0, 0.5], [1, -0.5], [2, 0.5]], atol=1e-12)
    assert classes.tolist() == [0, 1, 0, 1, 0, 1]


def test_every_point_lies_on_the_circle_of_its_class() -> None:
    points, classes = loaded(samples=101, noise=0.0)
    centres = np.array([[0, 0], [1, 0.5]])[classes]
    np.testing.assert_allclose(np.linalg.norm(points - centres, axis=1), 1)


def test_noise_has_the_deviation_asked_for_and_comes_from_the_seed() -> None:
    exact, noisy, same, other = (
        loaded(samples=5000, noise=noise, seed=seed)[0] for noise, seed in ((0.0, 1), (0.2, 1), (0.2, 1), (0.2, 2))
    )
    assert np.std(noisy - exact) == pytest.approx(0.2, rel=0.05)
    np.testing.assert_array_equal(noisy, same)
    assert not np.array_equal(noisy, other)


def test_a_network_tells_the_classes_apart() -> None:
    configuration = {
        "data": {"source": {"type": "part_name", "samples": 300}, "test": 0.3},
        "layers": [
            {"type": "dense", "units": 16, "activation": "relu"},
            {"type": "dense", "units": 2, "activation": "softmax"},
        ],
        "training": {
            "loss": "cross_entropy",
            "optimizer": {"type": "adam", "learning_rate": 0.03},
            "metrics": ["accuracy"],
            "epochs": 30,
        },
    }
    model = Model.from_config(configuration)
    model.fit()
    assert model.results["test"]["accuracy"] > 0.9


@pytest.mark.parametrize(("field", "value"), [("samples", 0), ("noise", -1.0), ("seed", -1)])
def test_fields_out_of_bounds_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected a"):
        PartName(**{field: value})
