from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from microframe.registry import registry
from microframe.standard.metrics import (
    F1,
    R2,
    ROCAUC,
    Accuracy,
    LogLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    Precision,
    Recall,
    RootMeanSquaredError,
    TopKAccuracy,
    confusion_matrix,
)

METRICS = ["accuracy", "f1", "log_loss", "mean_absolute_error", "mean_squared_error", "precision", "r2", "recall"]
METRICS += ["rmse", "roc_auc", "top_k_accuracy"]
COUNTS = [
    (Precision, oracle.precision_score),
    (Recall, oracle.recall_score),
    (F1, oracle.f1_score),
]
REGRESSION = [
    (MeanAbsoluteError, oracle.mean_absolute_error),
    (MeanSquaredError, oracle.mean_squared_error),
    (RootMeanSquaredError, oracle.root_mean_squared_error),
    (R2, oracle.r2_score),
]
few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def classification(seed, classes=4, samples=40):
    """Softmax scores, class numbers and weights; every class occurs."""
    rng = np.random.default_rng(seed)
    scores = np.exp(rng.normal(size=(samples, classes)))
    scores /= scores.sum(axis=1, keepdims=True)
    target = rng.permutation(np.r_[np.arange(classes), rng.integers(0, classes, samples - classes)])
    return scores, target, rng.uniform(0.1, 3, samples)


