from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

from microframe.standard import losses


def test_half_squared_error_of_one_half_and_zero_is_an_eighth():
    prediction, target = np.array([[0.5]]), np.array([[0.0]])
    out = np.empty_like(prediction)
    assert losses.HalfSquaredError().value_and_gradient(prediction, target, out) == 0.125
    assert out[0, 0] == 0.5


def test_half_squared_error_of_four_samples(gradient):
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
def test_squared_and_absolute_errors_agree_with_scikit_learn(outputs, draw):
    _, prediction, target = draw(losses.MeanSquaredError(), outputs, "normal", "normal")
    assert losses.MeanSquaredError().value(prediction, target) == pytest.approx(
        metrics.mean_squared_error(target, prediction)
    )
    assert losses.MeanAbsoluteError().value(prediction, target) == pytest.approx(
        metrics.mean_absolute_error(target, prediction)
    )


def test_huber_agrees_with_scipy(draw):
    _, prediction, target = draw(losses.Huber(), (4,), "normal", "normal")
    for delta in (0.3, 1.0, 5.0):
        expected = special.huber(delta, prediction - target).mean(axis=1)
        np.testing.assert_allclose(losses.Huber(delta=delta).sample_values(prediction, target), expected)


def test_poisson_is_the_negative_log_likelihood_but_for_a_constant(draw):
    loss, rate, count = draw(losses.Poisson(), (4,), "open_unit", "counts")
    constant = special.gammaln(count + 1)
    expected = (-stats.poisson.logpmf(count, rate) - constant).mean(axis=1)
    np.testing.assert_allclose(loss.sample_values(rate, count), expected)


def test_binary_cross_entropy_agrees_with_scikit_learn(draw):
    loss, prediction, target = draw(losses.BinaryCrossEntropy(), (1,), "open_unit", "class_numbers")
    assert loss.value(prediction, target) == pytest.approx(metrics.log_loss(target[:, 0], prediction[:, 0]))


def test_binary_cross_entropy_averages_over_several_labels(draw):
    loss, prediction, target = draw(losses.BinaryCrossEntropy(), (4,), "open_unit", "bits")
    expected = np.mean([metrics.log_loss(target[:, i], prediction[:, i], labels=[0, 1]) for i in range(4)])
    assert loss.value(prediction, target) == pytest.approx(expected)


def test_cross_entropy_agrees_with_scikit_learn(draw):
    loss, prediction, target = draw(losses.CrossEntropy(), (4,), "probabilities", "class_numbers")
    numbers = target.argmax(axis=1)
    assert loss.value(prediction, target) == pytest.approx(metrics.log_loss(numbers, prediction, labels=range(4)))


def test_class_weights_multiply_the_loss_of_the_samples_of_a_class():
    numbers = np.array([0, 1, 2, 2])
    prediction = special.softmax(np.random.default_rng(0).standard_normal((4, 3)), axis=-1)
    plain, weighted = losses.CrossEntropy(), losses.CrossEntropy(class_weights=(0.5, 1, 4))
    plain_values = plain.sample_values(prediction, plain.prepare(numbers, (3,), prediction.dtype))
    weighted_values = weighted.sample_values(prediction, weighted.prepare(numbers, (3,), prediction.dtype))
    np.testing.assert_allclose(weighted_values, plain_values * [0.5, 1, 4, 4])


def test_label_smoothing_spreads_its_share_over_all_classes():
    rows = losses.CrossEntropy(label_smoothing=0.3).prepare(np.array([1]), (3,), np.dtype("float64"))
    np.testing.assert_allclose(rows, [[0.1, 0.8, 0.1]])


def test_kl_divergence_agrees_with_scipy(draw):
    loss, prediction, target = draw(losses.KLDivergence(), (4,), "probabilities", "probabilities")
    np.testing.assert_allclose(loss.sample_values(prediction, target), stats.entropy(target, prediction, axis=1))


def test_kl_divergence_is_zero_for_equal_distributions_with_impossible_classes():
    rows = np.array([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(losses.KLDivergence().sample_values(rows, rows), 0, atol=1e-15)


def test_hinge_agrees_with_scikit_learn(draw):
    loss, scores, target = draw(losses.Hinge(), (1,), "normal", "class_numbers")
    assert loss.value(scores, target) == pytest.approx(metrics.hinge_loss(target[:, 0], scores[:, 0]))
    loss, scores, target = draw(losses.Hinge(), (4,), "normal", "class_numbers")
    expected = metrics.hinge_loss(target.argmax(axis=1), scores, labels=range(4))
    assert loss.value(scores, target) == pytest.approx(expected)


def test_equal_wrong_scores_share_the_gradient_of_the_hinge_loss(gradient):
    zeros, target = np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(gradient(losses.Hinge(), zeros, target), [[0.5, -1, 0.5]])


def test_time_steps_are_averaged_and_classes_summed(draw):
    loss, prediction, target = draw(losses.CrossEntropy(), (3, 4), "probabilities", "class_numbers")
    steps = [loss.sample_values(prediction[:, step], target[:, step]) for step in range(3)]
    np.testing.assert_allclose(loss.sample_values(prediction, target), np.mean(steps, axis=0))


def test_probabilities_that_are_cut_have_no_gradient(gradient):
    prediction = np.array([[0.0, 1.0, 0.5]])
    binary = gradient(losses.BinaryCrossEntropy(), prediction, np.array([[1.0, 0.0, 1.0]]))
    np.testing.assert_allclose(binary, [[0, 0, -2 / 3]])
    np.testing.assert_allclose(gradient(losses.CrossEntropy(), prediction, np.array([[1.0, 0.0, 0.0]])), 0)
