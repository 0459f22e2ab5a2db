"""Measures training steps and predictions beside those of PyTorch, which must be installed.

    OPENBLAS_NUM_THREADS=1 python benchmarks/steps.py

Both take turns in one process, with one thread each. A step is a batch that is there already: forward, cross-entropy,
backward and SGD. A ratio is taken within each round; what is printed are medians over rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from microframe_recurrent import GRU, LSTM, MultiHeadAttention, SimpleRNN

import microframe
from microframe import Array
from microframe.standard.layers import Dense, Flatten

CLASSES, ROUNDS, STEPS = 10, 15, 40
SIZES = ((32, 28, 28, 64), (8, 10, 4, 8), (64, 20, 32, 128))
"""Batch, time, features, units."""
PAIRS = {
    "simple_rnn": (SimpleRNN, torch.nn.RNN),
    "lstm": (LSTM, torch.nn.LSTM),
    "gru": (GRU, torch.nn.GRU),
}


class Last(torch.nn.Module):
    """A recurrent layer of PyTorch and a linear one on its last output."""

    def __init__(self, layer: type[torch.nn.Module], features: int, units: int) -> None:
        super().__init__()
        self.layer = layer(features, units, batch_first=True)
        self.head = torch.nn.Linear(units, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0][:, -1])


class Attention(torch.nn.Module):
    """Self-attention of PyTorch and a linear layer on all that it gives."""

    def __init__(self, steps: int, features: int) -> None:
        super().__init__()
        self.layer = torch.nn.MultiheadAttention(features, 4, batch_first=True)
        self.head = torch.nn.Linear(steps * features, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x, x, x, need_weights=False)[0].flatten(1))


def steps_of_microframe(model: microframe.Model, x: Array, y: Array, batch: int) -> float:
    """The median time of a step, in seconds."""
    ends: list[float] = []

    class Clock(microframe.Callback):
        def batch_end(self, run: object, memory: object) -> None:
            ends.append(time.perf_counter())

    optimizer = {"type": "sgd", "learning_rate": 1e-3}
    settings = {"loss": "cross_entropy", "batch_size": batch, "epochs": 1, "shuffle": False}
    model.fit(x, y, optimizer=optimizer, listeners=[Clock()], **settings)
    return statistics.median(np.diff(ends))


def steps_of_pytorch(model: torch.nn.Module, x: Array, y: Array, batch: int) -> float:
    """The same for PyTorch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss = torch.nn.CrossEntropyLoss()
    times = []
    for inputs, target in zip(torch.tensor(x).split(batch), torch.tensor(y).split(batch), strict=True):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss(model(inputs), target).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def predictions(call: Callable[[], object]) -> float:
    """The median time of a call, in seconds."""
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(model: microframe.Model, other: torch.nn.Module, batch: int, steps: int, features: int) -> str:
    """The medians over all rounds, in words."""
    x = np.random.default_rng(0).standard_normal((STEPS * batch, steps, features)).astype(np.float32)
    y = np.arange(len(x)) % CLASSES
    rows, tensor = x[:batch], torch.tensor(x[:batch])
    own, trained, predicted = [], [], []
    for _ in range(ROUNDS):
        own.append(steps_of_microframe(model, x, y, batch))
        trained.append(own[-1] / steps_of_pytorch(other, x, y, batch))
        with torch.inference_mode():
            predicted.append(predictions(partial(model, rows)) / predictions(partial(other, tensor)))
    step, ratio, prediction = map(statistics.median, (own, trained, predicted))
    return f"a step {step * 1e3:.2f} ms, {ratio:.2f}x PyTorch; a prediction {prediction:.2f}x"


def main() -> None:
    torch.set_num_threads(1)
    for batch, steps, features, units in SIZES:
        print(f"batch {batch}, time {steps}, features {features}, units {units}")
        for name, (layer, other) in PAIRS.items():
            model = microframe.Model([layer(units), Dense(CLASSES, "softmax")])
            print(f"  {name}: {measure(model, Last(other, features, units), batch, steps, features)}")
    print("batch 32, time 28, features 64, heads 4")
    model = microframe.Model([MultiHeadAttention(4), Flatten(), Dense(CLASSES, "softmax")])
    print(f"  multi_head_attention: {measure(model, Attention(28, 64), 32, 28, 64)}")


if __name__ == "__main__":
    main()
