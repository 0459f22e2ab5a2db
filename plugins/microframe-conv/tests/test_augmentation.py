from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from microframe_conv import RandomFlip, RandomShift
from scipy.ndimage import shift

from microframe.testing import assert_layer_gradients

MANY = 900
"""Images enough for shares to be within 0.05 of their expectation; the standard error is 0.017 at most."""


def moved(image, down, right, fill):
    return shift(image, (down, right, 0), order=0, cval=fill)


def mirrored(image, down, right):
    return image[::down, ::right]


def variants_taken(y, x, variants):
    """Which of the variants each output is, by its arguments."""
    taken = Counter()
    for image, output in zip(x, y, strict=True):
        (given,) = [given for given, variant in variants(image) if np.array_equal(variant, output)]
        taken[given] += 1
    return taken


@pytest.mark.parametrize(("distance", "height", "width"), [(1, 1, 1), ([2, 0], 2, 0), ([0, 1], 0, 1)], ids=str)
def test_each_image_is_shifted_by_distances_of_equal_probability(in_training, distance, height, width):
    x = np.random.default_rng(0).random((MANY, 4, 3, 2))
    y, _ = in_training(RandomShift(distance, fill=-1.0), x)
    steps = [(down, right) for down in range(-height, height + 1) for right in range(-width, width + 1)]
    counts = variants_taken(y, x, lambda image: [(step, moved(image, *step, -1)) for step in steps])
    assert {step: count / MANY for step, count in counts.items()} == {
        step: pytest.approx(1 / len(steps), abs=0.05) for step in steps
    }


def test_what_is_moved_out_of_the_image_altogether_leaves_the_fill(in_training):
    y, dx = in_training(RandomShift(50, fill=3.0), np.zeros((20, 2, 2, 1)))
    gone = (y == 3).all(axis=(1, 2, 3))
    assert gone.any()
    np.testing.assert_array_equal(dx[gone], 0)


@pytest.mark.parametrize(
    ("layer", "shares"),
    [
        (RandomFlip(), {(1, 1): 0.5, (1, -1): 0.5}),
        (RandomFlip("vertical", 0.2), {(1, 1): 0.8, (-1, 1): 0.2}),
        (RandomFlip("both"), {(1, 1): 0.25, (1, -1): 0.25, (-1, 1): 0.25, (-1, -1): 0.25}),
        (RandomFlip(rate=0.0), {(1, 1): 1}),
        (RandomFlip(rate=1.0), {(1, -1): 1}),
    ],
    ids=repr,
)
def test_images_are_mirrored_with_their_probabilities(in_training, layer, shares):
    x = np.random.default_rng(0).random((MANY, 3, 4, 2))
    y, _ = in_training(layer, x)
    steps = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    counts = variants_taken(y, x, lambda image: [(step, mirrored(image, *step)) for step in steps])
    assert {step: count / MANY for step, count in counts.items()} == pytest.approx(shares, abs=0.05)


LAYERS = [RandomShift(), RandomShift((0, 2), fill=0.5), RandomFlip(), RandomFlip("both")]
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=repr)


@every_layer
def test_backward_is_the_gradient_of_forward(layer):
    assert_layer_gradients(layer, (4, 3, 2), batch=8)


@every_layer
def test_inference_leaves_everything_as_it_is(built, layer):
    augmentation = built(layer, (4, 3, 2))
    np.testing.assert_array_equal(augmentation.output(), augmentation.x)


@every_layer
def test_the_same_seed_draws_the_same_and_another_one_something_else(in_training, layer):
    x = np.random.default_rng(0).random((20, 4, 3, 2))
    (first, _), (again, _), (other, _) = (in_training(layer, x, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(again, first)
    assert not np.array_equal(other, first)


@every_layer
def test_anything_but_images_is_refused(refuses, layer):
    refuses(layer, (8, 3), r"images \(height, width, channels\)")
