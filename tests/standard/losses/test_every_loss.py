from __future__ import annotations

import math

import numpy as np
import pytest

from microframe.errors import ConfigError
from microframe.registry import registry
from microframe.standard import losses


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


def test_float32_stays_float32_and_gives_the_float64_result_to_its_precision(case, gradient):
    loss, prediction, target = case.draw("float32")
    exact = loss.sample_values(prediction.astype("float64"), target.astype("float64"))
    exact_gradient = gradient(loss, prediction.astype("float64"), target.astype("float64"))
    values = loss.sample_values(prediction, target)
    assert target.dtype == values.dtype == np.float32
    assert type(loss.value(prediction, target)) is float
    np.testing.assert_allclose(values, exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient(loss, prediction, target), exact_gradient, rtol=1e-5, atol=1e-6)


def test_values_stay_finite_for_extreme_predictions(case_and_extremes):
    case, extremes = case_and_extremes
    loss, prediction, target = case.draw("float32")
    prediction[...] = np.resize(np.array(extremes, "float32"), prediction.shape)
    out = np.full_like(prediction, np.nan)
    assert math.isfinite(loss.value_and_gradient(prediction, target, out))
    assert np.isfinite(out).all()
    assert np.isfinite(loss.sample_values(prediction, target)).all()


def test_fields_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="label_smoothing"):
        losses.CrossEntropy(label_smoothing=1.0)
    with pytest.raises(ConfigError, match="class_weights"):
        losses.CrossEntropy(class_weights=(1, 0))
    with pytest.raises(ConfigError, match="delta"):
        losses.Huber(delta=0)
