"""JAX: a training step compiled as a whole, with its parameters donated so that they are updated in place."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
from tasks import ADAM, Task, orders, samples, weights
from timing import median_interval

SINGLE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
"""XLA has no other numbers to choose from: one thread, or one for each processor."""
ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}


def train(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for an epoch; compilation falls into the first, which is not measured."""
    if threads == 1:
        os.environ["XLA_FLAGS"] = SINGLE_THREAD
    jax.config.update("jax_enable_x64", task.dtype == "float64")
    x, target = samples(task)
    parameters = jax.tree.map(jnp.asarray, weights(task))
    slots = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2 if task.optimizer == "adam" else 1)]
    step = jax.jit(functools.partial(_step, task), donate_argnums=(0, 1))
    clock, losses, count = [], [], 0
    for order in orders(task):
        values = []
        for start in range(0, task.rows, task.batch_size):
            rows = order[start : start + task.batch_size]
            count += 1
            biases = 1 - ADAM["beta_1"] ** count, 1 - ADAM["beta_2"] ** count
            parameters, slots, loss = step(parameters, slots, biases, x[rows], target[rows])
            values.append(loss)
        losses.append(float(sum(values)) / len(values))
        clock.append(time.perf_counter())
    return {"value": median_interval(clock), "result": losses}


def _step(task: Task, parameters: Any, slots: Any, biases: Any, x: Any, target: Any) -> tuple[Any, Any, Any]:
    loss, gradients = jax.value_and_grad(functools.partial(_loss, task))(parameters, x, target)
    rate = task.learning_rate
    if task.optimizer == "sgd":
        velocity = jax.tree.map(lambda v, g: task.momentum * v + rate * g, slots[0], gradients)
        return jax.tree.map(jnp.subtract, parameters, velocity), [velocity], loss
    first, second = ADAM["beta_1"], ADAM["beta_2"]
    momentum = jax.tree.map(lambda m, g: first * m + (1 - first) * g, slots[0], gradients)
    variance = jax.tree.map(lambda v, g: second * v + (1 - second) * g * g, slots[1], gradients)

    def update(p: Any, m: Any, v: Any) -> Any:
        return p - rate * m / biases[0] / (jnp.sqrt(v / biases[1]) + ADAM["epsilon"])

    return jax.tree.map(update, parameters, momentum, variance), [momentum, variance], loss


def _loss(task: Task, parameters: Any, x: Any, target: Any) -> Any:
    *hidden, (kernel, bias) = parameters
    for (weight, offset), activation in zip(hidden, task.activations, strict=False):
        x = ACTIVATIONS[activation](x @ weight + offset)
    logits = x @ kernel + bias
    if task.loss == "cross_entropy":
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None], axis=1).mean()
    if task.loss == "binary_cross_entropy":
        return (jax.nn.softplus(logits) - target * logits).mean()
    return jnp.square(jax.nn.sigmoid(logits) - target).sum(axis=1).mean()
