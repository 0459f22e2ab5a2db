"""PyTorch: eager training as its tutorials write it, with its fused optimizers, and prediction in inference mode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from tasks import ADAM, Task, orders, samples, weights
from timing import median_interval, seconds_for_call
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
Loss = Callable[[Tensor, Tensor], Tensor]
ON_LOGITS: dict[str, Loss] = {
    "cross_entropy": functional.cross_entropy,
    "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
}


def train(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for an epoch."""
    _use(threads)
    x, target = (torch.from_numpy(array) for array in samples(task))
    network = _network(task, logits=task.loss in ON_LOGITS)
    loss_of, optimizer = ON_LOGITS.get(task.loss, _squared_error), _optimizer(task, network)
    clock, losses = [], []
    for order in orders(task):
        total = 0.0
        for inputs, expected in _batches(task, x, target, torch.from_numpy(order)):
            optimizer.zero_grad()
            loss = loss_of(network(inputs), expected)
            loss.backward()  # type: ignore[no-untyped-call]  # PyTorch does not annotate it
            optimizer.step()
            total += loss.item() * len(inputs)
        losses.append(total / task.rows)
        clock.append(time.perf_counter())
    return {"value": median_interval(clock), "result": losses}


def predict(task: Task, threads: int) -> dict[str, Any]:
    """Seconds for one row."""
    _use(threads)
    network, x = _network(task, logits=False).eval(), torch.from_numpy(samples(task)[0][:1])
    with torch.inference_mode():
        return {"value": seconds_for_call(lambda: network(x)), "result": network(x)[0].tolist()}


def _use(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)


def _network(task: Task, *, logits: bool) -> nn.Sequential:
    """The network with the starting weights; with `logits` the last activation is left to the loss."""
    layers: list[nn.Module] = []
    for (kernel, bias), activation in zip(weights(task), task.activations, strict=True):
        linear = nn.Linear(kernel.shape[0], kernel.shape[1], dtype=getattr(torch, task.dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(kernel.T))
            linear.bias.copy_(torch.from_numpy(bias))
        layers.append(linear)
        if not (logits and len(layers) == 2 * len(task.activations) - 1):
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def _optimizer(task: Task, network: nn.Module) -> torch.optim.Optimizer:
    parameters = network.parameters()
    if task.optimizer == "adam":
        betas = (ADAM["beta_1"], ADAM["beta_2"])
        return torch.optim.Adam(parameters, task.learning_rate, betas, ADAM["epsilon"], fused=True)
    return torch.optim.SGD(parameters, task.learning_rate, task.momentum, fused=True)


def _batches(task: Task, x: Tensor, target: Tensor, order: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    if not task.shuffled:
        yield from zip(torch.split(x, task.batch_size), torch.split(target, task.batch_size), strict=True)
        return
    for rows in torch.split(order, task.batch_size):
        yield x.index_select(0, rows), target.index_select(0, rows)


def _squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="sum") / len(target)
