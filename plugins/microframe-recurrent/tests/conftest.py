"""What tests of several layers share: models of a few layers, random sequences, and masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import microframe

STEPS, FEATURES = 6, 3
LENGTHS = (6, 3, 1, 0, 5)
"""How many steps of each padded sequence are real."""


@pytest.fixture(scope="session")
def built() -> Callable[..., microframe.Model]:
    """Gives a model of the layers, built for one input shape, with weights moved away from their initial values."""

    def built(*layers: microframe.Layer, shape: tuple[int, ...] = (STEPS, FEATURES), dtype: str = "float64"):
        model = microframe.Model(layers, dtype=dtype).build(shape)
        rng = np.random.default_rng(7)
        for arrays in model.weights.values():
            for array in arrays.values():
                np.add(array, 0.3 * rng.standard_normal(array.shape), out=array, casting="same_kind")
        return model

    return built


@pytest.fixture
def x() -> np.ndarray:
    """Five sequences, float64."""
    return np.random.default_rng(0).standard_normal((len(LENGTHS), STEPS, FEATURES))


@pytest.fixture
def padded(x) -> np.ndarray:
    """The five sequences cut to their lengths and filled up with zeros, which they hold nowhere else."""
    return x * (np.arange(STEPS) < np.array(LENGTHS)[:, None])[..., None]


@pytest.fixture(scope="session")
def lengths() -> tuple[int, ...]:
    """How many steps of each sequence in `padded` are real."""
    return LENGTHS


@pytest.fixture(scope="session")
def mask() -> np.ndarray:
    """The mask of `padded`."""
    return (np.arange(STEPS) < np.array(LENGTHS)[:, None]).astype(float)
