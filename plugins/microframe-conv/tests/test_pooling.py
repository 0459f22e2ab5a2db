from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import AveragePool1D, AveragePool2D, MaxPool1D, MaxPool2D, patches
from numpy.lib.stride_tricks import sliding_window_view

import microframe
from microframe.testing import assert_layer_gradients

LAYERS = {
    "apart": ({}, (6, 4, 2)),
    "apart, a rest": ({"pool_size": 3}, (7, 5, 2)),
    "overlapping": ({"pool_size": (3, 2), "strides": 1}, (5, 4, 2)),
    "gaps": ({"pool_size": 2, "strides": 3}, (8, 6, 2)),
    "same": ({"pool_size": 3, "strides": 2, "padding": "same"}, (6, 5, 2)),
    "same, overlapping": ({"pool_size": (2, 3), "strides": 1, "padding": "same"}, (4, 5, 1)),
}
options_and_shape = pytest.mark.parametrize(("options", "shape"), LAYERS.values(), ids=LAYERS)


@pytest.fixture(params=[None, 200], ids=["one block", "small blocks"], autouse=True)
def blocks(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(patches, "BLOCK_BYTES", request.param)


@options_and_shape
def test_backward_is_the_gradient_of_forward(options, shape):
    assert_layer_gradients(MaxPool2D(**options), shape)
    assert_layer_gradients(AveragePool2D(**options), shape)


@pytest.mark.parametrize(
    "layer", [MaxPool1D(3, strides=2, padding="same"), AveragePool1D(3, strides=2, padding="same")]
)
def test_backward_is_the_gradient_of_forward_for_sequences(layer):
    assert_layer_gradients(layer, (8, 3))


@options_and_shape
@pytest.mark.parametrize(
    ("layer", "reduce"), [(MaxPool2D, np.nanmax), (AveragePool2D, np.nanmean)], ids=["max", "mean"]
)
def test_each_output_is_the_largest_or_the_mean_of_its_window(built, layer, reduce, options, shape):
    pool = built(layer(**options), shape)
    size = np.broadcast_to(pool.layer.pool_size, 2)
    strides = np.broadcast_to(pool.layer.strides or pool.layer.pool_size, 2)
    padding = np.zeros((4, 2), int)
    if pool.layer.padding == "same":
        extents = np.array(shape[:2])
        total = np.maximum((np.ceil(extents / strides).astype(int) - 1) * strides + size - extents, 0)
        padding[1:3] = np.transpose([total // 2, total - total // 2])
    padded = np.pad(pool.x, padding, constant_values=np.nan)
    windows = sliding_window_view(padded, size, axis=(1, 2))[:, :: strides[0], :: strides[1]]
    np.testing.assert_allclose(pool.output(), reduce(windows, axis=(-2, -1)), atol=1e-12)


def test_padding_counts_neither_for_the_largest_nor_for_the_mean(built):
    x = -np.ones((1, 5, 5, 1))
    for layer in (MaxPool2D(3, strides=2, padding="same"), AveragePool2D(3, strides=2, padding="same")):
        np.testing.assert_array_equal(built(layer, x).output(), -np.ones((1, 3, 3, 1)))


@pytest.mark.parametrize(("image", "sequence"), [(MaxPool2D, MaxPool1D), (AveragePool2D, AveragePool1D)])
def test_a_sequence_is_an_image_of_width_one(built, image, sequence):
    x = np.random.default_rng(0).random((2, 7, 3))
    expected = built(image((3, 1), strides=2, padding="same"), x[:, :, None]).output()[:, :, 0]
    np.testing.assert_array_equal(built(sequence(3, strides=2, padding="same"), x).output(), expected)


def test_the_gradient_goes_to_the_first_of_the_largest():
    # Four pixels of one value are pooled; the weight of the one that is taken is what a step changes.
    pixels = {"type": "dense", "units": 4, "use_bias": False, "kernel_initializer": "ones", "name": "pixels"}
    image = {"type": "reshape", "shape": [2, 2, 1]}
    model = microframe.Model.from_config({"layers": [pixels, image, "max_pool2d", "flatten"]})
    step = {"type": "sgd", "learning_rate": 0.5}
    model.fit(np.ones((1, 1)), np.zeros((1, 1)), loss="half_squared_error", optimizer=step, epochs=1)
    np.testing.assert_array_equal(model.weights["pixels"]["kernel"], [[0.5, 1, 1, 1]])


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (MaxPool2D(), (8, 3), r"images \(height, width, channels\)"),
        (AveragePool1D(), (8, 8, 3), r"sequences \(time, features\)"),
        (MaxPool2D((3, 2)), (2, 4, 1), "a height of at least 3"),
        (AveragePool2D(3), (4, 2, 1), "a width of at least 3"),
        (MaxPool1D(3), (2, 1), "a time axis of at least 3"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_are_refused(refuses, layer, shape, expected):
    refuses(layer, shape, expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_goes_where_another_would(in_training, value):
    x = np.random.default_rng(0).random((2, 6, 6, 3))
    layer = MaxPool2D(3, strides=2, padding="same")
    y, expected = in_training(layer, x)
    dy = np.ones_like(y)
    dy[0, 1, 1, 2] = value
    (place,) = np.argwhere(x == y[0, 1, 1, 2])
    expected[tuple(place)] = value
    np.testing.assert_array_equal(in_training(layer, x, dy)[1], expected)
