"""Where faulty components are put down with the check that is to catch them, and right ones as such."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from microframe import Component
from microframe.testing.conformance import Skipped, check_component, checks_of, examples_of

ComponentClass = TypeVar("ComponentClass", bound=type[Component])


class Planted(NamedTuple):
    """A faulty component, the name of the check that should catch it, and what the component raises then, if it does.

    What it raises is named, so that no other error, as of a misprint, counts as caught.
    """

    component: type[Component]
    check: str
    raises: type[Exception] = AssertionError


PLANTED: list[Planted] = []
"""Components that are wrong in one way, which the first line of their docstring tells."""
CORRECT: list[type[Component]] = []
"""Components that are right in an unusual way."""


def caught_by(check: str, raises: type[Exception] = AssertionError) -> Callable[[ComponentClass], ComponentClass]:
    """Plant a faulty component."""

    def plant(component: ComponentClass) -> ComponentClass:
        PLANTED.append(Planted(component, check, raises))
        return component

    return plant


def correct(component: ComponentClass) -> ComponentClass:
    """Plant a component in which there is nothing to be caught."""
    CORRECT.append(component)
    return component


def reason_of_failure(planted: Planted) -> str | None:
    """What the check that should catch a faulty component says of it; None if it lets it pass.

    Raises:
        Exception: the check fails, but with another error than the one that was named where the bug was planted.
    """
    component = planted.component
    (check,) = (check for check in checks_of(component.kind) if check.name == planted.check)
    for example in examples_of(component):
        try:
            check(example)
        except Skipped:
            continue
        except planted.raises as error:
            return f"{type(error).__name__}: {error}"
    return None


def failures(component: type[Component]) -> dict[str, str]:
    """The reason of each check that `component` fails, by the name of the check."""
    return {result.check: result.reason for result in check_component(component) if result.outcome == "failed"}
