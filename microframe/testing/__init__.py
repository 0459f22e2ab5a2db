"""Checks for those who write parts: the conformance suite, gradients against numerical differences, and what a training
step allocates."""

from microframe.testing.allocations import recorded_allocations
from microframe.testing.conformance import assert_conforms, check_component, parametrize_with_checks
from microframe.testing.gradients import assert_gradient, directional_derivative
from microframe.testing.layers import assert_layer_gradients

__all__ = [
    "assert_conforms",
    "assert_gradient",
    "assert_layer_gradients",
    "check_component",
    "directional_derivative",
    "parametrize_with_checks",
    "recorded_allocations",
]
