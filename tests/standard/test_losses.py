from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from sklearn import metrics

from microframe.component import config
from microframe.errors import ConfigError
from microframe.interfaces import Activation, Loss
from microframe.registry import registry
from microframe.standard import losses
from microframe.standard.activations import LogSoftmax, Sigmoid, Softmax, Tanh
from microframe.testing import assert_gradient

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SAMPLES = 6


@dataclass(frozen=True)
class Case:
    """A loss with predictions and targets that it is made for; with an activation, predictions are its inputs."""

    loss: Loss
    outputs: tuple[int, ...]
    prediction: Draw
    target: Draw
    activation: Activation | None = None

    def __str__(self) -> str:
        fused = f"-{self.activation.type}" if self.activation else ""
        return f"{self.loss!r}-{'x'.join(map(str, self.outputs))}{fused}"

    def draw(self, dtype: str = "float64") -> tuple[Loss, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(3)
        prediction = self.prediction(rng, (SAMPLES, *self.outputs)).astype(dtype)
        target = self.loss.prepare(self.target(rng, (SAMPLES, *self.outputs)), self.outputs, np.dtype(dtype))
        loss = self.loss.fuse(self.activation) if self.activation else self.loss
        assert loss is not None
        return loss, prediction, target


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 2 * rng.standard_normal(shape)


def open_unit(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def probabilities(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return special.softmax(rng.standard_normal(shape), axis=-1)


def counts(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.poisson(3, shape)


def class_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, max(2, shape[-1]), shape[:-1])


def bits(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(0, 2, shape)


def one_hot(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.eye(shape[-1])[class_numbers(rng, shape)]


WEIGHTED = losses.CrossEntropy(class_weights=(0.5, 1, 2, 3), label_smoothing=0.1)
OF_VALUES = [
    Case(loss, outputs, normal, normal)
    for loss in (
        losses.MeanSquaredError(),
        losses.SquaredError(),
        losses.HalfSquaredError(),
        losses.MeanAbsoluteError(),
        losses.Huber(),
        losses.Huber(delta=0.3),
    )
    for outputs in ((1,), (4,), (3, 4))
] + [Case(losses.Poisson(), (4,), open_unit, counts), Case(losses.Poisson(), (3, 4), open_unit, counts)]
OF_PROBABILITIES = [
    Case(losses.BinaryCrossEntropy(), (1,), open_unit, class_numbers),
    Case(losses.BinaryCrossEntropy(), (4,), open_unit, bits),
    Case(losses.BinaryCrossEntropy(), (3, 4), open_unit, open_unit),
    Case(losses.CrossEntropy(), (4,), probabilities, class_numbers),
    Case(losses.CrossEntropy(), (4,), probabilities, probabilities),
    Case(losses.CrossEntropy(label_smoothing=0.2), (3, 4), probabilities, class_numbers),
    Case(WEIGHTED, (4,), probabilities, class_numbers),
    Case(losses.KLDivergence(), (4,), probabilities, probabilities),
    Case(losses.KLDivergence(), (3, 4), probabilities, probabilities),
]
OF_SCORES = [
    Case(losses.Hinge(), (1,), normal, class_numbers),
    Case(losses.Hinge(), (3, 1), normal, class_numbers),
    Case(losses.Hinge(), (4,), normal, class_numbers),
    Case(losses.Hinge(), (3, 4), normal, one_hot),
]
FUSED = [
    Case(losses.BinaryCrossEntropy(), (1,), normal, class_numbers, Sigmoid()),
    Case(losses.BinaryCrossEntropy(), (4,), normal, bits, Sigmoid()),
    Case(losses.BinaryCrossEntropy(), (3, 4), normal, open_unit, Sigmoid()),
    Case(losses.CrossEntropy(), (4,), normal, class_numbers, Softmax()),
    Case(losses.CrossEntropy(), (4,), normal, probabilities, LogSoftmax()),
    Case(losses.CrossEntropy(label_smoothing=0.2), (3, 4), normal, class_numbers, Softmax()),
    Case(WEIGHTED, (4,), normal, class_numbers, Softmax()),
    Case(losses.KLDivergence(), (4,), normal, probabilities, Softmax()),
    Case(losses.KLDivergence(), (3, 4), normal, probabilities, Softmax()),
]
ALL = OF_VALUES + OF_PROBABILITIES + OF_SCORES + FUSED

every_case = pytest.mark.parametrize("case", ALL, ids=str)


@pytest.fixture(autouse=True)
def _as_in_training():
    with np.errstate(all="ignore"):
        yield


def gradient(loss: Loss, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
    out = np.full_like(prediction, np.nan)
    loss.gradient(prediction, target, out)
    return out


class ReusedArrays:
    """What training hands to `value_and_gradient`: the same arrays in every step, in the order of the calls."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.arrays: list[np.ndarray] = []
        self.next = 0

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        if self.next == len(self.arrays):
            self.arrays.append(np.full(shape, np.nan, self.dtype))
        self.next += 1
        return self.arrays[self.next - 1]


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


@every_case
def test_the_gradient_is_that_of_the_value(case):
    loss, prediction, target = case.draw()
    assert_gradient(
        lambda prediction: loss.value(prediction, target),
        gradient(loss, prediction, target),
        prediction,
        absolute=1e-8,
        relative=1e-5,
    )


@every_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient_equals_the_value_and_the_gradient(case, dtype):
    loss, prediction, target = case.draw(dtype)
    out = np.full_like(prediction, np.nan)
    arrays = ReusedArrays(dtype)
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    for _ in range(2):
        arrays.next = 0
        value = loss.value_and_gradient(prediction, target, out, arrays.empty)
        assert type(value) is float
        assert value == pytest.approx(loss.value(prediction, target), rel=tolerance, abs=tolerance)
        np.testing.assert_allclose(out, gradient(loss, prediction, target), rtol=tolerance, atol=tolerance)


@every_case
def test_value_and_gradient_works_without_an_allocator(case):
    loss, prediction, target = case.draw()
    out = np.empty_like(prediction)
    assert loss.value_and_gradient(prediction, target, out) == pytest.approx(loss.value(prediction, target))
    np.testing.assert_allclose(out, gradient(loss, prediction, target), rtol=1e-12, atol=1e-12)


@every_case
def test_float32_stays_float32_and_gives_the_float64_result_to_its_precision(case):
    loss, prediction, target = case.draw("float32")
    exact = loss.sample_values(prediction.astype("float64"), target.astype("float64"))
    exact_gradient = gradient(loss, prediction.astype("float64"), target.astype("float64"))
    values = loss.sample_values(prediction, target)
    assert target.dtype == values.dtype == np.float32
    assert type(loss.value(prediction, target)) is float
    np.testing.assert_allclose(values, exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient(loss, prediction, target), exact_gradient, rtol=1e-5, atol=1e-6)


@every_case
def test_the_value_is_the_weighted_mean_of_the_sample_values(case):
    loss, prediction, target = case.draw()
    values = loss.sample_values(prediction, target)
    weight = np.arange(1.0, SAMPLES + 1)
    assert values.shape == (SAMPLES,)
    assert loss.value(prediction, target) == pytest.approx(values.mean())
    assert loss.value(prediction, target, weight) == pytest.approx(np.mean(weight * values))


@every_case
def test_a_sample_has_the_same_value_in_any_batch(case):
    loss, prediction, target = case.draw()
    alone = [loss.value(prediction[i : i + 1], target[i : i + 1]) for i in range(SAMPLES)]
    np.testing.assert_allclose(loss.sample_values(prediction, target), alone, rtol=1e-12, atol=1e-14)


@every_case
def test_arguments_are_left_alone(case):
    loss, prediction, target = case.draw()
    prediction_before, target_before = prediction.copy(), target.copy()
    loss.value_and_gradient(prediction, target, np.empty_like(prediction))
    loss.sample_values(prediction, target)
    np.testing.assert_array_equal(prediction, prediction_before)
    np.testing.assert_array_equal(target, target_before)


@pytest.mark.parametrize("case", [case for case in ALL if case.outputs in {(4,), (3, 4)}], ids=str)
def test_values_stay_finite_for_extreme_predictions(case):
    loss, prediction, target = case.draw("float32")
    extremes = (0, 1) if case in OF_PROBABILITIES else (-1e4, 0, 1e4)
    prediction[...] = np.resize(np.array(extremes, "float32"), prediction.shape)
    out = np.full_like(prediction, np.nan)
    assert math.isfinite(loss.value_and_gradient(prediction, target, out))
    assert np.isfinite(out).all()
    assert np.isfinite(loss.sample_values(prediction, target)).all()


ALLOCATION_FREE = [
    (losses.MeanSquaredError(), normal),
    (losses.SquaredError(), normal),
    (losses.HalfSquaredError(), normal),
    (losses.MeanAbsoluteError(), normal),
    (losses.BinaryCrossEntropy().fuse(Sigmoid()), bits),
    (losses.CrossEntropy().fuse(Softmax()), one_hot),
    (losses.CrossEntropy(class_weights=(1.5,) * 1024).fuse(Softmax()), one_hot),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "draw_target"), ALLOCATION_FREE)
def test_a_training_step_allocates_no_array_after_the_first(loss, draw_target, dtype):
    rng = np.random.default_rng(0)
    prediction = normal(rng, (64, 1024)).astype(dtype)
    target = draw_target(rng, prediction.shape).astype(dtype)
    out, arrays = np.empty_like(prediction), ReusedArrays(dtype)
    loss.value_and_gradient(prediction, target, out, arrays.empty)
    arrays.next = 0
    tracemalloc.start()
    loss.value_and_gradient(prediction, target, out, arrays.empty)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy broadcasts a column through a buffer of 8192 elements, whatever the size of the arrays.
    broadcasting = 8192 * prediction.itemsize if draw_target is one_hot else 0
    assert peak < 4000 + broadcasting < prediction.nbytes / 4


@pytest.mark.parametrize("case", FUSED, ids=str)
def test_a_fused_loss_is_the_loss_after_its_activation(case):
    fused, logits, target = case.draw()
    activation = Softmax() if isinstance(case.activation, LogSoftmax) else case.activation
    probability = np.empty_like(logits)
    activation.forward(logits, probability)
    expected = np.empty_like(logits)
    activation.backward(gradient(case.loss, probability, target), None, probability, expected)
    np.testing.assert_allclose(fused.sample_values(logits, target), case.loss.sample_values(probability, target))
    np.testing.assert_allclose(gradient(fused, logits, target), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", FUSED, ids=str)
def test_a_fused_loss_prepares_targets_as_the_loss_does(case):
    fused, logits, _ = case.draw()
    raw = case.target(np.random.default_rng(0), (SAMPLES, *case.outputs))
    np.testing.assert_array_equal(
        fused.prepare(raw, case.outputs, logits.dtype), case.loss.prepare(raw, case.outputs, logits.dtype)
    )
    assert fused.target == case.loss.target


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
def test_fused_binary_cross_entropy_is_as_accurate_in_training_as_in_evaluation(logit, wanted):
    loss = losses.BinaryCrossEntropy().fuse(Sigmoid())
    prediction, target = np.array([[logit]], np.float32), np.array([[wanted]], np.float32)
    value = loss.value_and_gradient(prediction, target, np.empty_like(prediction), ReusedArrays("float32").empty)
    exact = float(loss.sample_values(prediction.astype(np.float64), target.astype(np.float64))[0])
    assert value == pytest.approx(exact, rel=5e-7, abs=1e-37)
    assert float(loss.sample_values(prediction, target)[0]) == pytest.approx(exact, rel=5e-7, abs=1e-37)


def test_a_diverged_prediction_gives_a_value_that_is_not_finite():
    for loss in (losses.MeanSquaredError(), losses.BinaryCrossEntropy().fuse(Sigmoid())):
        prediction = np.array([[np.nan, 1.0]])
        assert math.isnan(loss.value_and_gradient(prediction, np.ones_like(prediction), np.empty_like(prediction)))


def test_half_squared_error_of_one_half_and_zero_is_an_eighth():
    prediction, target = np.array([[0.5]]), np.array([[0.0]])
    out = np.empty_like(prediction)
    assert losses.HalfSquaredError().value_and_gradient(prediction, target, out) == 0.125
    assert out[0, 0] == 0.5


def test_half_squared_error_of_four_samples():
    loss = losses.HalfSquaredError()
    prediction = np.array([[0.5], [0.646], [0.525], [0.668]])
    target = loss.prepare(np.array([0, 1, 1, 1]), (1,), np.dtype("float64"))
    assert loss.value(prediction, target) == pytest.approx(0.089, abs=5e-4)
    np.testing.assert_allclose(gradient(loss, prediction, target)[:, 0], [0.125, -0.088, -0.119, -0.083], atol=6e-4)


def test_the_squared_errors_differ_by_what_they_do_to_the_outputs():
    prediction, target = np.array([[1.0, 2.0], [0.0, 0.0]]), np.zeros((2, 2))
    np.testing.assert_array_equal(losses.SquaredError().sample_values(prediction, target), [5, 0])
    np.testing.assert_array_equal(losses.HalfSquaredError().sample_values(prediction, target), [2.5, 0])
    np.testing.assert_array_equal(losses.MeanSquaredError().sample_values(prediction, target), [2.5, 0])
    np.testing.assert_array_equal(losses.MeanAbsoluteError().sample_values(prediction, target), [1.5, 0])


@pytest.mark.parametrize("outputs", [(1,), (4,)])
def test_squared_and_absolute_errors_agree_with_scikit_learn(outputs):
    _, prediction, target = Case(losses.MeanSquaredError(), outputs, normal, normal).draw()
    assert losses.MeanSquaredError().value(prediction, target) == pytest.approx(
        metrics.mean_squared_error(target, prediction)
    )
    assert losses.MeanAbsoluteError().value(prediction, target) == pytest.approx(
        metrics.mean_absolute_error(target, prediction)
    )


def test_huber_agrees_with_scipy():
    _, prediction, target = Case(losses.Huber(), (4,), normal, normal).draw()
    for delta in (0.3, 1.0, 5.0):
        expected = special.huber(delta, prediction - target).mean(axis=1)
        np.testing.assert_allclose(losses.Huber(delta=delta).sample_values(prediction, target), expected)


def test_poisson_is_the_negative_log_likelihood_but_for_a_constant():
    loss, rate, count = Case(losses.Poisson(), (4,), open_unit, counts).draw()
    constant = special.gammaln(count + 1)
    expected = (-stats.poisson.logpmf(count, rate) - constant).mean(axis=1)
    np.testing.assert_allclose(loss.sample_values(rate, count), expected)


def test_binary_cross_entropy_agrees_with_scikit_learn():
    loss, prediction, target = Case(losses.BinaryCrossEntropy(), (1,), open_unit, class_numbers).draw()
    assert loss.value(prediction, target) == pytest.approx(metrics.log_loss(target[:, 0], prediction[:, 0]))


def test_binary_cross_entropy_averages_over_several_labels():
    loss, prediction, target = Case(losses.BinaryCrossEntropy(), (4,), open_unit, bits).draw()
    expected = np.mean([metrics.log_loss(target[:, i], prediction[:, i], labels=[0, 1]) for i in range(4)])
    assert loss.value(prediction, target) == pytest.approx(expected)


def test_cross_entropy_agrees_with_scikit_learn():
    loss, prediction, target = Case(losses.CrossEntropy(), (4,), probabilities, class_numbers).draw()
    numbers = target.argmax(axis=1)
    assert loss.value(prediction, target) == pytest.approx(metrics.log_loss(numbers, prediction, labels=range(4)))


def test_class_weights_multiply_the_loss_of_the_samples_of_a_class():
    numbers = np.array([0, 1, 2, 2])
    prediction = probabilities(np.random.default_rng(0), (4, 3))
    plain, weighted = losses.CrossEntropy(), losses.CrossEntropy(class_weights=(0.5, 1, 4))
    plain_values = plain.sample_values(prediction, plain.prepare(numbers, (3,), prediction.dtype))
    weighted_values = weighted.sample_values(prediction, weighted.prepare(numbers, (3,), prediction.dtype))
    np.testing.assert_allclose(weighted_values, plain_values * [0.5, 1, 4, 4])


def test_label_smoothing_spreads_its_share_over_all_classes():
    rows = losses.CrossEntropy(label_smoothing=0.3).prepare(np.array([1]), (3,), np.dtype("float64"))
    np.testing.assert_allclose(rows, [[0.1, 0.8, 0.1]])


def test_kl_divergence_agrees_with_scipy():
    loss, prediction, target = Case(losses.KLDivergence(), (4,), probabilities, probabilities).draw()
    np.testing.assert_allclose(loss.sample_values(prediction, target), stats.entropy(target, prediction, axis=1))


def test_kl_divergence_is_zero_for_equal_distributions_with_impossible_classes():
    rows = np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(losses.KLDivergence().sample_values(rows, rows), 0, atol=1e-15)


def test_hinge_agrees_with_scikit_learn():
    loss, scores, target = Case(losses.Hinge(), (1,), normal, class_numbers).draw()
    assert loss.value(scores, target) == pytest.approx(metrics.hinge_loss(target[:, 0], scores[:, 0]))
    loss, scores, target = Case(losses.Hinge(), (4,), normal, class_numbers).draw()
    expected = metrics.hinge_loss(target.argmax(axis=1), scores, labels=range(4))
    assert loss.value(scores, target) == pytest.approx(expected)


def test_equal_wrong_scores_share_the_gradient_of_the_hinge_loss():
    zeros, target = np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(gradient(losses.Hinge(), zeros, target), [[0.5, -1, 0.5]])


def test_time_steps_are_averaged_and_classes_summed():
    loss, prediction, target = Case(losses.CrossEntropy(), (3, 4), probabilities, class_numbers).draw()
    steps = [loss.sample_values(prediction[:, step], target[:, step]) for step in range(3)]
    np.testing.assert_allclose(loss.sample_values(prediction, target), np.mean(steps, axis=0))


def test_probabilities_that_are_cut_have_no_gradient():
    prediction = np.array([[0.0, 1.0, 0.5]])
    binary = gradient(losses.BinaryCrossEntropy(), prediction, np.array([[1.0, 0.0, 1.0]]))
    np.testing.assert_allclose(binary, [[0, 0, -2 / 3]])
    np.testing.assert_allclose(gradient(losses.CrossEntropy(), prediction, np.array([[1.0, 0.0, 0.0]])), 0)


DOUBLE = np.dtype("float64")


def test_class_numbers_become_one_hot_rows_in_the_dtype_of_the_network():
    rows = losses.CrossEntropy().prepare(np.array([2, 0]), (3,), np.dtype("float32"))
    np.testing.assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])
    assert rows.dtype == np.float32


def test_class_numbers_may_be_floats_that_are_whole():
    rows = losses.CrossEntropy().prepare(np.array([[2.0, 0.0]]), (2, 3), DOUBLE)
    np.testing.assert_array_equal(rows, [[[0, 0, 1], [1, 0, 0]]])


def test_hinge_takes_class_numbers_and_signs_alike():
    signs = [[-1], [1]]
    np.testing.assert_array_equal(losses.Hinge().prepare(np.array([0, 1]), (1,), DOUBLE), signs)
    np.testing.assert_array_equal(losses.Hinge().prepare(np.array([-1, 1]), (1,), DOUBLE), signs)
    np.testing.assert_array_equal(losses.Hinge().prepare(np.array([[-1.0], [1.0]]), (1,), DOUBLE), signs)


def test_rows_of_rounded_probabilities_are_made_to_sum_to_one():
    rows = losses.CrossEntropy().prepare(np.array([[0.333, 0.333, 0.3335]]), (3,), DOUBLE)
    assert rows.sum() == pytest.approx(1, abs=1e-15)


def test_preparing_leaves_the_targets_as_they_are():
    raw = np.array([[0.2, 0.8]])
    WEIGHTED_PAIR = losses.CrossEntropy(class_weights=(2, 3), label_smoothing=0.5)
    WEIGHTED_PAIR.prepare(raw, (2,), DOUBLE)
    np.testing.assert_array_equal(raw, [[0.2, 0.8]])


@pytest.mark.parametrize(
    ("loss", "target", "outputs", "message"),
    [
        (losses.CrossEntropy(), [0, 3], (3,), r"class numbers from 0 to 2, received 3"),
        (losses.CrossEntropy(), [0, -1], (3,), r"class numbers from 0 to 2, received -1"),
        (losses.CrossEntropy(), [0, math.nan], (3,), r"class numbers from 0 to 2, received nan"),
        (losses.CrossEntropy(), [0, 1.5], (3,), r"class numbers that are whole, received 1\.5"),
        (losses.CrossEntropy(), ["a", "b"], (3,), r"targets that are numbers, received values of type <U1"),
        (losses.CrossEntropy(), [0, 1], (1,), r"binary_cross_entropy"),
        (losses.CrossEntropy(), [[0.5, 0.5]], (3,), r"class numbers of shape \(\) or rows of shape \(3,\).*\(2,\)"),
        (losses.CrossEntropy(), [[0.5, 0.6]], (2,), r"sum to 1 in each row, received a sum of 1\.1"),
        (losses.CrossEntropy(), [[-0.5, 1.5]], (2,), r"probabilities from 0 to 1, received -0\.5"),
        (losses.CrossEntropy(class_weights=(1, 2)), [0, 1], (3,), r"class_weights for 3 classes.*received 2"),
        (losses.BinaryCrossEntropy(), [0, 2], (1,), r"targets from 0 to 1, received 2"),
        (losses.BinaryCrossEntropy(), [0, 1], (3,), r"shape \(3,\).*received \(\); .* use cross_entropy"),
        (losses.BinaryCrossEntropy(), [[0, 1]], (3,), r"shape \(3,\) for each sample, received \(2,\)$"),
        (losses.KLDivergence(), [0, 1], (2,), r"shape \(2,\) for each sample, received \(\)"),
        (losses.KLDivergence(), [[0.5, 0.4]], (2,), r"sum to 1 in each row, received a sum of 0\.9"),
        (losses.Hinge(), [0, 1, 2], (1,), r"class numbers 0 and 1, or signs -1 and 1, received 0, 1, 2"),
        (losses.Hinge(), [-1, 0, 1], (1,), r"class numbers 0 and 1, or signs -1 and 1, received -1, 0, 1"),
        (losses.Hinge(), [[0.5, 0.5]], (2,), r"one-hot rows"),
        (losses.Poisson(), [[1.0, -2.0]], (2,), r"counts of at least 0, received -2"),
        (losses.MeanSquaredError(), [[1.0, 2.0]], (3,), r"shape \(3,\)"),
    ],
)
def test_targets_that_do_not_fit_are_refused_with_a_clear_word(loss, target, outputs, message):
    with pytest.raises(ValueError, match=message):
        loss.prepare(np.array(target), outputs, DOUBLE)


@pytest.mark.parametrize("loss", dict.fromkeys(case.loss for case in ALL), ids=repr)
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
