"""Every loss with samples that it is made for, and what calls a loss as training does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

from microframe.interfaces import Activation, Loss
from microframe.standard import losses
from microframe.standard.activations import LogSoftmax, Sigmoid, Softmax

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SAMPLES = 6


@dataclass(frozen=True)
class Case:
    """A loss with predictions and targets that it is made for; with an activation, predictions are its inputs."""

    loss: Loss
    outputs: tuple[int, ...]
    prediction: Draw
    target: Draw
    activation: Activation | None = None

    def __str__(self) -> str:
        fused = f"-{self.activation.type}" if self.activation else ""
        return f"{self.loss!r}-{'x'.join(map(str, self.outputs))}{fused}"

    def draw(self, dtype: str = "float64") -> tuple[Loss, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(3)
        prediction = self.prediction(rng, (SAMPLES, *self.outputs)).astype(dtype)
        target = self.loss.prepare(self.target(rng, (SAMPLES, *self.outputs)), self.outputs, np.dtype(dtype))
        loss = self.loss.fuse(self.activation) if self.activation else self.loss
        assert loss is not None
        return loss, prediction, target


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 2 * rng.standard_normal(shape)


def open_unit(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return special.softmax(rng.standard_normal(shape), axis=-1)


def counts(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.poisson(3, shape)


def class_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, max(2, shape[-1]), shape[:-1])


def bits(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 2, shape)


def one_hot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(shape[-1])[class_numbers(rng, shape)]


DRAWS = {draw.__name__: draw for draw in (normal, open_unit, probabilities, counts, class_numbers, bits, one_hot)}

WEIGHTED = losses.CrossEntropy(class_weights=(0.5, 1, 2, 3), label_smoothing=0.1)
OF_VALUES = [
    Case(loss, outputs, normal, normal)
    for loss in (
        losses.MeanSquaredError(),
        losses.SquaredError(),
        losses.HalfSquaredError(),
        losses.MeanAbsoluteError(),
        losses.Huber(),
        losses.Huber(delta=0.3),
    )
    for outputs in ((1,), (4,), (3, 4))
] + [Case(losses.Poisson(), (4,), open_unit, counts), Case(losses.Poisson(), (3, 4), open_unit, counts)]
OF_PROBABILITIES = [
    Case(losses.BinaryCrossEntropy(), (1,), open_unit, class_numbers),
    Case(losses.BinaryCrossEntropy(), (4,), open_unit, bits),
    Case(losses.BinaryCrossEntropy(), (3, 4), open_unit, open_unit),
    Case(losses.CrossEntropy(), (4,), probabilities, class_numbers),
    Case(losses.CrossEntropy(), (4,), probabilities, probabilities),
    Case(losses.CrossEntropy(label_smoothing=0.2), (3, 4), probabilities, class_numbers),
    Case(WEIGHTED, (4,), probabilities, class_numbers),
    Case(losses.KLDivergence(), (4,), probabilities, probabilities),
    Case(losses.KLDivergence(), (3, 4), probabilities, probabilities),
]
OF_SCORES = [
    Case(losses.Hinge(), (1,), normal, class_numbers),
    Case(losses.Hinge(), (3, 1), normal, class_numbers),
    Case(losses.Hinge(), (4,), normal, class_numbers),
    Case(losses.Hinge(), (3, 4), normal, one_hot),
]
FUSED = [
    Case(losses.BinaryCrossEntropy(), (1,), normal, class_numbers, Sigmoid()),
    Case(losses.BinaryCrossEntropy(), (4,), normal, bits, Sigmoid()),
    Case(losses.BinaryCrossEntropy(), (3, 4), normal, open_unit, Sigmoid()),
    Case(losses.CrossEntropy(), (4,), normal, class_numbers, Softmax()),
    Case(losses.CrossEntropy(), (4,), normal, probabilities, LogSoftmax()),
    Case(losses.CrossEntropy(label_smoothing=0.2), (3, 4), normal, class_numbers, Softmax()),
    Case(WEIGHTED, (4,), normal, class_numbers, Softmax()),
    Case(losses.KLDivergence(), (4,), normal, probabilities, Softmax()),
    Case(losses.KLDivergence(), (3, 4), normal, probabilities, Softmax()),
]
ALL = OF_VALUES + OF_PROBABILITIES + OF_SCORES + FUSED


class ReusedArrays:
    """What training hands to `value_and_gradient`: the same arrays in every step, in the order of the calls."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.arrays: list[np.ndarray] = []
        self.next = 0

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        if self.next == len(self.arrays):
            self.arrays.append(np.full(shape, np.nan, self.dtype))
        self.next += 1
        return self.arrays[self.next - 1]


@pytest.fixture(autouse=True)
def _as_in_training():
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(params=ALL, ids=str)
def case(request) -> Case:
    return request.param


@pytest.fixture(params=FUSED, ids=str)
def fused_case(request) -> Case:
    return request.param


@pytest.fixture(params=[case for case in ALL if case.outputs in {(4,), (3, 4)}], ids=str)
def case_and_extremes(request) -> tuple[Case, tuple[float, ...]]:
    """A case with several outputs, and the most extreme predictions that its loss may be given."""
    return request.param, (0, 1) if request.param in OF_PROBABILITIES else (-1e4, 0, 1e4)


@pytest.fixture(scope="session")
def draws() -> dict[str, Draw]:
    """Ways to draw predictions and targets, by name."""
    return DRAWS


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[Loss, np.ndarray, np.ndarray]]:
    """Gives a loss with predictions and prepared targets that are drawn in the ways of those names."""
    return lambda loss, outputs, prediction, target: Case(loss, outputs, DRAWS[prediction], DRAWS[target]).draw()


@pytest.fixture(scope="session")
def gradient() -> Callable[[Loss, np.ndarray, np.ndarray], np.ndarray]:
    """Gives the gradient of a loss in an array of its own."""

    def gradient(loss: Loss, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        out = np.full_like(prediction, np.nan)
        loss.gradient(prediction, target, out)
        return out

    return gradient


@pytest.fixture(scope="session")
def reused_arrays() -> type[ReusedArrays]:
    return ReusedArrays
