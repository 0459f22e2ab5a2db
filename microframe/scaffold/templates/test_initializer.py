from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import ConfigError, Model
from microframe.scaffold.templates.initializer import PartName, microframe_components
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_conforms(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize(
    ("slope", "shape", "deviation"),
    [(0.0, (8, 3), 0.5), (1.0, (4, 3), 0.5), (0.5, (40, 3), 0.2), (0.0, (3, 3, 2, 5), 1 / 3)],
)
def test_the_deviation_is_the_one_worked_out_by_hand(slope: float, shape: tuple[int, ...], deviation: float) -> None:
    kernel = np.empty(shape)
    PartName(slope).fill(kernel, np.random.default_rng(0))
    standard_normal = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(kernel, deviation * standard_normal, rtol=1e-12)


def test_the_mean_square_survives_ten_layers() -> None:
    layer = {
        "type": "dense",
        "units": 300,
        "activation": {"type": "leaky_relu", "slope": 0.3},
        "kernel_initializer": {"type": "part_name", "slope": 0.3},
    }
    model = Model.from_config({"layers": [layer] * 10}).build((300,))
    x = np.random.default_rng(0).standard_normal((20, 300))
    assert np.mean(model(x) ** 2) == pytest.approx(1, rel=0.3)


def test_a_slope_above_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="slope: expected a number of at least 0"):
        PartName(1.5)
