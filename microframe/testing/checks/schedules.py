"""What every schedule must do."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

from microframe.component import Example
from microframe.interfaces import Schedule
from microframe.testing.checks.guards import (
    assert_close,
    assert_within,
    drawing_from_no_global_generator,
    keeping_nothing,
)
from microframe.testing.conformance import Skipped

_MOMENTS = tuple((share * epochs, epochs) for epochs in (1, 2, 3, 10, 100) for share in (0, 0.01, 0.25, 0.5, 0.99, 1))
"""Epochs done, of how many: from the very beginning to the very end, of a single one as well."""
_BEYOND = tuple((epochs + more, epochs) for epochs in (1, 3, 10) for more in (0.5, 1, 25))


def finite_and_float(example: Example) -> None:
    """The factor is a finite number."""
    for epoch, epochs in _MOMENTS:
        _assert_finite(_factor(example, epoch, epochs), f"at {epoch:g} of {epochs} epochs")


def within_bounds(example: Example) -> None:
    """The factor lies within the declared bounds, and is not negative."""
    schedule = _schedule(example)
    for epoch, epochs in (*_MOMENTS, *_BEYOND):
        factor = _factor(example, epoch, epochs)
        assert_within(factor, schedule.bounds, f"a factor at {epoch:g} of {epochs} epochs")
    low = schedule.bounds[0]
    assert low >= 0, f"expected bounds of at least 0, as a learning rate is not negative, received {schedule.bounds}"


def deterministic(example: Example) -> None:
    """The factor depends on the epoch and the number of epochs alone, and not on what was asked before."""
    with drawing_from_no_global_generator():
        forward = [_factor(example, *moment) for moment in _MOMENTS]
        backward = [_factor(example, *moment) for moment in reversed(_MOMENTS)][::-1]
    for (epoch, epochs), factor, again in zip(_MOMENTS, forward, backward, strict=True):
        assert again == factor, (
            f"expected the same factor whenever it is asked for, received {factor} and {again} at {epoch:g} of "
            f"{epochs} epochs"
        )


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the schedule or its class."""
    with keeping_nothing(example.component):
        for moment in _MOMENTS:
            _factor(example, *moment)


def any_epoch(example: Example) -> None:
    """There is a factor at any moment: at 0, within an epoch, at the end, beyond it, and if there is but one epoch."""
    for epoch, epochs in (*_MOMENTS, *_BEYOND):
        try:
            factor = _factor(example, epoch, epochs)
        except Exception as error:
            received = f"{type(error).__name__}: {error}"
            raise AssertionError(f"expected a factor at {epoch:g} of {epochs} epochs, received {received}") from error
        _assert_finite(factor, f"at {epoch:g} of {epochs} epochs")
        assert_within(factor, _schedule(example).bounds, f"a factor at {epoch:g} of {epochs} epochs")


def reference(example: Example) -> None:
    """The factor is that of the example's reference, from the first moment of training to the last."""
    if example.reference is None:
        raise Skipped("no example has a reference to compare with")
    for epoch, epochs in _MOMENTS:
        expected = example.reference(epoch, epochs)
        what = f"what the reference gives at {epoch:g} of {epochs} epochs, {expected}"
        assert_close(_factor(example, epoch, epochs), expected, what)


CHECKS: tuple[Callable[[Example], None], ...] = (
    finite_and_float,
    within_bounds,
    deterministic,
    keeps_nothing,
    any_epoch,
    reference,
)


def _schedule(example: Example) -> Schedule:
    assert isinstance(example.component, Schedule)
    return example.component


def _factor(example: Example, epoch: float, epochs: int) -> Any:
    return _schedule(example).factor(float(epoch), epochs)


def _assert_finite(factor: Any, when: str) -> None:
    is_number = isinstance(factor, numbers.Real) and not isinstance(factor, bool)
    assert is_number, f"expected a float {when}, received {factor!r}"
    assert math.isfinite(factor), f"expected a finite factor {when}, received {factor}"
