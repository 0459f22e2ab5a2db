"""What is computed: three networks with their data, starting weights and batches, the same for every contender."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from microframe.randomness import generator

Array = np.ndarray[Any, Any]
SEED = 0


@dataclass(frozen=True)
class Task:
    """A network and how it is trained.

    Attributes:
        sizes: the number of inputs, then the units of each dense layer.
        activations: one for each dense layer.
        loss: as microframe names it; squared_error is summed over outputs, the others are averaged.
        optimizer: ``"sgd"`` or ``"adam"``.
        shuffled: whether each epoch has an order of its own (see `orders`), or that of the file.
        epochs: how many one process trains; the first is not measured.
    """

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    optimizer: str
    learning_rate: float
    momentum: float
    batch_size: int
    rows: int
    dtype: str
    shuffled: bool
    epochs: int


TASKS = {
    "A": Task((784, 64, 32, 10), ("sigmoid",) * 3, "squared_error", "sgd", 0.01, 0.0, 32, 12800, "float32", True, 7),
    "C": Task(
        (784, 512, 256, 10),
        ("relu", "relu", "softmax"),
        "cross_entropy",
        "adam",
        0.001,
        0.0,
        128,
        12800,
        "float32",
        True,
        4,
    ),
    "E": Task((10, 10, 10), ("tanh", "sigmoid"), "binary_cross_entropy", "sgd", 0.1, 0.9, 1, 300, "float64", False, 60),
}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def samples(task: Task) -> tuple[Array, Array]:
    """Inputs (rows, inputs) and targets: class numbers (rows,) for cross_entropy, otherwise (rows, outputs)."""
    if task.loss == "binary_cross_entropy":
        return _bits(task)[:2]
    rng = np.random.default_rng(SEED)
    x = rng.random((task.rows, task.sizes[0]), np.float32)
    labels = rng.integers(task.sizes[-1], size=task.rows)
    return x, labels if task.loss == "cross_entropy" else np.eye(task.sizes[-1], dtype=task.dtype)[labels]


def weights(task: Task) -> list[tuple[Array, Array]]:
    """The kernel (inputs, units) and the bias (units,) that each dense layer starts from."""
    if task.loss == "binary_cross_entropy":
        kernels = _bits(task)[2]
    else:
        rng = np.random.default_rng(SEED + 1)
        shapes = zip(task.sizes, task.sizes[1:], strict=False)
        kernels = [rng.normal(scale=(2 / sum(shape)) ** 0.5, size=shape).astype(task.dtype) for shape in shapes]
    return [(kernel, np.zeros(kernel.shape[1], task.dtype)) for kernel in kernels]


def orders(task: Task) -> Iterator[Array]:
    """The order of the rows in each epoch: the one that microframe's own shuffling gives."""
    rng = generator(SEED, "shuffle")
    for _ in range(task.epochs):
        yield rng.permutation(task.rows) if task.shuffled else np.arange(task.rows)


def _bits(task: Task) -> tuple[Array, Array, list[Array]]:
    """Rows of fair bits with their inverses, and kernels, drawn in the order of the notebook that trains on them."""
    rng = np.random.RandomState(0)
    kernels = [rng.normal(scale=0.1, size=(10, 10)) for _ in range(2)]
    bits = rng.binomial(1, 0.5, (task.rows, 10)).astype(task.dtype)
    return bits, 1 - bits, kernels
