"""Training with microframe, and the limit: the matrix products of the same training and nothing else."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tasks import ADAM, SEED, Array, Task, samples, weights
from timing import median_interval

import microframe


def model(task: Task) -> microframe.Model:
    """The built model with the weights that every contender starts from."""
    layers = [
        {"type": "dense", "units": units, "activation": activation}
        for units, activation in zip(task.sizes[1:], task.activations, strict=True)
    ]
    built = microframe.Model(layers, dtype=task.dtype).build(task.sizes[:1])  # type: ignore[arg-type]  # a task's dtype is a plain string
    for views, (kernel, bias) in zip(built.network.weights.values(), weights(task), strict=True):
        views["kernel"][:], views["bias"][:] = kernel, bias
    return built


def optimizer(task: Task) -> dict[str, Any]:
    """The optimizer as a configuration names it."""
    fields = ADAM if task.optimizer == "adam" else {"momentum": task.momentum}
    return {"type": task.optimizer, "learning_rate": task.learning_rate, **fields}


def fit(task: Task, listener: microframe.Callback, epochs: int) -> microframe.History:
    """Train through `Model.fit`."""
    x, y = samples(task)
    return model(task).fit(
        x,
        y,
        loss=task.loss,
        optimizer=optimizer(task),
        epochs=epochs,
        batch_size=task.batch_size,
        shuffle=task.shuffled,
        seed=SEED,
        listeners=[listener],
    )


def train(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for an epoch of `Model.fit`, building and the first epoch left out."""
    clock: list[float] = []

    class Clock(microframe.Callback):
        def epoch_end(self, run: Any, memory: dict[str, Any]) -> None:
            clock.append(time.perf_counter())

    history = fit(task, Clock(), task.epochs)
    return {"value": median_interval(clock), "result": list(history["loss"])}


def limit(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for the matrix products of an epoch, into arrays that exist, on batches that need no gathering."""
    x, _ = samples(task)
    kernels = [kernel for kernel, _ in weights(task)]
    values = [_random(task, units) for units in task.sizes[1:]]
    gradients = [_random(task, units) for units in task.sizes[1:]]
    kernel_gradients = [np.empty_like(kernel) for kernel in kernels]
    layers = list(zip(kernels, values, gradients, kernel_gradients, strict=True))
    clock = []
    for _ in range(task.epochs):
        for start in range(0, task.rows, task.batch_size):
            batch = x[start : start + task.batch_size]
            inputs = batch
            for kernel, value, _, _ in layers:
                inputs = np.matmul(inputs, kernel, out=value)
            for index in range(len(layers) - 1, -1, -1):
                kernel, _, gradient, kernel_gradient = layers[index]
                np.matmul((values[index - 1] if index else batch).T, gradient, out=kernel_gradient)
                if index:
                    np.matmul(gradient, kernel.T, out=gradients[index - 1])
        clock.append(time.perf_counter())
    return {"value": median_interval(clock)}


def _random(task: Task, units: int) -> Array:
    return np.random.default_rng(SEED).normal(size=(task.batch_size, units)).astype(task.dtype)
