"""Gradients against numerical differences, in float64 along random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from microframe.arrays import Array

_LARGEST_KINK = 12
"""How many of the elements that lie in kinks are looked at together."""


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


def has_kink(function: Callable[[Array], float], x: Array, *, tolerance: float = 1e-4, seed: int = 0) -> bool:
    """Whether the slopes on the two sides of `x` differ along a random direction."""
    direction = np.random.default_rng(seed).standard_normal(x.shape)
    return _differ(_sides(function, x, direction), tolerance)


def assert_kinks_shared(
    function: Callable[[Array], float], gradient: Array, x: Array, *, tolerance: float = 1e-4
) -> None:
    """Assert that elements which share a kink share its gradient: of several equal ones, only one is the largest.

    Each of them may get the slope that it has if it moves alone, but not all may get all of it. So those that share a
    kink, up to 12 of them, move together, and the sum of their gradients must lie between the slopes on the two sides.

    Args:
        function: from an array of the shape of `x` to one element of an output. In a sum of several of them kinks
            may cancel each other, of which a gradient knows nothing.
        gradient: the claimed gradient, of the shape of `x`.
        x: float64.
        tolerance: by how much slopes may be off, absolutely and relative to them.

    Raises:
        AssertionError: the sum for some elements does not; says of which.
    """
    kinks = _find_kinks(function, x, tolerance)
    for position, own in kinks.items():
        together = [position]
        for other, its_own in kinks.items():
            slopes = _sides(function, x, _indicator(x, [position, other]))
            if other != position and not np.allclose(slopes, np.add(own, its_own), tolerance, tolerance):
                together.append(other)
        direction = _indicator(x, together)
        low, high = sorted(_sides(function, x, direction))
        slope = float(np.vdot(gradient, direction))
        room = tolerance * max(1.0, abs(low), abs(high))
        assert low - room <= slope <= high + room, (
            f"the gradients of elements that share a kink, {', '.join(map(_place, together))}, add up to {slope:.9g}, "
            f"but when all of them move, the slopes on the two sides are {low:.9g} and {high:.9g}"
        )


def _find_kinks(
    function: Callable[[Array], float], x: Array, tolerance: float
) -> dict[tuple[int, ...], tuple[float, float]]:
    """The slopes on the two sides of those elements of `x` that lie in kinks, by position."""
    kinks: dict[tuple[int, ...], tuple[float, float]] = {}
    for position in np.ndindex(x.shape):
        slopes = _sides(function, x, _indicator(x, [position]))
        if _differ(slopes, tolerance):
            kinks[position] = slopes
        if len(kinks) == _LARGEST_KINK:
            break
    return kinks


def _indicator(x: Array, positions: Iterable[tuple[int, ...]]) -> Array:
    """1 at the positions, 0 elsewhere."""
    direction = np.zeros_like(x)
    for position in positions:
        direction[position] = 1
    return direction


def _differ(slopes: tuple[float, float], tolerance: float) -> bool:
    left, right = slopes
    return abs(right - left) > tolerance * max(1.0, abs(left), abs(right))


def _place(position: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, position))}]"


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
    left, right = _sides(function, x, direction, epsilon)
    return (left, right) if abs(right - left) > tolerance else None


def _sides(
    function: Callable[[Array], float], x: Array, direction: Array, epsilon: float = 1e-6
) -> tuple[float, float]:
    """The slopes on the two sides of x."""
    middle = function(x)
    left = (middle - function(x - epsilon * direction)) / epsilon
    right = (function(x + epsilon * direction) - middle) / epsilon
    return left, right
