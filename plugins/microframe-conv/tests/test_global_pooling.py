from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import GlobalAveragePool1D, GlobalAveragePool2D, GlobalMaxPool1D, GlobalMaxPool2D

import microframe
from microframe.testing import assert_layer_gradients

CASES = [
    (GlobalMaxPool1D(), (5, 3), np.max),
    (GlobalMaxPool2D(), (4, 3, 2), np.max),
    (GlobalAveragePool1D(), (5, 3), np.mean),
    (GlobalAveragePool2D(), (4, 3, 2), np.mean),
]
every_layer = pytest.mark.parametrize(("layer", "shape", "reduce"), CASES, ids=[case[0].type for case in CASES])


@every_layer
def test_a_channel_becomes_one_number(built, layer, shape, reduce):
    pool = built(layer, shape)
    np.testing.assert_allclose(pool.output(), reduce(pool.x, axis=tuple(range(1, len(shape)))), atol=1e-12)


@every_layer
def test_backward_is_the_gradient_of_forward(layer, shape, reduce):
    assert_layer_gradients(layer, shape)


@every_layer
def test_inputs_of_other_axes_are_refused(refuses, layer, shape, reduce):
    refuses(layer, (*shape, 2), "sequences" if len(shape) == 2 else "images")


def test_equally_large_elements_share_the_gradient():
    # Four pixels of one value are pooled; the weights of those that are taken are what a step changes.
    pixels = {"type": "dense", "units": 4, "use_bias": False, "kernel_initializer": "ones", "name": "pixels"}
    image = {"type": "reshape", "shape": [2, 2, 1]}
    model = microframe.Model.from_config({"layers": [pixels, image, "global_max_pool2d"]})
    step = {"type": "sgd", "learning_rate": 0.5}
    model.fit(np.ones((1, 1)), np.zeros((1, 1)), loss="half_squared_error", optimizer=step, epochs=1)
    np.testing.assert_array_equal(model.weights["pixels"]["kernel"], np.full((1, 4), 1 - 0.5 / 4))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_gradient_that_is_not_finite_goes_where_another_would(in_training, value):
    x = np.random.default_rng(0).random((2, 4, 3, 2))
    y, expected = in_training(GlobalMaxPool2D(), x)
    dy = np.ones_like(y)
    dy[0, 1] = value
    expected[x == y[0, 1]] = value
    np.testing.assert_array_equal(in_training(GlobalMaxPool2D(), x, dy)[1], expected)
