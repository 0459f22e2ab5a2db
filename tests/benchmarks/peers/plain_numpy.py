"""NumPy by hand: the bit-inversion notebook as it was written, the same in place, and a prediction."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tasks import Array, Task, samples, weights
from timing import median_interval, seconds_for_call

NOTEBOOK_RATE = 0.01
"""The notebook's gradient is that of the sum over ten outputs; the task's, with ten times the rate, of their mean."""


def notebook(task: Task, threads: int) -> dict[str, Any]:
    """The notebook's loop over samples: it allocates every value and updates a list of parameters one by one."""
    x, target = samples(task)
    (hidden_kernel, hidden_bias), (output_kernel, output_bias) = weights(task)
    parameters = [hidden_kernel, output_kernel, hidden_bias, output_bias]
    clock, first_loss = [], 0.0
    for epoch in range(task.epochs):
        losses: list[Any] = []
        updates: list[Any] = [0] * len(parameters)
        for row in range(task.rows):
            loss, gradients = _notebook_step(x[row], target[row], *parameters)
            for index in range(len(parameters)):
                parameters[index] -= updates[index]
            for index in range(len(parameters)):
                updates[index] = NOTEBOOK_RATE * gradients[index] + task.momentum * updates[index]
            losses.append(loss)
        clock.append(time.perf_counter())
        if epoch == 0:
            first_loss = float(np.mean(losses))
    return {
        "value": median_interval(clock),
        "finding": f"applies each velocity a sample late, as published: first loss {first_loss:.8f}",
    }


def _notebook_step(x: Array, target: Array, v: Array, w: Array, bv: Array, bw: Array) -> tuple[Any, tuple[Array, ...]]:
    a = np.dot(x, v) + bv
    z = np.tanh(a)
    b = np.dot(z, w) + bw
    y = 1.0 / (1.0 + np.exp(-b))
    output_error = y - target
    hidden_error = (1 - np.tanh(a) ** 2) * np.dot(w, output_error)
    loss = -np.mean(target * np.log(y) + (1 - target) * np.log(1 - y))
    return loss, (np.outer(x, hidden_error), np.outer(z, output_error), hidden_error, output_error)


def in_place(task: Task, threads: int) -> dict[str, Any]:
    """The same network with standard momentum, written for speed: no array is allocated in a step."""
    x, target = samples(task)
    (v, bv), (w, bw) = weights(task)
    parameters = np.concatenate([v.ravel(), bv, w.ravel(), bw])
    v, bv, w, bw = _views(parameters, v.shape, w.shape)
    gradients, velocity = np.zeros_like(parameters), np.zeros_like(parameters)
    dv, dbv, dw, dbw = _views(gradients, v.shape, w.shape)
    z, y, work = np.empty_like(bv), np.empty_like(bw), np.empty_like(bw)
    one, rate, momentum = np.array(1.0), np.array(NOTEBOOK_RATE), np.array(task.momentum)
    clock, losses = [], []
    for _ in range(task.epochs):
        total = 0.0
        for row, bits in zip(x, target, strict=True):
            row.dot(v, z)
            z += bv
            np.tanh(z, z)
            z.dot(w, y)
            y += bw
            np.negative(y, y)
            np.exp(y, y)
            y += one
            np.reciprocal(y, y)
            np.subtract(y, bits, dbw)
            # where bits are 0 and 1, -(t log y + (1 - t) log(1 - y)) is -log(1 - |y - t|)
            np.absolute(dbw, work)
            np.subtract(one, work, work)
            np.log(work, work)
            total -= np.add.reduce(work)
            w.dot(dbw, dbv)
            np.multiply(z, z, work)
            np.subtract(one, work, work)
            np.multiply(dbv, work, dbv)
            np.multiply(row[:, None], dbv, dv)
            np.multiply(z[:, None], dbw, dw)
            np.multiply(gradients, rate, gradients)
            np.multiply(velocity, momentum, velocity)
            np.add(velocity, gradients, velocity)
            np.subtract(parameters, velocity, parameters)
        losses.append(float(total) / target.size)
        clock.append(time.perf_counter())
    return {"value": median_interval(clock), "result": losses}


def _views(vector: Array, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[Array, Array, Array, Array]:
    ends = np.cumsum([first[0] * first[1], first[1], second[0] * second[1]])
    v, bv, w, bw = np.split(vector, ends)
    return v.reshape(first), bv, w.reshape(second), bw


def predict(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for one row as one would write it."""
    layers, x = weights(task), samples(task)[0][:1]

    def call() -> Array:
        y = x
        for kernel, bias in layers:
            y = 1 / (1 + np.exp(-(y @ kernel + bias)))
        return y

    return {"value": seconds_for_call(call), "result": call()[0].tolist()}
