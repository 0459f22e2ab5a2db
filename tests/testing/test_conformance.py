"""The frame of the conformance suite: what is run on what, and how results are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microframe import Activation, DataError, Dataset, Example, Layer, Source
from microframe.registry import KINDS
from microframe.testing import assert_conforms, check_component, parametrize_with_checks
from microframe.testing.conformance import checks_of


class Doubled(Layer):
    """2 x."""

    factor: float = 2.0

    def build(self, scope, input_shape):
        return input_shape

    def forward(self, ctx, x):
        return x * self.factor

    def backward(self, ctx, dy):
        return dy * self.factor


class Wrong(Doubled):
    """2 x, with the gradient of x."""

    def backward(self, ctx, dy):
        return dy * (self.factor - 1)


class Needy(Doubled):
    """A layer that cannot be made without a value."""

    size: int


def outcomes(subject):
    return {result.check: result for result in check_component(subject)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_checks_that_say_what_they_require(kind):
    names = [check.name for check in checks_of(kind)]
    assert len(names) == len(set(names)) >= 8
    for check in checks_of(kind):
        assert check.requirement.endswith(".")


def test_a_right_component_passes_or_is_told_why_a_check_does_not_apply():
    results = check_component(Doubled)
    assert {result.outcome for result in results} == {"passed", "skipped"}
    assert all(result.reason for result in results if result.outcome == "skipped")
    assert {(result.kind, result.component) for result in results} == {("layer", "doubled")}
    assert_conforms(Doubled)


def test_a_wrong_component_fails_the_check_it_should_and_no_other():
    results = check_component(Wrong)
    (failed,) = [result for result in results if result.outcome == "failed"]
    assert failed.check == "input_gradients"
    assert failed.reason.startswith("Wrong(): the gradient of 'wrong' for input 0: direction 0")


def test_the_error_of_an_assertion_lists_what_failed():
    with pytest.raises(AssertionError, match=r"Wrong fails 1 checks:\ninput_gradients: Wrong\(\): the gradient"):
        assert_conforms(Wrong)


def test_a_class_that_cannot_be_made_without_values_needs_examples():
    (result,) = check_component(Needy)
    assert (result.check, result.outcome) == ("examples", "failed")
    assert "size must be given, so it needs a classmethod examples()" in result.reason
    assert_conforms(Needy(size=3))


def test_a_class_without_examples_fails():
    class Empty(Doubled):
        @classmethod
        def examples(cls):
            return []

    (result,) = check_component(Empty)
    assert "expected at least one example" in result.reason


def test_one_failing_example_fails_the_check_and_is_named():
    class Half(Doubled):
        """2 x; the gradient is right for a factor of 1 alone."""

        def backward(self, ctx, dy):
            return dy.copy()

        @classmethod
        def examples(cls):
            return [cls(1.0), cls(3.0)]

    assert outcomes(Half)["input_gradients"].reason.startswith("Half(factor=3.0): ")


def test_a_check_is_skipped_only_if_it_applies_to_no_example():
    class Referenced(Doubled):
        @classmethod
        def examples(cls):
            return [cls(), Example(cls(), reference=lambda _, x: x + x)]

    passed, skipped = outcomes(Referenced)["reference"], outcomes(Doubled)["reference"]
    reason = "no example has a reference to compare with"
    assert (passed.outcome, passed.reason) == ("passed", f"1 of 2 examples: {reason}")
    assert (skipped.outcome, skipped.reason) == ("skipped", reason)


def test_an_error_is_told_with_its_place_in_the_component():
    class Broken(Doubled):
        def forward(self, ctx, x):
            return x @ x

    reason = outcomes(Example(Broken(), ((3,),)))["output_shape"].reason
    assert "ValueError" in reason
    assert f"{Path(__file__).name}:" in reason


def test_an_assertion_of_the_component_without_a_word_is_told_with_its_place():
    class Terse(Doubled):
        def build(self, scope, input_shape):
            raise AssertionError

    reason = outcomes(Example(Terse(), ((3,),)))["output_shape"].reason
    assert reason.startswith("Terse(): AssertionError: ")
    assert f"{Path(__file__).name}:" in reason


def test_a_component_that_would_end_the_process_fails():
    class Quitting(Doubled):
        def forward(self, ctx, x):
            raise SystemExit(3)

    assert "SystemExit: 3" in outcomes(Quitting)["output_shape"].reason


def test_a_source_finds_the_files_of_its_example_in_the_current_folder():
    class Numbers(Source):
        """One number a line."""

        path: str

        def load(self):
            try:
                return Dataset(np.loadtxt(self.path, ndmin=2))
            except FileNotFoundError:
                raise DataError(f"{self.path}: there is no such file") from None

    before = Path.cwd()
    assert_conforms(Example(Numbers("folder/numbers.txt"), files={"folder/numbers.txt": b"1\n2\n"}))
    assert Path.cwd() == before


class Negated(Activation):
    """-x."""

    def forward(self, x, out):
        np.negative(x, out=out)

    def backward(self, dy, x, y, out):
        np.negative(dy, out=out)


@parametrize_with_checks(Negated, Doubled(3.0), Example(Doubled(), ((2, 3),)))
def test_each_check_of_each_component_is_a_test(check):
    check()


def test_the_tests_are_called_by_kind_name_and_check():
    mark = parametrize_with_checks(Doubled)
    names = [case.id for case in mark.args[1]]
    assert names == [f"layer-doubled-{check.name}" for check in checks_of("layer")]


def test_a_failing_check_is_a_failing_test():
    mark = parametrize_with_checks(Wrong)
    (check,) = [case.values[0] for case in mark.args[1] if case.id.endswith("input_gradients")]
    with pytest.raises(AssertionError, match="the gradient of 'wrong' for input 0"):
        check()
