"""Times the layers beside PyTorch, with one thread: python benchmarks/layers.py

A step is forward and backward, with respect to the input too unless the layer is a first one. Contenders take turns for
several rounds; what is printed are medians, of times and of the ratios within a round.
"""

from __future__ import annotations

import copy
import os
import time

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import numpy as np
import torch
from microframe_conv import AveragePool2D, Conv2D, Conv2DTranspose, DepthwiseConv2D, MaxPool2D

import microframe

ROUNDS = 11
SECONDS = 0.03
"""How long each contender takes in a round, at least."""
BATCH = 32

CASES = {
    "conv2d 28x28x1 -> 6, 5x5": (Conv2D(6, 5, padding="same"), torch.nn.Conv2d(1, 6, 5, padding=2), (28, 28, 1)),
    "conv2d 14x14x6 -> 16, 5x5": (Conv2D(16, 5), torch.nn.Conv2d(6, 16, 5), (14, 14, 6)),
    "conv2d 32x32x16 -> 32, 3x3": (Conv2D(32, 3, padding="same"), torch.nn.Conv2d(16, 32, 3, padding=1), (32, 32, 16)),
    "the same, strides of 2": (
        Conv2D(32, 3, strides=2, padding="same"),
        torch.nn.Conv2d(16, 32, 3, stride=2, padding=1),
        (32, 32, 16),
    ),
    "conv2d 16x16x32 -> 64, 1x1": (Conv2D(64, 1), torch.nn.Conv2d(32, 64, 1), (16, 16, 32)),
    "conv2d 16x16x32 -> 32, 3x3, 8 groups": (
        Conv2D(32, 3, padding="same", groups=8),
        torch.nn.Conv2d(32, 32, 3, padding=1, groups=8),
        (16, 16, 32),
    ),
    "the same, 32 groups": (
        Conv2D(32, 3, padding="same", groups=32),
        torch.nn.Conv2d(32, 32, 3, padding=1, groups=32),
        (16, 16, 32),
    ),
    "depthwise_conv2d 32x32x32, 3x3": (
        DepthwiseConv2D(3, padding="same"),
        torch.nn.Conv2d(32, 32, 3, padding=1, groups=32),
        (32, 32, 32),
    ),
    "conv2d_transpose 16x16x32 -> 16, 3x3, strides of 2": (
        Conv2DTranspose(16, 3, strides=2, padding="same"),
        torch.nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        (16, 16, 32),
    ),
    "max_pool2d 28x28x6": (MaxPool2D(), torch.nn.MaxPool2d(2), (28, 28, 6)),
    "average_pool2d 32x32x32": (AveragePool2D(), torch.nn.AvgPool2d(2), (32, 32, 32)),
}


class Ours:
    """A layer in a training step, whose arrays are used again in the next one."""

    training = True

    def __init__(self, layer, shape, x, *, needs_input_gradient):
        model = microframe.Model([layer]).build(shape)
        self.layer, self.x, self.needs_input_gradient = layer, x, needs_input_gradient
        (self.parameters,) = model.network.weights.values()
        self.gradients = {name: np.empty_like(array) for name, array in self.parameters.items()}
        self.dy = np.ones_like(model(x))
        self.arrays, self.used, self.saved = [], 0, ()

    def empty(self, shape, dtype=np.float32):
        self.used += 1
        if self.used > len(self.arrays):
            self.arrays.append(np.empty(shape, dtype))
        return self.arrays[self.used - 1]

    def save(self, *values):
        self.saved = values

    def step(self):
        self.used = 0
        self.layer.forward(self, self.x)
        self.layer.backward(self, self.dy)


class Theirs:
    """The same in PyTorch, with channels first or last in memory."""

    def __init__(self, module, x, memory_format, *, needs_input_gradient):
        images = torch.tensor(x).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        self.module = copy.deepcopy(module).to(memory_format=memory_format)
        self.x = images.requires_grad_(needs_input_gradient)
        self.dy = torch.ones_like(self.module(self.x))

    def step(self):
        self.x.grad = None
        self.module.zero_grad(set_to_none=True)
        self.module(self.x).backward(self.dy)


def timed(step, times):
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


def measure(layer, module, shape):
    """The median time of a step, in microseconds, and the ratios to PyTorch with channels first and last."""
    x = np.random.default_rng(0).standard_normal((BATCH, *shape)).astype(np.float32)
    wanted = shape[-1] > 1
    steps = [Ours(layer, shape, x, needs_input_gradient=wanted).step]
    for memory_format in (torch.contiguous_format, torch.channels_last):
        steps += [Theirs(module, x, memory_format, needs_input_gradient=wanted).step]
    turns = [(step, max(1, int(SECONDS / max(timed(step, 1), timed(step, 2))))) for step in steps]
    rounds = np.array([[timed(*turn) for turn in turns] for _ in range(ROUNDS)])
    return np.median(rounds[:, 0]) * 1e6, *np.median(rounds[:, :1] / rounds[:, 1:], axis=0)


def main():
    torch.set_num_threads(1)
    print(f"A step of {BATCH} images, in microseconds, and as a multiple of PyTorch's with channels first and last")
    for name, case in CASES.items():
        microseconds, first, last = measure(*case)
        print(f"{name:52} {microseconds:7.0f}   {first:.2f}x   {last:.2f}x", flush=True)


if __name__ == "__main__":
    main()
