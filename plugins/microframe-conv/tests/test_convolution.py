from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from microframe_conv import Conv1D, Conv2D
from microframe_conv.patches import BLOCK_BYTES
from scipy.signal import correlate

from microframe import Layer, Model
from microframe.standard.layers import Dense
from microframe.testing import assert_layer_gradients

LAYERS = {
    "valid": (Conv2D(3, 3), (6, 5, 2)),
    "same": (Conv2D(3, (2, 3), padding="same"), (5, 4, 2)),
    "strides": (Conv2D(2, 3, strides=(1, 2)), (6, 7, 3)),
    "strides, same": (Conv2D(2, 3, strides=3, padding="same"), (5, 7, 2)),
    "strides beyond the kernel": (Conv2D(2, (2, 1), strides=3), (7, 6, 2)),
    "dilation": (Conv2D(2, 3, dilation=(1, 2), padding="same"), (5, 6, 2)),
    "dilation and strides": (Conv2D(2, 2, dilation=3, strides=2), (7, 8, 2)),
    "groups": (Conv2D(6, 3, groups=2, padding="same"), (4, 5, 4)),
    "groups of one channel": (Conv2D(6, 2, groups=3), (4, 5, 3)),
    "one channel": (Conv2D(2, 3), (5, 4, 1)),
    "one pixel": (Conv2D(4, 1), (3, 2, 3)),
    "one pixel, strides": (Conv2D(2, 1, strides=2), (5, 4, 3)),
    "no bias": (Conv2D(2, 2, use_bias=False), (4, 3, 2)),
    "activation": (Conv2D(2, 2, activation="tanh"), (4, 3, 2)),
    "activation of its input": (Conv2D(2, 2, activation="silu"), (4, 3, 2)),
    "activation over channels": (Conv2D(3, 2, activation="softmax"), (4, 3, 2)),
    "sequences": (Conv1D(3, 3), (7, 2)),
    "sequences, same": (Conv1D(3, 4, padding="same", strides=2), (9, 2)),
    "sequences, dilation": (Conv1D(2, 3, dilation=2, padding="same"), (8, 1)),
    "sequences, groups": (Conv1D(4, 2, groups=2, activation="tanh"), (5, 4)),
    "sequences, one step": (Conv1D(4, 1), (5, 3)),
}


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
def test_backward_is_the_gradient_of_forward(layer, shape):
    assert_layer_gradients(layer, shape)


def test_a_kernel_slides_over_the_image_and_the_bias_is_added(built):
    layer = built(Conv2D(1, 2), np.arange(12.0).reshape(1, 3, 4, 1))
    # At the top left: 0 + 1 * 2 + 4 * 3 + 5 * 4 = 34. A step to the right adds 1 + 2 + 3 + 4, one down 4 times that.
    output = layer.output(kernel=np.reshape([1, 2, 3, 4], (2, 2, 1, 1)), bias=[100])
    np.testing.assert_array_equal(output[0, :, :, 0], [[134, 144, 154], [174, 184, 194]])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_sequences_are_correlated_as_scipy_does(built, padding):
    layer = built(Conv1D(2, 3, padding=padding), (7, 2))
    kernel, bias = layer.parameters["kernel"], layer.parameters["bias"]
    output = layer.output()
    for sample, f in np.ndindex(2, 2):
        expected = sum(correlate(layer.x[sample, :, c], kernel[:, c, f], padding) for c in range(2))
        np.testing.assert_allclose(output[sample, :, f], expected + bias[f], atol=1e-12)


def test_every_other_window_is_what_strides_of_two_leave(built):
    every = built(Conv2D(3, 3), (9, 7, 2))
    some = built(Conv2D(3, 3, strides=(2, 3)), every.x)
    np.testing.assert_allclose(some.output(), every.output()[:, ::2, ::3], atol=1e-12)


def test_dilation_is_a_kernel_with_zeros_between_its_taps(built):
    dilated = built(Conv2D(2, (3, 2), dilation=(2, 3), padding="same"), (7, 8, 2))
    spread = np.zeros((5, 4, 2, 2))
    spread[::2, ::3] = dilated.parameters["kernel"]
    plain = built(Conv2D(2, (5, 4), padding="same"), dilated.x)
    np.testing.assert_allclose(
        dilated.output(), plain.output(kernel=spread, bias=dilated.parameters["bias"]), atol=1e-12
    )


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_each_group_of_filters_reads_its_own_group_of_channels(built, padding):
    grouped = built(Conv2D(6, 3, groups=2, padding=padding), (5, 4, 4))
    assert grouped.parameters["kernel"].shape == (3, 3, 2, 6)
    output = grouped.output()
    for group in range(2):
        filters = slice(3 * group, 3 * group + 3)
        alone = built(Conv2D(3, 3, padding=padding), grouped.x[..., 2 * group : 2 * group + 2])
        expected = alone.output(
            kernel=grouped.parameters["kernel"][..., filters], bias=grouped.parameters["bias"][filters]
        )
        np.testing.assert_allclose(output[..., filters], expected, atol=1e-12)