def labels(seed, outputs=3, samples=40):
    """Sigmoid scores and bits for several labels a sample, with at least one row of no label, and weights."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, (samples, outputs))
    target[0], target[1] = 0, 1
    return rng.uniform(size=(samples, outputs)), target, rng.uniform(0.1, 3, samples)


def one_hot(target, classes):
    return np.eye(classes)[target]


def test_every_metric_is_registered_under_its_name():
    assert registry.standard_names("metric") == METRICS


def test_errors_and_losses_are_better_when_lower_and_scores_when_higher():
    lower = {name for name in METRICS if registry.get("metric", name).better == "lower"}
    assert lower == {"log_loss", "mean_absolute_error", "mean_squared_error", "rmse"}


@few
@given(seeds)
def test_accuracy_agrees_with_scikit_learn(seed):
    scores, target, weight = classification(seed)
    decided = scores.argmax(axis=1)
    assert Accuracy().value(scores, target) == pytest.approx(oracle.accuracy_score(target, decided))
    assert Accuracy().value(scores, one_hot(target, 4), weight) == pytest.approx(
        oracle.accuracy_score(target, decided, sample_weight=weight)
    )


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_a_lone_output_says_class_one_above_the_threshold(shape):
    prediction = np.array([0.2, 0.5, 0.6, 0.9]).reshape(shape)
    target = np.array([0, 0, 0, 1])
    assert Accuracy().value(prediction, target) == 0.75
    assert Accuracy(threshold=0.7).value(prediction, target) == 1.0
    assert Accuracy().value(prediction, target[:, None]) == 0.75


def test_accuracy_of_several_labels_counts_each_label():
    prediction = np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.6]])
    target = np.array([[1, 1, 1], [0, 1, 0]])
    assert Accuracy().value(prediction, target) == pytest.approx(4 / 6)


def test_rows_that_sum_to_one_are_classes_unless_told_otherwise():
    prediction = np.array([[0.9, 0.8], [0.7, 0.6]])
    target = np.array([[1, 0], [1, 0]])
    assert Accuracy().value(prediction, target) == 1.0
    assert Accuracy(multi_label=True).value(prediction, target) == 0.5


def test_things_classified_one_by_one_in_a_sample_share_its_weight():
    prediction = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], [0.1, 0.9]]])
    target = np.array([[0, 0], [1, 0]])
    assert Accuracy().value(prediction, target) == 0.5
    assert Accuracy().value(prediction, target, np.array([3.0, 1.0])) == 0.75
    assert Accuracy().value(prediction, one_hot(target, 2)) == 0.5


@few
@given(seeds, st.integers(1, 4))
def test_top_k_accuracy_agrees_with_scikit_learn(seed, k):
    scores, target, weight = classification(seed, classes=5)
    assert TopKAccuracy(k).value(scores, target, weight) == pytest.approx(
        oracle.top_k_accuracy_score(target, scores, k=k, sample_weight=weight)
    )


def test_top_one_accuracy_is_accuracy_even_with_ties():
    scores = np.array([[0.4, 0.4, 0.2], [0.3, 0.3, 0.4], [0.1, 0.45, 0.45]])
    for target in ([0, 2, 1], [1, 0, 2]):
        assert TopKAccuracy(1).value(scores, np.array(target)) == Accuracy().value(scores, np.array(target))


def test_top_k_accuracy_needs_more_than_k_classes():
    with pytest.raises(ValueError, match="more than 3 outputs, received 3"):
        TopKAccuracy(3).value(np.ones((2, 3)), np.array([0, 1]))


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize(("metric", "function"), COUNTS)
@few
@given(seed=seeds)
def test_counts_agree_with_scikit_learn(metric, function, average, seed):
    for scores, target, weight in (classification(seed, classes=6, samples=12), labels(seed)):
        decided = scores.argmax(axis=1) if target.ndim == 1 else scores > 0.5
        for weights in (None, weight):
            expected = function(target, decided, average=average, sample_weight=weights, zero_division=0)
            assert metric(average).value(scores, target, weights) == pytest.approx(expected)


@pytest.mark.parametrize(("metric", "function"), COUNTS)
def test_without_averaging_there_is_a_number_for_each_class(metric, function):
    scores, target, weight = classification(3)
    target[target == 2] = 1
    expected = function(target, scores.argmax(axis=1), labels=range(4), average=None, zero_division=0)
    np.testing.assert_allclose(metric("none").value(scores, target), expected)
    scores, target, weight = labels(4)
    expected = function(target, scores > 0.3, average=None, sample_weight=weight)
    np.testing.assert_allclose(metric("none", threshold=0.3).value(scores, target, weight), expected)


@pytest.mark.parametrize(("metric", "function"), COUNTS)
def test_macro_leaves_out_classes_that_never_occur(metric, function):
    scores = one_hot(np.array([0, 1, 1, 0]), 5)
    target = np.array([0, 1, 0, 3])
    expected = function(target, scores.argmax(axis=1), average="macro", zero_division=0)
    assert metric().value(scores, target) == pytest.approx(expected)


@few
@given(seeds)
def test_a_lone_output_is_counted_as_two_classes(seed):
    scores, target, weight = classification(seed, classes=2)
    expected = oracle.f1_score(target, scores[:, 1] > 0.5, average=None, sample_weight=weight)
    np.testing.assert_allclose(F1("none").value(scores[:, 1:], target, weight), expected)
    np.testing.assert_allclose(F1("none").value(scores, target, weight), expected)


@few
@given(seeds, st.booleans())
def test_binary_roc_auc_agrees_with_scikit_learn(seed, tied):
    scores, target, weight = classification(seed, classes=2)
    scores = scores.round(1) if tied else scores
    expected = oracle.roc_auc_score(target, scores[:, 1], sample_weight=weight)
    assert ROCAUC().value(scores, target, weight) == pytest.approx(expected)
    assert ROCAUC().value(scores[:, 1:], target, weight) == pytest.approx(expected)
    assert ROCAUC().value(scores[:, 1], target) == pytest.approx(oracle.roc_auc_score(target, scores[:, 1]))


@few
@given(seeds)
def test_roc_auc_of_several_classes_and_of_several_labels_agrees_with_scikit_learn(seed):
    scores, target, weight = classification(seed)
    expected = oracle.roc_auc_score(target, scores, multi_class="ovr", average="macro", sample_weight=weight)
    assert ROCAUC().value(scores, target, weight) == pytest.approx(expected)
    assert ROCAUC().value(scores, one_hot(target, 4), weight) == pytest.approx(expected)
    scores, target, weight = labels(seed)
    assert ROCAUC().value(scores, target, weight) == pytest.approx(
        oracle.roc_auc_score(target, scores, sample_weight=weight)
    )


def test_roc_auc_of_equal_scores_is_one_half():
    assert ROCAUC().value(np.full((6, 1), 0.3), np.array([0, 1, 1, 0, 1, 1])) == 0.5


def test_roc_auc_takes_any_scores_and_leaves_out_classes_that_do_not_occur():
    assert ROCAUC().value(np.array([-50.0, np.inf, 3.0]), np.array([0, 1, 0])) == 1.0
    scores = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]])
    assert ROCAUC().value(scores, np.array([0, 1])) == 1.0
    assert math.isnan(ROCAUC().value(scores, np.array([1, 1])))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@few
@given(seed=seeds)
def test_log_loss_agrees_with_scikit_learn(dtype, seed):
    scores, target, weight = classification(seed)
    scores = scores.astype(dtype)
    scores[0] = [1, 0, 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = oracle.log_loss(target, scores, sample_weight=weight)
    assert LogLoss().value(scores, target, weight) == pytest.approx(expected, rel=1e-6)
    assert LogLoss().value(scores, one_hot(target, 4), weight) == pytest.approx(expected, rel=1e-6)


@few
@given(seeds)
def test_binary_log_loss_agrees_with_scikit_learn(seed):
    scores, target, weight = classification(seed, classes=2)
    lone = scores[:, 1]
    lone[:2] = 0, 1
    expected = oracle.log_loss(target, lone, sample_weight=weight)
    assert LogLoss().value(lone[:, None], target, weight) == pytest.approx(expected)


def test_log_loss_of_several_labels_is_the_mean_of_theirs():
    scores, target, weight = labels(5)
    each = [oracle.log_loss(target[:, i], scores[:, i], sample_weight=weight) for i in range(3)]
    assert LogLoss().value(scores, target, weight) == pytest.approx(np.mean(each))


def test_log_loss_against_a_distribution_is_the_cross_entropy():
    prediction, target = np.array([[0.5, 0.25, 0.25]]), np.array([[0.5, 0.5, 0.0]])
    assert LogLoss().value(prediction, target) == pytest.approx(1.5 * math.log(2))


def test_log_loss_needs_probabilities():
    with pytest.raises(ValueError, match="probabilities between 0 and 1"):
        LogLoss().value(np.array([[-3.0, 4.0]]), np.array([1]))


@pytest.mark.parametrize(("metric", "function"), REGRESSION)
@few
@given(seed=seeds)
def test_regression_metrics_agree_with_scikit_learn(metric, function, seed):
    rng = np.random.default_rng(seed)
    true, weight = rng.normal(3, 2, (20, 3)), rng.uniform(0.1, 3, 20)
    predicted = true + rng.normal(size=(20, 3))
    assert metric().value(predicted, true) == pytest.approx(function(true, predicted))
    assert metric().value(predicted, true, weight) == pytest.approx(function(true, predicted, sample_weight=weight))
    assert metric().value(predicted[:, :1], true[:, 0]) == pytest.approx(function(true[:, 0], predicted[:, 0]))


def test_r2_of_a_constant_target_is_one_if_exact_and_zero_otherwise():
    target = np.full(3, 7.0)
    assert R2().value(target, target) == 1.0
    assert R2().value(target + 1, target) == 0.0
    assert math.isnan(R2().value(target[:1], target[:1]))


def test_images_are_compared_pixel_by_pixel():
    images = np.arange(24.0).reshape(2, 3, 4, 1)
    assert MeanAbsoluteError().value(images + 2, images) == 2.0


def test_sums_of_float32_are_taken_in_float64():
    target = np.full(3, 1e8, dtype=np.float32)
    prediction = target + np.float32(8)
    assert MeanSquaredError().value(prediction, target) == 64.0


@pytest.mark.parametrize("name", METRICS)
def test_a_prediction_that_is_nan_has_no_value(name):
    prediction = np.array([[0.1, 0.9], [np.nan, 0.2], [0.3, 0.7]])
    metric = registry.get("metric", name)
    target = prediction.round().astype(float) if issubclass(metric, tuple(m for m, _ in REGRESSION)) else np.r_[1, 0, 1]
    target = np.nan_to_num(target)
    value = (TopKAccuracy(1) if metric is TopKAccuracy else metric()).value(prediction, target)
    assert isinstance(value, float)
    assert math.isnan(value)


def test_a_prediction_that_is_nan_leaves_no_class_with_a_value():
    value = Recall("none").value(np.array([[0.1, np.nan], [0.3, 0.7]]), np.array([0, 1]))
    np.testing.assert_array_equal(value, [np.nan, np.nan])


@pytest.mark.parametrize("name", METRICS)
def test_weights_that_are_all_zero_or_of_another_length(name):
    scores, target, _ = classification(0)
    metric = registry.get("metric", name)()
    if name == "top_k_accuracy":
        metric = TopKAccuracy(2)
    if isinstance(metric, tuple(m for m, _ in REGRESSION)):
        target = one_hot(target, 4)
    value = metric.value(scores, target, np.zeros(40))
    assert math.isnan(value) or value == 0
    with pytest.raises(ValueError, match=r"weights of shape \(40,\), received \(39,\)"):
        metric.value(scores, target, np.ones(39))


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (np.ones((3, 2)), np.array([0, 1, 2]), "class numbers from 0 to 1, received 2"),
        (np.ones((3, 2)), np.array([0, -1, 1]), "class numbers from 0 to 1, received -1"),
        (np.ones((3, 2)), np.array([0, 0.5, 1]), "class numbers from 0 to 1, received 0.5"),
        (np.ones((3, 2)), np.array(["a", "b", "a"]), "class numbers from 0 to 1, received <U1 values"),
        (np.ones((3, 2)), np.array([0, 1]), r"shape \(3,\) or \(3, 2\), received \(2,\)"),
        (np.ones((3, 2)), np.ones((3, 3)), r"shape \(3,\) or \(3, 2\), received \(3, 3\)"),
        (np.ones((3, 2)), np.array([[0, 1], [3, 0], [1, 0]]), "between 0 and 1"),
        (np.ones((0, 2)), np.ones(0), "at least one sample"),
    ],
)
def test_predictions_and_targets_that_do_not_fit(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        Accuracy().value(prediction, target)


def test_a_stated_form_of_target_is_insisted_on():
    with pytest.raises(ValueError, match=r"targets of shape \(2, 2\), received \(2,\)"):
        Accuracy(multi_label=True).value(np.ones((2, 2)), np.array([0, 1]))
    with pytest.raises(ValueError, match="rows sum to one"):
        Accuracy(multi_label=False).value(np.ones((2, 2)), np.array([[1, 1], [0, 1]]))


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (np.ones((3, 2)), np.ones(3), r"shape \(3, 2\), received \(3,\)"),
        (np.ones((3, 1)), np.ones((1, 3)), r"shape \(3, 1\), received \(1, 3\)"),
        (np.ones(2), np.array(["a", "b"]), "targets that are numbers, received <U1 values"),
        (np.ones((0, 1)), np.ones(0), "at least one sample"),
    ],
)
def test_regression_targets_that_do_not_fit(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        MeanSquaredError().value(prediction, target)


@few
@given(seeds)
def test_confusion_matrix_agrees_with_scikit_learn(seed):
    scores, target, _ = classification(seed)
    expected = oracle.confusion_matrix(target, scores.argmax(axis=1), labels=range(4))
    result = confusion_matrix(scores, target, 4)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(confusion_matrix(scores, one_hot(target, 4), 4), expected)


def test_confusion_matrix_of_a_lone_output():
    prediction = np.array([[0.2], [0.6], [0.9]])
    np.testing.assert_array_equal(confusion_matrix(prediction, np.array([0, 0, 1]), 2), [[1, 1], [0, 1]])
    np.testing.assert_array_equal(confusion_matrix(prediction, np.array([0, 0, 1]), 2, threshold=0.7), [[2, 0], [0, 1]])


def test_confusion_matrix_has_no_place_for_nan():
    with pytest.raises(ValueError, match="without NaN"):
        confusion_matrix(np.array([[0.5, np.nan]]), np.array([0]), 2)
