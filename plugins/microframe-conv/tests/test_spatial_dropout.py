from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import SpatialDropout1D, SpatialDropout2D

from microframe.testing import assert_layer_gradients

LAYERS = [(SpatialDropout1D(0.4), (5, 50)), (SpatialDropout2D(0.4), (3, 2, 50))]
every_layer = pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[case[0].type for case in LAYERS])


@every_layer
def test_a_channel_is_dropped_whole_or_not_at_all(in_training, layer, shape):
    y, dx = in_training(layer, np.ones((40, *shape)))
    of_channels = y.reshape(40, -1, 50)
    assert (of_channels == of_channels[:, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.6])
    np.testing.assert_array_equal(dx, y)


@every_layer
def test_the_share_of_dropped_channels_is_the_rate(in_training, layer, shape):
    y, _ = in_training(layer, np.ones((40, *shape)))
    assert np.mean(y == 0) == pytest.approx(0.4, abs=0.05)  # of 2,000 channels; the standard error is 0.011


@every_layer
def test_backward_is_the_gradient_of_forward(layer, shape):
    assert_layer_gradients(layer, shape)


@every_layer
def test_inference_leaves_everything_as_it_is(built, layer, shape):
    dropout = built(layer, shape)
    np.testing.assert_array_equal(dropout.output(), dropout.x)


@every_layer
def test_inputs_of_other_axes_are_refused(refuses, layer, shape):
    refuses(layer, (*shape, 2), "sequences" if len(shape) == 2 else "images")
