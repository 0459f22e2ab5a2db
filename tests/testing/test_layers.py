from __future__ import annotations

import numpy as np
import pytest

from microframe.standard.layers import BatchNorm, Dense, Dropout, Embedding, LayerNorm, Multiply, Standardize
from microframe.testing import assert_layer_gradients


def test_right_gradients_pass():
    assert_layer_gradients(Dense(3, "relu"), (4,))
    assert_layer_gradients(Dropout(0.5), (4,))
    assert_layer_gradients(Multiply(), (4,), (4,))
    assert_layer_gradients(Embedding(5, 3), np.arange(12).reshape(3, 4) % 5)
    assert_layer_gradients(Standardize(), (4,))


def test_a_wrong_input_gradient_is_found():
    class Wrong(Dense):
        def backward(self, ctx, dy):
            return super().backward(ctx, dy) * 1.01

    with pytest.raises(AssertionError, match="the gradient of 'wrong' for input 0: direction 0"):
        assert_layer_gradients(Wrong(3), (4,))


def test_a_wrong_gradient_of_a_second_input_is_found():
    class Wrong(Multiply):
        def backward(self, ctx, dy):
            first, second = super().backward(ctx, dy)
            return first, -second

    with pytest.raises(AssertionError, match="'wrong' for input 1: direction 0"):
        assert_layer_gradients(Wrong(), (4,), (4,))


def test_a_wrong_parameter_gradient_is_found():
    class Wrong(Dense):
        def backward(self, ctx, dy):
            dx = super().backward(ctx, dy)
            ctx.gradients["bias"][...] /= len(dy)
            return dx

    with pytest.raises(AssertionError, match="'wrong' for 'bias': direction 0"):
        assert_layer_gradients(Wrong(3), (4,))


def test_a_parameter_gradient_that_is_added_to_what_was_there_is_found():
    class Adding(Dense):
        def backward(self, ctx, dy):
            before = ctx.gradients["bias"].copy()
            dx = super().backward(ctx, dy)
            ctx.gradients["bias"][...] += before
            return dx

    with pytest.raises(AssertionError, match="'adding' for 'bias': direction 0: the gradient gives nan"):
        assert_layer_gradients(Adding(3), (4,))


def test_a_missing_input_gradient_is_found():
    class Silent(Dense):
        def backward(self, ctx, dy):
            super().backward(ctx, dy)

    with pytest.raises(AssertionError, match="'silent' for its input: expected an array, received None"):
        assert_layer_gradients(Silent(3), (4,))


def test_a_wrong_number_of_input_gradients_is_found():
    class Short(Multiply):
        def backward(self, ctx, dy):
            return super().backward(ctx, dy)[0]

    with pytest.raises(AssertionError, match="expected backward to return 2 gradients, one an input, received 1"):
        assert_layer_gradients(Short(), (4,), (4,))


@pytest.mark.parametrize("what", ["input", "dy"])
def test_a_layer_that_modifies_what_it_is_given_fails(what):
    class Rude(Dense):
        def forward(self, ctx, *inputs):
            if what == "input":
                inputs[0][...] += 1
            return super().forward(ctx, *inputs)

        def backward(self, ctx, dy):
            dy *= 2
            return super().backward(ctx, dy)

    with pytest.raises(ValueError, match="read-only"):
        assert_layer_gradients(Rude(3), (4,))


@pytest.mark.parametrize("layer", [Dense(3, "relu"), LayerNorm(), Standardize()])
def test_inference_can_be_checked_for_a_layer_that_is_the_same_in_both(layer):
    assert_layer_gradients(layer, (4,), training=False)


@pytest.mark.parametrize("layer", [Dropout(0.5), BatchNorm()])
def test_a_layer_that_is_not_the_same_in_both_fails_for_inference(layer):
    with pytest.raises(AssertionError, match="direction 0"):
        assert_layer_gradients(layer, (4,), training=False)


def test_a_layer_whose_forward_changes_its_state_is_evaluated_from_the_same_state():
    class Counter(Dense):
        def build(self, scope, *input_shapes):
            scope.state("steps", ())
            return super().build(scope, *input_shapes)

        def forward(self, ctx, *inputs):
            ctx.state["steps"][...] += 1
            return super().forward(ctx, *inputs) * ctx.state["steps"]

    assert_layer_gradients(Counter(3), (4,))


def test_the_seed_decides_what_is_drawn():
    class Fickle(Dense):
        """Wrong where the first input is negative."""

        def backward(self, ctx, dy):
            x = ctx.saved[0]
            dx = super().backward(ctx, dy)
            return dx if x[0, 0] > 0 else np.zeros_like(dx)

    outcomes = set()
    for seed in range(8):
        try:
            assert_layer_gradients(Fickle(3), (4,), seed=seed)
            outcomes.add("right")
        except AssertionError:
            outcomes.add("wrong")
    assert outcomes == {"right", "wrong"}
