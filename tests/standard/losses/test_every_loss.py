from __future__ import annotations

import math

import numpy as np
import pytest

from microframe.component import config
from microframe.errors import ConfigError
from microframe.interfaces import Loss
from microframe.registry import registry
from microframe.standard import losses
from microframe.testing import assert_gradient


def test_the_standard_names():
    assert set(registry.standard_names("loss")) == {
        "mean_squared_error",
        "half_squared_error",
        "squared_error",
        "brier_score",
        "mean_absolute_error",
        "huber",
        "binary_cross_entropy",
        "cross_entropy",
        "hinge",
        "kl_divergence",
        "poisson",
    }


def test_the_gradient_is_that_of_the_value(case, gradient):
    loss, prediction, target = case.draw()
    assert_gradient(
        lambda prediction: loss.value(prediction, target),
        gradient(loss, prediction, target),
        prediction,
        absolute=1e-8,
        relative=1e-5,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient_equals_the_value_and_the_gradient(case, dtype, gradient, reused_arrays):
    loss, prediction, target = case.draw(dtype)
    out = np.full_like(prediction, np.nan)
    arrays = reused_arrays(dtype)
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    for _ in range(2):
        arrays.next = 0
        value = loss.value_and_gradient(prediction, target, out, arrays.empty)
        assert type(value) is float
        assert value == pytest.approx(loss.value(prediction, target), rel=tolerance, abs=tolerance)
        np.testing.assert_allclose(out, gradient(loss, prediction, target), rtol=tolerance, atol=tolerance)


def test_value_and_gradient_works_without_an_allocator(case, gradient):
    loss, prediction, target = case.draw()
    out = np.empty_like(prediction)
    assert loss.value_and_gradient(prediction, target, out) == pytest.approx(loss.value(prediction, target))
    np.testing.assert_allclose(out, gradient(loss, prediction, target), rtol=1e-12, atol=1e-12)


def test_float32_stays_float32_and_gives_the_float64_result_to_its_precision(case, gradient):
    loss, prediction, target = case.draw("float32")
    exact = loss.sample_values(prediction.astype("float64"), target.astype("float64"))
    exact_gradient = gradient(loss, prediction.astype("float64"), target.astype("float64"))
    values = loss.sample_values(prediction, target)
    assert target.dtype == values.dtype == np.float32
    assert type(loss.value(prediction, target)) is float
    np.testing.assert_allclose(values, exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient(loss, prediction, target), exact_gradient, rtol=1e-5, atol=1e-6)


def test_the_value_is_the_weighted_mean_of_the_sample_values(case):
    loss, prediction, target = case.draw()
    values = loss.sample_values(prediction, target)
    weight = np.arange(1.0, len(prediction) + 1)
    assert values.shape == (len(prediction),)
    assert loss.value(prediction, target) == pytest.approx(values.mean())
    assert loss.value(prediction, target, weight) == pytest.approx(np.mean(weight * values))


def test_a_sample_has_the_same_value_in_any_batch(case):
    loss, prediction, target = case.draw()
    alone = [loss.value(prediction[i : i + 1], target[i : i + 1]) for i in range(len(prediction))]
    np.testing.assert_allclose(loss.sample_values(prediction, target), alone, rtol=1e-12, atol=1e-14)


def test_arguments_are_left_alone(case):
    loss, prediction, target = case.draw()
    prediction_before, target_before = prediction.copy(), target.copy()
    loss.value_and_gradient(prediction, target, np.empty_like(prediction))
    loss.sample_values(prediction, target)
    np.testing.assert_array_equal(prediction, prediction_before)
    np.testing.assert_array_equal(target, target_before)


def test_values_stay_finite_for_extreme_predictions(case_and_extremes):
    case, extremes = case_and_extremes
    loss, prediction, target = case.draw("float32")
    prediction[...] = np.resize(np.array(extremes, "float32"), prediction.shape)
    out = np.full_like(prediction, np.nan)
    assert math.isfinite(loss.value_and_gradient(prediction, target, out))
    assert np.isfinite(out).all()
    assert np.isfinite(loss.sample_values(prediction, target)).all()


def test_config_and_component_are_each_others_inverse(loss):
    problems = []
    parsed = Loss.from_value(config(loss), (), problems)
    assert problems == []
    assert parsed == loss
    assert config(parsed) == config(loss)


def test_fields_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="label_smoothing"):
        losses.CrossEntropy(label_smoothing=1.0)
    with pytest.raises(ConfigError, match="class_weights"):
        losses.CrossEntropy(class_weights=(1, 0))
    with pytest.raises(ConfigError, match="delta"):
        losses.Huber(delta=0)
