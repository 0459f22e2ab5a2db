"""The conformance suite: what every component of a kind must do, whoever wrote it.

The checks of a kind are the functions that its module in `microframe.testing.checks` lists. Each takes an `Example` and
raises an AssertionError that says what was expected and what came instead, or `Skipped` with the reason. A check is
run on every example of a component.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from microframe.component import Component, Example
from microframe.errors import MicroframeError
from microframe.plugins import plural
from microframe.registry import registry

Subject: TypeAlias = Component | type[Component] | Example
"""What can be checked: a class by its `examples`, an instance, or an example."""

Outcome: TypeAlias = Literal["passed", "failed", "skipped"]

Test = TypeVar("Test", bound=Callable[..., Any])

_WITH_FILES = ("callback", "source")
"""The kinds of component that may write files, which are then not to lie about."""


class Skipped(Exception):  # noqa: N818  # it is not an error
    """A check that does not apply; the message says why."""


@dataclass(frozen=True)
class Check:
    """One requirement.

    Attributes:
        name: a short name, such as ``"input_gradients"``.
        function: raises AssertionError for an example that does not meet it.
    """

    name: str
    function: Callable[[Example], None]

    @property
    def requirement(self) -> str:
        """What is required, in a sentence."""
        return " ".join((self.function.__doc__ or "").partition("\n\n")[0].split())

    def __call__(self, example: Example) -> None:
        """Check one example.

        Raises:
            AssertionError: it does not conform; says how.
            Skipped: the check does not apply to it.
        """
        with surroundings(example):
            self.function(example)


@dataclass(frozen=True)
class Result:
    """What became of one check of one component.

    Attributes:
        reason: what fails, or why it is skipped; if it passed, for which of several examples it was skipped.
    """

    kind: str
    component: str
    check: str
    outcome: Outcome
    reason: str = ""


@functools.cache
def checks_of(kind: str) -> tuple[Check, ...]:
    """The checks that a component of `kind` must pass."""
    modules = [importlib.import_module(f"microframe.testing.checks.{name}") for name in ("components", plural(kind))]
    return tuple(Check(function.__name__, function) for module in modules for function in module.CHECKS)


def examples_of(subject: Subject) -> list[Example]:
    """The examples by which `subject` is checked.

    Raises:
        UsageError: it is a class that gives none.
    """
    if isinstance(subject, type):
        return [example for shown in subject.examples() for example in examples_of(shown)]
    return [subject if isinstance(subject, Example) else Example(subject)]


def check_component(subject: Subject) -> list[Result]:
    """The result of every check of a component, failed if it failed for one of the examples."""
    component = _class_of(subject)
    try:
        examples = examples_of(subject)
        assert examples, f"expected at least one example from {component.__qualname__}.examples(), received none"
    except Exception as error:
        return [Result(component.kind, component.type, "examples", "failed", _describe(error))]
    return [_result(component, check, examples) for check in checks_of(component.kind)]


def assert_conforms(subject: Subject) -> None:
    """Assert that a component passes every check of its kind.

    Raises:
        AssertionError: it doesn't; lists what failed and why.
    """
    failed = [result for result in check_component(subject) if result.outcome == "failed"]
    lines = [f"{result.check}: {result.reason}" for result in failed]
    assert not failed, f"{_class_of(subject).__qualname__} fails {len(failed)} checks:\n" + "\n".join(lines)


def parametrize_with_checks(*subjects: Subject) -> Callable[[Test], Test]:
    """Run a test once for each check of each component: a pytest decorator.

    Args:
        subjects: classes, which are checked by their `examples`, or instances.

    Example:
        @parametrize_with_checks(MyLayer(3), MyActivation)
        def test_conforms(check):
            check()
    """
    import pytest

    cases = []
    for subject in subjects:
        component, examples = _class_of(subject), examples_of(subject)
        for check in checks_of(component.kind):
            name = f"{component.kind}-{component.type}-{check.name}"
            cases.append(pytest.param(functools.partial(_run_in_pytest, check, examples), id=name))
    return pytest.mark.parametrize("check", cases)


@contextlib.contextmanager
def surroundings(example: Example) -> Iterator[None]:
    """What a component finds around it while it is checked: its files in the current folder, and a name of its own."""
    component = type(example.component)
    has_folder = example.files or component.kind in _WITH_FILES
    with (
        _folder_of(example.files) if has_folder else contextlib.nullcontext(),
        registry.registered_locally(component),
        np.errstate(all="ignore"),
    ):
        yield


@contextlib.contextmanager
def _folder_of(files: Mapping[str, bytes]) -> Iterator[None]:
    """A new current folder that holds `files`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, content in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(content)
        yield


def _class_of(subject: Subject) -> type[Component]:
    if isinstance(subject, type):
        return subject
    return type(subject.component if isinstance(subject, Example) else subject)


def _run(check: Check, examples: Sequence[Example]) -> str:
    """Run a check on each example.

    Returns:
        How many of the examples were skipped, and why; empty if none were.

    Raises:
        AssertionError: one fails.
        Skipped: it applies to none of them.
    """
    skipped: list[Skipped] = []
    for example in examples:
        try:
            check(example)
        except Skipped as reason:
            skipped.append(reason)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # such as SystemExit, which is the component's mistake and not a way out
            raise AssertionError(f"{_shown(example.component)}: {_describe(error)}") from error
    if len(skipped) == len(examples):
        raise skipped[0]
    counts = Counter(map(str, skipped))
    return "; ".join(f"{count} of {len(examples)} examples: {reason}" for reason, count in counts.items())


def _run_in_pytest(check: Check, examples: Sequence[Example]) -> None:
    import pytest

    try:
        _run(check, examples)
    except Skipped as reason:
        pytest.skip(str(reason))


def _result(component: type[Component], check: Check, examples: Sequence[Example]) -> Result:
    outcome: Outcome = "passed"
    reason = ""
    try:
        reason = _run(check, examples)
    except Skipped as skipped:
        outcome, reason = "skipped", str(skipped)
    except AssertionError as error:
        outcome, reason = "failed", str(error)
    return Result(component.kind, component.type, check.name, outcome, reason)


def _shown(component: Component) -> str:
    """The component as code, or its class alone where a faulty one cannot even be shown."""
    try:
        return repr(component)
    except Exception:
        return f"{type(component).__qualname__}(...)"


def _describe(error: BaseException) -> str:
    """The message of an error, with the place in the component's own code that it came from."""
    if isinstance(error, AssertionError | MicroframeError) and str(error):
        return str(error)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    where = f" ({os.path.relpath(own[-1].filename)}:{own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}"


def _is_library(file: str) -> bool:
    """Whether `file` is microframe's own or NumPy's, where an error of the component is seldom made."""
    return any(Path(file).is_relative_to(folder) for folder in (Path(__file__).parents[1], Path(np.__file__).parent))
