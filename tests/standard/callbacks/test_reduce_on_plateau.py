from __future__ import annotations

import numpy as np

from microframe.standard.callbacks import ReduceOnPlateau


def test_the_learning_rate_is_reduced_on_a_plateau(follow, factors):
    follow(ReduceOnPlateau(0.1, patience=2, monitor="scripted"), [3, 2, 2, 2, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(factors, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_epochs_of_the_cooldown_do_not_count(follow, factors):
    follow(ReduceOnPlateau(0.5, patience=2, cooldown=1, monitor="scripted"), [1] * 9)
    np.testing.assert_allclose(factors, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])


def test_an_improvement_within_the_cooldown_is_remembered(follow, factors):
    follow(ReduceOnPlateau(0.5, patience=1, cooldown=2, monitor="scripted"), [5, 5, 1, 3, 3, 3])
    np.testing.assert_allclose(factors, [1, 0.5, 0.5, 0.5, 0.25, 0.25])


def test_the_learning_rate_goes_no_lower_than_the_minimum(follow, factors):
    follow(ReduceOnPlateau(0.1, patience=1, minimum=0.002, monitor="scripted"), [1] * 5)
    np.testing.assert_allclose(factors, [1, 0.2, 0.2, 0.2, 0.2], rtol=1e-12)


def test_a_minimum_above_the_learning_rate_does_not_raise_it(follow, factors):
    follow(ReduceOnPlateau(0.1, patience=1, minimum=1.0, monitor="scripted"), [1] * 3)
    assert factors == [1, 1, 1]
