"""A training step makes no arrays, once those that it works in are there."""

from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import (
    AveragePool1D,
    AveragePool2D,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv2D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
    RandomFlip,
    RandomShift,
    SeparableConv2D,
    SpatialDropout1D,
    SpatialDropout2D,
    Upsampling1D,
    Upsampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
    microframe_components,
    patches,
)

import microframe
from microframe.standard.layers import Dense, Flatten, Reshape
from microframe.testing import recorded_allocations

ROWS, BATCH = 45, 8
"""Five batches of 8 and one of 5."""
SINGLE_NUMBERS = 16
"""Bytes up to which an allocation is a number on its way through a function of NumPy."""

IMAGES = {
    "conv2d": Conv2D(4, 3, activation="relu"),
    "conv2d, same": Conv2D(4, 3, padding="same", strides=2, activation="gelu"),
    "conv2d, groups": Conv2D(4, 3, padding="same", groups=2, dilation=2),
    "conv2d, groups of one channel and filter": Conv2D(2, 3, groups=2),
    "conv2d, one pixel": Conv2D(4, 1),
    "depthwise_conv2d": DepthwiseConv2D(3, depth_multiplier=2),
    "depthwise_conv2d, same": DepthwiseConv2D(3, padding="same", strides=2),
    "separable_conv2d": SeparableConv2D(3, 3, activation="relu"),
    "conv2d_transpose": Conv2DTranspose(3, 3, strides=2, padding="same"),
    "conv2d_transpose, one pixel": Conv2DTranspose(3, 1),
    "max_pool2d": MaxPool2D(),
    "max_pool2d, same": MaxPool2D(3, strides=2, padding="same"),
    "average_pool2d": AveragePool2D(),
    "average_pool2d, same": AveragePool2D(3, strides=2, padding="same"),
    "global_max_pool2d": GlobalMaxPool2D(),
    "global_average_pool2d": GlobalAveragePool2D(),
    "zero_padding2d": ZeroPadding2D(),
    "upsampling2d": Upsampling2D(),
    "spatial_dropout2d": SpatialDropout2D(0.3),
    "random_shift": RandomShift(),
    "random_flip": RandomFlip(),
}
SEQUENCES = {
    "conv1d": Conv1D(4, 3, padding="same", activation="relu"),
    "conv1d, groups": Conv1D(6, 3, groups=2),
    "max_pool1d": MaxPool1D(),
    "average_pool1d": AveragePool1D(3, strides=2, padding="same"),
    "global_max_pool1d": GlobalMaxPool1D(),
    "global_average_pool1d": GlobalAveragePool1D(),
    "zero_padding1d": ZeroPadding1D(),
    "upsampling1d": Upsampling1D(),
    "spatial_dropout1d": SpatialDropout1D(0.3),
}
CASES = {name: (layer, (6, 5, 2)) for name, layer in IMAGES.items()}
CASES |= {name: (layer, (15, 4)) for name, layer in SEQUENCES.items()}


def allocated(layer, shape):
    """The bytes of each array that the steps of two epochs make, by step."""
    x, y = np.random.default_rng(0).standard_normal((2, ROWS, 60)).astype(np.float32)
    of_steps = []

    class Watch(microframe.Callback):
        def batch_end(self, run, memory):
            of_steps.append([size for size in sizes if size > SINGLE_NUMBERS])
            sizes.clear()

    with recorded_allocations() as sizes:
        microframe.Model([Dense(60), Reshape(shape), layer, Flatten(), Dense(60)]).fit(
            x, y, loss="mean_squared_error", optimizer="sgd", epochs=2, batch_size=BATCH, listeners=[Watch()]
        )
    return of_steps


@pytest.mark.parametrize(("layer", "shape"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("block_bytes", [patches.BLOCK_BYTES, 500])
def test_no_layer_makes_an_array_in_a_step(monkeypatch, layer, shape, block_bytes):
    monkeypatch.setattr(patches, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(patches, "FEWEST_WINDOWS", 16)
    steps = allocated(layer, shape)
    half = len(steps) // 2
    later = steps[1 : half - 1] + steps[half + 1 : -1]  # each size of batch may make its arrays
    assert later == [[]] * len(later)


def test_every_layer_is_among_those_above():
    assert {layer.type for layer, _ in CASES.values()} == {component.type for component in microframe_components()}
