from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.registry import registry
from microframe.standard import losses
from microframe.standard.activations import Sigmoid, Softmax, Tanh


def test_a_fused_loss_prepares_targets_as_the_loss_does(fused_case):
    fused, logits, _ = fused_case.draw()
    raw = fused_case.target(np.random.default_rng(0), (len(logits), *fused_case.outputs))
    np.testing.assert_array_equal(
        fused.prepare(raw, fused_case.outputs, logits.dtype),
        fused_case.loss.prepare(raw, fused_case.outputs, logits.dtype),
    )
    assert fused.target == fused_case.loss.target


@pytest.mark.parametrize("name", registry.standard_names("loss"))
def test_no_loss_fuses_with_an_activation_it_knows_nothing_of(name):
    assert registry.get("loss", name)().fuse(Tanh()) is None


def test_a_changed_sigmoid_is_not_fused():
    class Steeper(Sigmoid):
        pass

    assert losses.BinaryCrossEntropy().fuse(Steeper()) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_of_extreme_logits(dtype):
    loss = losses.BinaryCrossEntropy().fuse(Sigmoid())
    logits = np.array([[1e4], [1e4], [-1e4], [-1e4], [0]], dtype)
    target = np.array([[1], [0], [1], [0], [1]], dtype)
    out = np.empty_like(logits)
    value = loss.value_and_gradient(logits, target, out)
    np.testing.assert_allclose(loss.sample_values(logits, target), [0, 1e4, 1e4, 0, math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(5 * out[:, 0], [0, 1, -1, 0, -0.5], rtol=1e-6)
    assert value == pytest.approx((2e4 + math.log(2)) / 5, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_of_extreme_logits(dtype):
    loss = losses.CrossEntropy().fuse(Softmax())
    logits = np.array([[1e4, -1e4, 0], [1e4, -1e4, 0], [0, 0, 0]], dtype)
    target = loss.prepare(np.array([0, 1, 2]), (3,), np.dtype(dtype))
    out = np.empty_like(logits)
    value = loss.value_and_gradient(logits, target, out)
    np.testing.assert_allclose(loss.sample_values(logits, target), [0, 2e4, math.log(3)], rtol=1e-6)
    np.testing.assert_allclose(3 * out, [[0, 0, 0], [1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-6, atol=1e-7)
    assert value == pytest.approx((2e4 + math.log(3)) / 3, rel=1e-6)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6), st.sampled_from(["float32", "float64"]), st.data())
def test_fused_binary_cross_entropy_is_never_negative(logits, dtype, data):
    target = np.array([data.draw(st.lists(st.sampled_from([0, 1]), min_size=len(logits), max_size=len(logits)))], dtype)
    loss = losses.BinaryCrossEntropy().fuse(Sigmoid())
    prediction = np.array([logits], dtype)
    with np.errstate(all="ignore"):
        value = loss.value_and_gradient(prediction, target, np.empty_like(prediction))
    exact = np.mean(np.logaddexp(0, np.where(target == 1, -1, 1) * prediction.astype("float64")))
    assert value >= 0
    assert value == pytest.approx(exact, rel=1e-5, abs=1e-5)


def test_fused_binary_cross_entropy_of_confident_and_right_logits_is_not_a_rounding_error_below_zero():
    loss = losses.BinaryCrossEntropy().fuse(Sigmoid())
    rng = np.random.default_rng(0)
    for _ in range(20):
        prediction = rng.uniform(20, 40, (64, 10)).astype("float32")
        value = loss.value_and_gradient(prediction, np.ones_like(prediction), np.empty_like(prediction))
        assert 0 <= value < 1e-5


@pytest.mark.parametrize("logit", [-200, -90, -15, -12, -1e-3, 0, 1e-3, 3, 12, 15, 30, 90, 200])
@pytest.mark.parametrize("wanted", [0, 0.25, 1])
def test_fused_binary_cross_entropy_is_as_accurate_in_training_as_in_evaluation(logit, wanted, reused_arrays):
    loss = losses.BinaryCrossEntropy().fuse(Sigmoid())
    prediction, target = np.array([[logit]], np.float32), np.array([[wanted]], np.float32)
    value = loss.value_and_gradient(prediction, target, np.empty_like(prediction), reused_arrays("float32").empty)
    exact = float(loss.sample_values(prediction.astype(np.float64), target.astype(np.float64))[0])
    assert value == pytest.approx(exact, rel=5e-7, abs=1e-37)
    assert float(loss.sample_values(prediction, target)[0]) == pytest.approx(exact, rel=5e-7, abs=1e-37)


def test_a_diverged_prediction_gives_a_value_that_is_not_finite():
    for loss in (losses.MeanSquaredError(), losses.BinaryCrossEntropy().fuse(Sigmoid())):
        prediction = np.array([[np.nan, 1.0]])
        assert math.isnan(loss.value_and_gradient(prediction, np.ones_like(prediction), np.empty_like(prediction)))
