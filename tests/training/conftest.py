"""Small trainings: one neuron on a line, by hand too, and a classifier with all that is random or has state."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import Model
from microframe.standard.layers import Dense
from microframe.standard.metrics import Accuracy
from microframe.standard.optimizers import SGD, Adam

CLASSIFIER = [
    {"type": "dense", "units": 12, "activation": "tanh"},
    {"type": "dense", "units": 3, "activation": "softmax"},
]
NOISY = [
    "standardize",
    {"type": "dense", "units": 12, "activation": "relu"},
    "batch_norm",
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": 3, "activation": "softmax"},
]
Samples = tuple[np.ndarray, np.ndarray]


def make_line(count: int = 20) -> Samples:
    x = np.linspace(-1, 1, count)[:, None]
    return x, 2 * x + 1


def make_classes(count: int = 50) -> Samples:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(count, 4))
    return x, np.array(["low", "middle", "high"])[np.digitize(x @ [1, 1, -1, 0], [-0.7, 0.7])]


def make_line_model() -> Model:
    return Model([Dense(1, kernel_initializer="zeros")], dtype="float64")


@pytest.fixture
def straight_line() -> Callable[..., Samples]:
    return make_line


@pytest.fixture
def three_classes() -> Callable[..., Samples]:
    return make_classes


@pytest.fixture
def line_model() -> Callable[[], Model]:
    """Makes one neuron of float64 that starts from 0."""
    return make_line_model


@pytest.fixture
def classifier() -> Callable[..., Model]:
    return lambda dtype="float32": Model(CLASSIFIER, dtype=dtype)


@pytest.fixture
def noisy_model() -> Callable[[], Model]:
    return lambda: Model(NOISY)


@pytest.fixture
def fit_line() -> Callable[..., Model]:
    """Trains on the straight line."""

    def fit_line(model: Model | None = None, **settings) -> Model:
        model = model or make_line_model()
        x, y = make_line()
        given = {"loss": "mean_squared_error", "optimizer": SGD(0.1), "epochs": 4, "batch_size": "all", "seed": 3}
        model.fit(x, y, **given | settings)
        return model

    return fit_line


@pytest.fixture
def fit_noisy() -> Callable[..., Model]:
    """Trains on the three classes, for five batches an epoch."""

    def fit_noisy(model: Model | None = None, **settings) -> Model:
        model = model or Model(NOISY)
        x, y = make_classes()
        given = {
            "loss": "cross_entropy",
            "optimizer": Adam(0.01),
            "metrics": [Accuracy()],
            "epochs": 6,
            "batch_size": 8,
            "validation": 0.2,
            "seed": 7,
        }
        model.fit(x, y, **given | settings)
        return model

    return fit_noisy


@pytest.fixture
def line_by_hand() -> Callable[..., tuple[float, float]]:
    """Descends the gradient of the mean squared error of w x + b from 0, one rate an epoch, rows in order."""

    def line_by_hand(x: np.ndarray, y: np.ndarray, rates: list[float], batch: int | None = None) -> tuple[float, float]:
        w = b = 0.0
        for rate in rates:
            for start in range(0, len(x), batch or len(x)):
                inputs, targets = (rows[start : start + (batch or len(x)), 0] for rows in (x, y))
                error = w * inputs + b - targets
                w, b = w - rate * 2 * np.mean(error * inputs), b - rate * 2 * np.mean(error)
        return w, b

    return line_by_hand
