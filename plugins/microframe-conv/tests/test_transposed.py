from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import Conv2D, Conv2DTranspose

from microframe.testing import assert_layer_gradients

OPTIONS = {
    "valid": {"kernel_size": 3},
    "same": {"kernel_size": (2, 3), "padding": "same"},
    "strides": {"kernel_size": 3, "strides": (1, 2)},
    "strides, same": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "strides beyond the kernel": {"kernel_size": (1, 2), "strides": 3},
    "strides beyond the kernel, same": {"kernel_size": (1, 2), "strides": 3, "padding": "same"},
    "dilation": {"kernel_size": (3, 2), "dilation": (1, 2)},
    "dilation and strides": {"kernel_size": 2, "strides": 2, "dilation": 3, "padding": "same"},
    "one pixel": {"kernel_size": 1},
}
with_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@with_options
def test_backward_is_the_gradient_of_forward(options):
    assert_layer_gradients(Conv2DTranspose(3, **options), (3, 4, 2))


@with_options
def test_it_is_the_transpose_of_the_convolution(built, options):
    # <convolution of u, x> = <u, transposed convolution of x>
    transposed = built(Conv2DTranspose(2, use_bias=False, **options), (3, 4, 3))
    y = transposed.output()
    convolution = built(Conv2D(3, use_bias=False, **options), y.shape[1:])
    z = convolution.output(kernel=transposed.parameters["kernel"].swapaxes(2, 3))
    assert z.shape == transposed.x.shape
    assert np.vdot(z, transposed.x) == pytest.approx(np.vdot(convolution.x, y), rel=1e-10)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2])
def test_torch_agrees(built, stride, padding):
    torch = pytest.importorskip("torch")
    layer = built(Conv2DTranspose(2, 3, strides=stride, padding=padding), (4, 5, 3))
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(layer.x.transpose(0, 3, 1, 2)),
        torch.tensor(layer.parameters["kernel"].transpose(2, 3, 0, 1)),
        torch.tensor(layer.parameters["bias"]),
        stride=stride,
    ).numpy()
    output = layer.output().transpose(0, 3, 1, 2)
    if padding == "same":
        cut = (3 - stride) // 2  # torch leaves all that the kernel adds at the edges
        expected = expected[:, :, cut : cut + 4 * stride, cut : cut + 5 * stride]
    np.testing.assert_allclose(output, expected, atol=1e-12)


def test_bias_and_activation_come_last(built):
    plain = built(Conv2DTranspose(2, 3, strides=2, use_bias=False), (3, 4, 3))
    whole = built(Conv2DTranspose(2, 3, strides=2, activation="relu"), plain.x)
    bias = np.array([1, -1])
    expected = np.maximum(plain.output() + bias, 0)
    np.testing.assert_allclose(whole.output(kernel=plain.parameters["kernel"], bias=bias), expected, atol=1e-12)


def test_anything_but_images_is_refused(refuses):
    refuses(Conv2DTranspose(2, 3), (8, 3), r"images \(height, width, channels\)")
