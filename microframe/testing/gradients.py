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
        if difference <= tolerance:
            continue
        # Many elements may lie in kinks of their own, as zeros in a relu do; each must then be right by itself.
        has_kink = _slopes(function, x, direction, epsilon, tolerance) is not None
        is_right = has_kink and _lie_in_kinks(function, gradient, x, epsilon, absolute, relative)
        assert is_right, (
            f"direction {index}: the gradient gives {analytic:.9g}, the difference quotient {numerical:.9g} "
            f"(off by {difference:.3g})"
        )
        return


def _lie_in_kinks(
    function: Callable[[Array], float], gradient: Array, x: Array, epsilon: float, absolute: float, relative: float
) -> bool:
    """Whether each element of the gradient is right, or between the slopes on the two sides of a kink."""
    for position in np.ndindex(x.shape):
        direction = np.zeros_like(x)
        direction[position] = 1
        numerical, slope = directional_derivative(function, x, direction, epsilon), float(gradient[position])
        tolerance = absolute + relative * abs(numerical)
        is_right = abs(numerical - slope) <= tolerance
        if not is_right and not _lies_in_kink(function, slope, x, direction, epsilon, tolerance):
            return False
    return True


def _lies_in_kink(
    function: Callable[[Array], float], slope: float, x: Array, direction: Array, epsilon: float, tolerance: float
) -> bool:
    """Whether there is a kink, and `slope` is between the slopes on its two sides."""
    slopes = _slopes(function, x, direction, epsilon, tolerance)
    return slopes is not None and min(slopes) - tolerance <= slope <= max(slopes) + tolerance


def _slopes(
    function: Callable[[Array], float], x: Array, direction: Array, epsilon: float, tolerance: float
) -> tuple[float, float] | None:
    """The slopes on the two sides of x, where they differ more than a smooth function's would; None otherwise."""
    middle = function(x)
    left = (middle - function(x - epsilon * direction)) / epsilon
    right = (function(x + epsilon * direction) - middle) / epsilon
    return (left, right) if abs(right - left) > tolerance else None
