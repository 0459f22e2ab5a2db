from __future__ import annotations

import numpy as np
import pytest

from microframe import UsageError
from microframe.standard.metrics import MeanAbsoluteError


def test_a_share_is_held_out_for_validation_and_never_trained_on(fit_line, straight_line, line_by_hand):
    x, y = straight_line()
    model = fit_line(validation=0.25)
    assert model.parts is not None
    train, validation = model.parts.train, model.parts.validation
    assert (len(train), len(validation)) == (15, 5)
    w, b = line_by_hand(x[train], y[train], rates=[0.1] * 4)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
    expected = np.mean((w * x[validation] + b - y[validation]) ** 2)
    assert model.history["validation_loss"][-1] == pytest.approx(expected, rel=1e-12)


def test_the_tail_can_be_held_out(fit_line):
    model = fit_line(validation=0.25, split="tail")
    assert model.parts is not None
    assert model.parts.validation.tolist() == [15, 16, 17, 18, 19]


def test_classes_are_held_out_in_their_shares(classifier):
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = np.repeat([0, 1, 2], 20)
    model = classifier()
    model.fit(x, y, loss="cross_entropy", epochs=1, validation=0.25)
    assert model.parts is not None
    assert np.bincount(y[model.parts.validation]).tolist() == [5, 5, 5]


def test_validation_samples_can_be_given(fit_line, straight_line, line_by_hand):
    x, y = straight_line()
    other_x, other_y = np.array([[2.0], [3.0]]), np.array([[0.0], [1.0]])
    model = fit_line(validation=(other_x, other_y), metrics=[MeanAbsoluteError()])
    w, b = line_by_hand(x, y, rates=[0.1] * 4)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
    measured = model.evaluate(other_x, other_y)
    assert model.history["validation_loss"][-1] == measured["loss"]
    assert model.history["validation_mean_absolute_error"][-1] == measured["mean_absolute_error"]


def test_validation_samples_can_have_weights(fit_line):
    x = np.array([[2.0], [3.0]])
    model = fit_line(validation=(x, x, [2.0, 0.0]))
    assert model.history["validation_loss"][-1] == pytest.approx(model.evaluate(x[:1], x[:1])["loss"])


@pytest.mark.parametrize("validation", [1.0, -0.1, (np.zeros((1, 1)),), (1, 2, 3, 4)])
def test_other_validations_are_refused(validation, fit_line):
    with pytest.raises(UsageError, match="validation: expected"):
        fit_line(validation=validation)
