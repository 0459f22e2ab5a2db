"""Checks for those who write parts: gradients against numerical differences, and what a training step allocates."""

from microframe.testing.allocations import recorded_allocations
from microframe.testing.gradients import assert_gradient, directional_derivative
from microframe.testing.layers import assert_layer_gradients

__all__ = ["assert_gradient", "assert_layer_gradients", "directional_derivative", "recorded_allocations"]
