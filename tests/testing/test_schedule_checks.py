"""What the conformance suite asks of schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from microframe import Example, Schedule
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks

STANDARD = [registry.get("schedule", name) for name in registry.standard_names("schedule")]


@parametrize_with_checks(*STANDARD)
def test_every_standard_schedule_conforms(check):
    check()


class Falling(Schedule):
    """A straight fall to nothing."""

    def factor(self, epoch, epochs):
        return max(1 - epoch / epochs, 0.0)


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def test_a_right_schedule_fails_nothing():
    assert failed(Falling) == {}


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), 1])
def test_a_factor_may_be_any_number(number):
    class Any(Falling):
        def factor(self, epoch, epochs):
            return number

    assert failed(Any) == {}


@pytest.mark.parametrize("odd", [None, "1", True, np.ones(1), 1j])
def test_what_is_no_number_is_no_factor(odd):
    class Odd(Falling):
        def factor(self, epoch, epochs):
            return odd

    assert f"expected a float at 0 of 1 epochs, received {odd!r}" in failed(Odd)["finite_and_float"]


def test_a_schedule_that_goes_below_zero_after_the_last_epoch():
    class GoesOn(Falling):
        def factor(self, epoch, epochs):
            return 1 - epoch / epochs

    reason = failed(GoesOn)["any_epoch"]
    assert "a factor at 1.5 of 1 epochs within the declared bounds, 0 to inf, received -0.5" in reason


def test_bounds_below_zero():
    class Negative(Falling):
        @property
        def bounds(self):
            return -1.0, 1.0

    assert "as a learning rate is not negative" in failed(Negative)["within_bounds"]


def test_an_error_beyond_the_last_epoch_is_told_with_the_moment():
    class Root(Falling):
        def factor(self, epoch, epochs):
            return math.sqrt(1 - epoch / epochs)

    assert "expected a factor at 1.5 of 1 epochs, received ValueError" in failed(Root)["any_epoch"]


def test_a_reference_is_compared_within_the_training_alone():
    assert failed(Example(Falling(), reference=lambda epoch, epochs: 1 - epoch / epochs)) == {}
    reason = failed(Example(Falling(), reference=lambda epoch, epochs: 1.0))["reference"]
    assert "what the reference gives at 0.01 of 1 epochs, 1.0" in reason
