from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import Conv2D, DepthwiseConv2D, SeparableConv2D, patches

from microframe.testing import assert_layer_gradients

OPTIONS = {
    "valid": {"kernel_size": 3},
    "same": {"kernel_size": (2, 3), "padding": "same"},
    "strides": {"kernel_size": 2, "strides": (1, 3)},
    "strides, same": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "dilation": {"kernel_size": (3, 2), "dilation": (1, 2)},
    "dilation and strides": {"kernel_size": 2, "strides": 2, "dilation": 2, "padding": "same"},
    "multiplier": {"kernel_size": 2, "depth_multiplier": 3, "strides": (2, 1)},
    "one pixel": {"kernel_size": 1},
}
with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
SHAPE = (5, 7, 2)


@pytest.fixture(params=[None, 700], ids=["one block", "small blocks"], autouse=True)
def blocks(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(patches, "BLOCK_BYTES", request.param)


@with_options
def test_backward_is_the_gradient_of_forward(options):
    assert_layer_gradients(DepthwiseConv2D(**options), SHAPE)
    assert_layer_gradients(SeparableConv2D(3, **options), SHAPE)


@with_options
def test_a_depthwise_convolution_has_a_group_for_each_channel(built, options):
    channels = SHAPE[-1]
    depthwise = built(DepthwiseConv2D(**options), SHAPE)
    plain = {name: value for name, value in options.items() if name != "depth_multiplier"}
    multiplier = options.get("depth_multiplier", 1)
    grouped = built(Conv2D(channels * multiplier, groups=channels, **plain), depthwise.x)
    kernel = depthwise.parameters["kernel"]
    assert kernel.shape[2:] == (channels, multiplier)
    expected = grouped.output(
        kernel=kernel.reshape(*kernel.shape[:2], 1, channels * multiplier), bias=depthwise.parameters["bias"]
    )
    np.testing.assert_allclose(depthwise.output(), expected, atol=1e-12)


@with_options
def test_a_separable_convolution_is_a_depthwise_one_whose_channels_are_mixed(built, options):
    separable = built(SeparableConv2D(3, activation="relu", **options), SHAPE)
    depthwise = built(DepthwiseConv2D(use_bias=False, **options), separable.x)
    unmixed = depthwise.output(kernel=separable.parameters["depthwise_kernel"])
    mixing = separable.parameters["pointwise_kernel"]
    assert mixing.shape == (1, 1, unmixed.shape[-1], 3)
    expected = np.maximum(unmixed @ mixing[0, 0] + separable.parameters["bias"], 0)
    np.testing.assert_allclose(separable.output(), expected, atol=1e-12)


@pytest.mark.parametrize("layer", [DepthwiseConv2D(3), SeparableConv2D(2, 3)], ids=str)
def test_inputs_that_do_not_fit_are_refused(refuses, layer):
    refuses(layer, (8, 3), r"images \(height, width, channels\)")
    refuses(layer, (8, 2, 3), "a width of at least 3")
