"""What the conformance suite asks of metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microframe import Example, Metric
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks

STANDARD = [registry.get("metric", name) for name in registry.standard_names("metric")]


@parametrize_with_checks(*STANDARD)
def test_every_standard_metric_conforms(check):
    check()


class Distance(Metric):
    """The mean of |p - t|."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        if prediction.shape == (*target.shape, 1):
            target = target[:, None]
        if prediction.shape != target.shape:
            raise ValueError(f"expected targets of shape {prediction.shape}, received {target.shape}")
        return float(np.average(np.abs(prediction - target).mean(axis=1, dtype=np.float64), weights=weight))


class Hits(Metric):
    """The share of samples whose largest output is that of their class."""

    def value(self, prediction, target, weight=None):
        numbers = target.dtype.kind == "i"
        if not numbers or prediction.ndim != 2 or prediction.shape[1] < 2 or target.shape != prediction.shape[:1]:
            raise ValueError(f"expected class numbers and an output for each class, received {prediction.shape}")
        return float(np.average(prediction.argmax(axis=1) == target, weights=weight))


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def outcomes(subject):
    return {result.check: result for result in check_component(subject)}


@pytest.mark.parametrize("metric", [Distance, Hits])
def test_right_metrics_fail_nothing(metric):
    assert failed(metric) == {}


def test_one_sample_for_all_must_not_be_broadcast():
    class Broadcasting(Hits):
        def value(self, prediction, target, weight=None):
            if len(target) > 1 or len(prediction) == 1:
                return super().value(prediction, target, weight)
            return float(np.mean(prediction.argmax(axis=1) == target))

    reason = failed(Broadcasting)["refuses_misfits"]
    assert (
        "expected a ValueError for predictions of shape (42, 3) and targets of shape (1,), received the value" in reason
    )


def test_what_numpy_says_of_shapes_is_not_what_is_expected():
    class Terse(Distance):
        def value(self, prediction, target, weight=None):
            if len(target) == 1 or target.ndim == 1:
                return super().value(prediction, target, weight)
            return float(np.average(np.abs(prediction - target).mean(axis=1, dtype=np.float64), weights=weight))

    assert "received 'operands could not be broadcast together" in failed(Terse)["refuses_misfits"]


def test_values_may_stand_in_a_vector_where_there_is_one_output():
    class Square(Distance):
        def value(self, prediction, target, weight=None):
            errors = np.abs(prediction - target).mean(axis=1)
            return float(np.average(errors, weights=weight))

    assert "targets (samples,) to give what targets (samples, 1) do" in failed(Square)["one_output"]


def test_a_lone_output_that_is_taken_for_a_class():
    class Naive(Hits):
        def value(self, prediction, target, weight=None):
            if prediction.shape[1:] != (1,):
                return super().value(prediction, target, weight)
            return float(np.average(prediction.argmax(axis=1) == target, weights=weight))

    reason = failed(Naive)["better_is_better"]
    assert "better than one that is wrong everywhere" in reason
    assert "for one probability with the class numbers 0 and 1, received 0.5 and 0.5" in reason


@pytest.mark.parametrize("better", ["up", None, 1])
def test_the_way_up_is_one_of_two(better):
    named = type("Sideways", (Distance,), {"better": better, "__module__": __name__})
    assert f"'higher' or 'lower', received {better!r}" in failed(named)["better_is_better"]


def test_a_metric_that_says_that_it_takes_no_weights_is_let_off():
    class Median(Distance):
        def value(self, prediction, target, weight=None):
            if weight is not None:
                raise ValueError("expected samples that all count alike")
            super().value(prediction, target)
            return float(np.median(np.abs(prediction - target.reshape(prediction.shape)).mean(axis=1)))

    assert failed(Median) == {}
    assert outcomes(Median)["sample_weights"].reason == (
        "the metric takes no sample weights: expected samples that all count alike"
    )


def test_weights_that_do_not_fit_the_outputs_are_no_such_word():
    class Careless(Distance):
        def value(self, prediction, target, weight=None):
            if prediction.shape[1:] != (2,):
                raise ValueError(f"expected two outputs, received {prediction.shape}")
            if weight is None:
                return super().value(prediction, target)
            return float((np.abs(prediction - target) * weight).sum() / weight.sum())

    assert "operands could not be broadcast" in failed(Careless)["sample_weights"]


def test_a_metric_of_nothing_known_is_told_the_reasons():
    class Images(Metric):
        """Of images alone."""

        def value(self, prediction, target, weight=None):
            if prediction.ndim != 4:
                raise ValueError("expected images")
            return float(np.average(np.abs(prediction - target).mean(axis=(1, 2, 3)), weights=weight))

    reason = failed(Images)["value_type"]
    assert "for probabilities of 3 classes with class numbers ValueError: expected images" in reason
    assert "microframe.Example(metric, inputs=(prediction, target))" in reason


def test_an_example_may_give_prediction_and_target():
    class Images(Distance):
        """Of images alone."""

        def value(self, prediction, target, weight=None):
            if prediction.ndim != 4 or prediction.shape != target.shape:
                raise ValueError(f"expected images of one shape, received {prediction.shape} and {target.shape}")
            flat = (array.reshape(len(array), -1) for array in (prediction, target))
            return super().value(*flat, weight)

    rng = np.random.default_rng(0)
    images = tuple(rng.uniform(size=(6, 4, 4, 2)) for _ in range(2))
    example = Example(Images(), inputs=images, reference=lambda prediction, target: np.abs(prediction - target).mean())
    assert failed(example) == {}
    results = outcomes(example)
    assert results["reference"].outcome == "passed"
    assert results["better_is_better"].reason == "no perfect prediction is known for the inputs of the example"


def test_targets_that_are_all_alike_and_single_samples():
    class Relative(Distance):
        """The mean of |p - t|, in units of how far the targets spread."""

        def value(self, prediction, target, weight=None):
            spread = float(np.std(target, dtype=np.float64))
            return super().value(prediction, target, weight) / (spread or self.when_alike())

        def when_alike(self):
            return math.nan

    class Zero(Relative):
        def when_alike(self):
            return 0

    class Tiny(Relative):
        def when_alike(self):
            return np.float64(0)

    class Refusing(Relative):
        def when_alike(self):
            raise ValueError(self.message)

        message: str = "expected targets that differ"

    assert "constant_targets" not in failed(Relative)
    assert "constant_targets" not in failed(Refusing)
    expected = "expected a finite value, or NaN where there is none, for values, one a sample, where all targets are"
    assert f"{expected} [2.27392337], received ZeroDivisionError" in failed(Zero)["constant_targets"]
    assert "received inf" in failed(Tiny)["constant_targets"]
    assert "received ValueError: " in failed(Refusing(message=""))["constant_targets"]


def test_more_than_one_sample_may_be_needed_if_that_is_said():
    class Unbiased(Distance):
        def value(self, prediction, target, weight=None):
            mean = super().value(prediction, target, weight)
            return mean * len(target) / (len(target) - 1)

    reason = failed(Unbiased)["constant_targets"]
    assert "for values, one a sample, of a single sample, received ZeroDivisionError" in reason


def test_a_value_that_is_infinite_for_large_numbers():
    class Exponential(Distance):
        def value(self, prediction, target, weight=None):
            super().value(prediction, target)
            errors = np.exp(np.abs(prediction - target.reshape(prediction.shape)).astype(np.float64)).mean(axis=1)
            return float(np.average(errors, weights=weight))

    assert "expected a finite value for values, one a sample of up to 300000" in failed(Exponential)["dtype"]
