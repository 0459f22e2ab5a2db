"""Gradients against numerical differences, in float64 along random directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from microframe.arrays import Array


def directional_derivative(
    function: Callable[[Array], float], x: Array, direction: Array, epsilon: float = 1e-6
) -> float:
    """The central difference (f(x + eps d) - f(x - eps d)) / (2 eps)."""
    return (function(x + epsilon * direction) - function(x - epsilon * direction)) / (2 * epsilon)


def assert_gradient(
    function: Callable[[Array], float],
    gradient: Array,
    x: Array,
    *,
    directions: int = 8,
    epsilon: float = 1e-6,
    absolute: float = 1e-5,
    relative: float = 1e-3,
    seed: int = 0,
) -> None:
    """Assert that `gradient` is the gradient of `function` at `x`, along random unit directions.

    Args:
        function: from an array of the shape of `x` to a number; must not modify its argument.
        gradient: the claimed gradient, of the shape of `x`.
        x: float64. Where the function has a kink within `epsilon`, any slope between those of its two sides is right.
        directions: along how many random directions to compare.
        epsilon: the step of the central difference.
        absolute: the absolute tolerance.
        relative: the relative tolerance.
        seed: of the generator that draws the directions.

    Raises:
        AssertionError: they differ; says along which direction and by how much.
    """
    assert x.dtype == np.float64, f"gradients are checked in float64, received {x.dtype}"
    assert gradient.shape == x.shape, f"expected a gradient of shape {x.shape}, received {gradient.shape}"
    rng = np.random.default_rng(seed)
    for index in range(directions):
        direction = rng.standard_normal(x.shape)
        direction /= max(float(np.linalg.norm(direction)), 1e-300)
        numerical = directional_derivative(function, x, direction, epsilon)
        analytic = float(np.vdot(gradient, direction))
        difference = abs(numerical - analytic)
        tolerance = absolute + relative * abs(numerical)
        assert difference <= tolerance or _lies_in_kink(function, analytic, x, direction, epsilon, tolerance), (
            f"direction {index}: the gradient gives {analytic:.9g}, the difference quotient {numerical:.9g} "
            f"(off by {difference:.3g})"
        )


def _lies_in_kink(
    function: Callable[[Array], float], slope: float, x: Array, direction: Array, epsilon: float, tolerance: float
) -> bool:
    """Whether the slopes on the two sides of x differ more than a smooth function's would, and `slope` is between."""
    middle = function(x)
    left = (middle - function(x - epsilon * direction)) / epsilon
    right = (function(x + epsilon * direction) - middle) / epsilon
    has_kink = abs(right - left) > tolerance
    return has_kink and min(left, right) - tolerance <= slope <= max(left, right) + tolerance