def test_all_groups_are_worked_on_at_once(built):
    taken = {}
    for groups in (2, 4, 8):
        layer, shapes = built(Conv2D(16, 3, groups=groups), (6, 6, 16)), []
        ctx = SimpleNamespace(
            training=False,
            parameters=layer.parameters,
            empty=lambda shape, shapes=shapes: shapes.append(shape) or np.empty(shape),
            save=lambda *values: None,
        )
        np.testing.assert_array_equal(layer.layer.forward(ctx, layer.x), layer.output())
        taken[groups] = len(shapes)
    assert taken[8] == taken[4] == taken[2]


def test_a_kernel_of_one_pixel_is_a_dense_layer(built):
    convolution = built(Conv2D(4, 1, activation="relu"), (5, 4, 3))
    dense = built(Dense(4, "relu"), convolution.x)
    expected = dense.output(kernel=convolution.parameters["kernel"][0, 0], bias=convolution.parameters["bias"])
    np.testing.assert_allclose(convolution.output(), expected, atol=1e-12)


def test_a_sequence_is_an_image_of_width_one(built):
    sequence = built(Conv1D(3, 3, strides=2, dilation=2, padding="same"), (9, 2))
    image = built(Conv2D(3, (3, 1), strides=2, dilation=2, padding="same"), sequence.x[:, :, None])
    expected = image.output(kernel=sequence.parameters["kernel"][:, None], bias=sequence.parameters["bias"])
    np.testing.assert_allclose(sequence.output(), expected[:, :, 0], atol=1e-12)


def test_weight_decay_leaves_the_bias_out():
    model = Model([Conv2D(2, 3)]).build((5, 4, 1))
    assert {piece.name: piece.decay for piece in model.network.layout} == {
        "conv2d_1/kernel": True,
        "conv2d_1/bias": False,
    }


@pytest.mark.parametrize("kernel_size", [3, [3, 3]])
def test_a_configuration_gives_one_number_or_two(kernel_size):
    model = Model.from_config({"layers": [{"type": "conv2d", "filters": 2, "kernel_size": kernel_size}]})
    assert model.build((5, 4, 1)).network.output_shape == (3, 2, 2)


@pytest.mark.parametrize("value", [0, [3], [3, 3, 3], [3, 0], "3", 1.5])
def test_other_sizes_are_refused(value):
    problems = []
    Layer.from_value({"type": "conv2d", "filters": 2, "kernel_size": value}, ("layers", 0), problems)
    (problem,) = problems
    assert problem.path == ("layers", 0, "kernel_size")
    assert problem.expected.startswith("a whole number of at least 1")


def test_filters_that_groups_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="expected filters to be a multiple of groups"):
        Conv2D(5, 3, groups=2)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2D(2, 3), (64,), r"images \(height, width, channels\)"),
        (Conv1D(2, 3), (8, 8, 1), r"sequences \(time, features\)"),
        (Conv2D(2, (5, 3)), (4, 4, 1), "a height of at least 5"),
        (Conv2D(2, 3, dilation=(1, 2)), (4, 4, 1), "a width of at least 5"),
        (Conv1D(2, 3, dilation=2), (4, 1), "a time axis of at least 5"),
        (Conv2D(4, 3, groups=2), (4, 4, 3), "a number of channels that is a multiple of groups = 2"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_are_refused(refuses, layer, shape, expected):
    refuses(layer, shape, expected)


def test_prediction_takes_little_memory_besides_its_result():
    model = Model([Conv2D(4, 5, padding="same")]).build((200, 200, 8))
    x = np.zeros((4, 200, 200, 8), np.float32)
    model(x)
    tracemalloc.start()
    try:
        y = model(x)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    padded = 204 * 204 * 8 * 4
    assert peak < y.nbytes + padded + 2 * BLOCK_BYTES  # all patches together would take 128 MB
