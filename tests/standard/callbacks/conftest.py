"""A small training for callbacks to act on, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from microframe import Callback, Metric, Model, register
from microframe.standard.optimizers import Adam

NOISY = [
    {"type": "dense", "units": 8, "activation": "relu"},
    "batch_norm",
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": 3, "activation": "softmax"},
]
SCRIPT: list[float] = []
FACTORS: list[float] = []
REASONS: list[str | None] = []


class Scripted(Metric):
    """Gives the numbers of a script, one an evaluation, whatever is predicted."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        return SCRIPT.pop(0)


class ScriptedHigher(Scripted):
    """The same, where more is better."""

    better = "higher"


for metric in (Scripted, ScriptedHigher):
    register(metric)


class Notes(Callback):
    """Notes the factor on the learning rate that each epoch leaves, and why training ended."""

    def epoch_end(self, run, memory):
        FACTORS.append(run.learning_rate_factor)

    def training_end(self, run, memory):
        REASONS.append(run.stopping)


def make_three_classes(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(count, 4))
    return x, np.digitize(x @ [1, 1, -1, 0], [-0.7, 0.7])


def train(callbacks: list[Callback], model: Model | None = None, **settings) -> Model:
    model = model or Model(NOISY)
    given = {"loss": "cross_entropy", "optimizer": Adam(0.01), "epochs": 6, "batch_size": 8, "metrics": []}
    x, y = make_three_classes()
    settings = given | {"validation": (x, y), "listeners": [Notes()]} | settings
    model.fit(x, y, callbacks=callbacks, **settings)
    return model


@pytest.fixture(autouse=True)
def _forget():
    for notes in (SCRIPT, FACTORS, REASONS):
        notes.clear()


@pytest.fixture
def factors() -> list[float]:
    """The factor on the learning rate that each epoch has left."""
    return FACTORS


@pytest.fixture
def reasons() -> list[str | None]:
    """Why each training ended."""
    return REASONS


@pytest.fixture
def script() -> list[float]:
    """The values that the scripted metrics will take."""
    return SCRIPT


@pytest.fixture
def notes() -> Callback:
    """What fills `factors` and `reasons`; `fit` has it unless it is given other listeners."""
    return Notes()


@pytest.fixture
def diverge_in(disturb) -> Callable[[int], Callback]:
    """Makes training diverge in an epoch, from 1, after its first batch."""
    return lambda epoch: disturb(epoch, 1, 1e300)


@pytest.fixture
def noisy_model() -> Callable[[], Model]:
    """A function that makes the model that `fit` trains."""
    return lambda: Model(NOISY)


@pytest.fixture
def three_classes() -> tuple[np.ndarray, np.ndarray]:
    """The samples that `fit` trains on."""
    return make_three_classes()


@pytest.fixture
def fit() -> Callable[..., Model]:
    """Trains for five batches an epoch, with validation samples."""
    return train


@pytest.fixture
def follow() -> Callable[..., Model]:
    """Trains while one of the scripted metrics takes the values of a script, one an epoch."""

    def follow(callback: Callback, script: list[float], metric: str = "local.scripted", **settings) -> Model:
        SCRIPT[:] = script
        return train([callback], **{"metrics": [metric], "epochs": len(script), "validation": None} | settings)

    return follow


@pytest.fixture
def weights() -> Callable[[Model], list[bytes]]:
    """Gives the parameters and the state of the network."""

    def weights(model: Model) -> list[bytes]:
        states = [array for states in model.network.state.values() for array in states.values()]
        return [array.tobytes() for array in (model.network.parameters, *states)]

    return weights
