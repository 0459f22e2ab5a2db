from __future__ import annotations

import numpy as np
import pytest
from microframe_conv import Upsampling1D, Upsampling2D, ZeroPadding1D, ZeroPadding2D

import microframe
from microframe.testing import assert_layer_gradients

PADDINGS = [
    (ZeroPadding1D(), [(1, 1)]),
    (ZeroPadding1D((2, 0)), [(2, 0)]),
    (ZeroPadding2D(), [(1, 1), (1, 1)]),
    (ZeroPadding2D(0), [(0, 0), (0, 0)]),
    (ZeroPadding2D((1, 2)), [(1, 1), (2, 2)]),
    (ZeroPadding2D(((0, 1), 2)), [(0, 1), (2, 2)]),
    (ZeroPadding2D(((0, 1), (2, 3))), [(0, 1), (2, 3)]),
]
every_padding = pytest.mark.parametrize(("layer", "sides"), PADDINGS, ids=[repr(case[0]) for case in PADDINGS])
ENLARGEMENTS = [
    (Upsampling1D(), (2,)),
    (Upsampling1D(3), (3,)),
    (Upsampling2D(), (2, 2)),
    (Upsampling2D((1, 3)), (1, 3)),
]
every_size = pytest.mark.parametrize(("layer", "sizes"), ENLARGEMENTS, ids=[repr(case[0]) for case in ENLARGEMENTS])


def input_shape(axes):
    return (4, 3, 2)[-axes - 1 :]


@every_padding
def test_zeros_stand_around_the_input(built, layer, sides):
    padded = built(layer, input_shape(len(sides)))
    np.testing.assert_array_equal(padded.output(), np.pad(padded.x, [(0, 0), *sides, (0, 0)]))


@every_size
def test_every_element_is_repeated(built, layer, sizes):
    enlarged = built(layer, input_shape(len(sizes)))
    expected = np.kron(enlarged.x, np.ones((1, *sizes, 1)))
    np.testing.assert_array_equal(enlarged.output(), expected)


@pytest.mark.parametrize("case", PADDINGS + ENLARGEMENTS, ids=lambda case: repr(case[0]))
def test_backward_is_the_gradient_of_forward(case):
    assert_layer_gradients(case[0], input_shape(len(case[1])))


@pytest.mark.parametrize("layer", [ZeroPadding1D(), Upsampling1D()], ids=str)
def test_sequences_are_expected(refuses, layer):
    refuses(layer, (8, 8, 1), r"sequences \(time, features\)")


@pytest.mark.parametrize("layer", [ZeroPadding2D(), Upsampling2D()], ids=str)
def test_images_are_expected(refuses, layer):
    refuses(layer, (8, 1), r"images \(height, width, channels\)")


@pytest.mark.parametrize("padding", [-1, [1], [1, 2, 3], [[1, 2], [3]], [[1, -1], 0], 0.5])
def test_other_paddings_are_refused(padding):
    with pytest.raises(microframe.ConfigError, match="padding"):
        ZeroPadding2D(padding)
