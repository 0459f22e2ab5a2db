from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.interfaces import Activation, Layer
from microframe.values import (
    Fraction,
    NonNegativeFloat,
    NonNegativeInteger,
    PositiveFloat,
    PositiveInteger,
    ProperFraction,
    check_leaf,
    describe,
    describe_name,
    describe_value,
)


def list_of(element: Any, **length: int) -> Any:
    """The annotation of a list whose length is bounded."""
    return Annotated[tuple[element, ...], msgspec.Meta(**length)]


HINTS = [
    int,
    float,
    bool,
    str,
    str | None,
    PositiveInteger,
    ProperFraction,
    Literal["a", "b"],
    PositiveInteger | Literal["all"],
    tuple[int, ...],
    tuple[int, int] | None,
    tuple[str | int, ...],
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def checked(value: Any, hint: Any) -> Any:
    problems: list[Any] = []
    result = check_leaf(value, hint, ("here",), problems)
    assert not problems, str(problems[0])
    return result


def problem_of(value: Any, hint: Any) -> Any:
    problems: list[Any] = []
    assert check_leaf(value, hint, ("here",), problems) is None
    (problem,) = problems
    assert problem.path == ("here",)
    return problem


@pytest.mark.parametrize(
    ("hint", "accepted", "refused"),
    [
        (PositiveInteger, [1, 10**30], [0, -1, 1.0, True, "1", None]),
        (NonNegativeInteger, [0, 1], [-1, 0.5]),
        (PositiveFloat, [1e-300, 1, 2.5], [0, 0.0, -1.0, "1", True]),
        (NonNegativeFloat, [0, 0.0, 3.5], [-1e-300]),
        (Fraction, [0, 0.5, 1], [-0.1, 1.0000001]),
        (ProperFraction, [0, 0.5, 0.999], [-0.1, 1]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [1, None, b"a"]),
        (Literal["a", "b"], ["a"], ["c", "A", 1, None]),
        (PositiveInteger | Literal["all"], [3, "all"], ["some", 0]),
        (tuple[int, ...], [[], [1], (1, 2)], [1, [1.5], "12", [True], {1: 2}]),
        (tuple[int, int] | None, [[1, 2], None], [[1], [1, 2, 3]]),
    ],
)
def test_bounds_and_types_are_held_strictly(hint, accepted, refused):
    for value in accepted:
        result = checked(value, hint)
        assert result == (tuple(value) if isinstance(value, list | tuple) else value)
    for value in refused:
        problem_of(value, hint)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_number_must_be_finite_also_inside_a_list(value):
    assert problem_of(value, float).expected == "finite numbers"
    assert problem_of([1.0, value], tuple[float, ...]).expected == "finite numbers"


def test_a_whole_number_fits_a_field_of_numbers_and_becomes_one():
    value = checked(1, float)
    assert isinstance(value, float)
    assert value == 1


@pytest.mark.parametrize(
    ("value", "hint", "plain"),
    [
        (np.int64(3), int, 3),
        (np.float64(0.5), float, 0.5),
        (np.bool_(True), bool, True),
        (np.str_("a"), str, "a"),
        (np.array(3), int, 3),
        (np.array([1, 2]), tuple[int, ...], (1, 2)),
        ([np.int64(1), 2], tuple[int, ...], (1, 2)),
        (Path("a") / "b.csv", str, str(Path("a/b.csv"))),
    ],
)
def test_values_of_numpy_and_paths_become_plain_python(value, hint, plain):
    result = checked(value, hint)
    assert result == plain
    assert type(result) is type(plain)


@pytest.mark.parametrize("value", [object(), 1 + 2j, {1, 2}, b"3", np.float32, print, range(3), 10**400])
def test_what_no_configuration_can_hold_is_one_problem_and_no_crash(value):
    problem_of(value, ProperFraction)


@given(JSON, st.sampled_from(HINTS))
def test_any_json_value_fits_or_is_exactly_one_problem(value, hint):
    problems: list[Any] = []
    result = check_leaf(value, hint, ("here",), problems)
    assert len(problems) <= 1
    if not problems:
        assert checked(result, hint) == result
        hash(result)


def test_a_misspelt_choice_gets_the_nearest_one():
    problem = problem_of("stratifed", Literal["auto", "stratified", "tail"])
    assert problem.suggestion == "stratified"
    assert problem.expected == "one of 'auto', 'stratified', 'tail'"
    assert problem_of("al", PositiveInteger | Literal["all"]).suggestion == "all"
    assert problem_of(3, Literal["auto"]).suggestion is None


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "a whole number"),
        (float, "a number"),
        (str, "a string"),
        (bool, "true or false"),
        (str | None, "a string"),
        (PositiveInteger, "a whole number of at least 1"),
        (ProperFraction, "a number of at least 0 and less than 1"),
        (PositiveInteger | Literal["all"], "a whole number of at least 1 or one of 'all'"),
        (tuple[int, ...], "a list, each a whole number"),
        (tuple[int, int] | None, "a list of 2"),
        (list_of(PositiveInteger, min_length=2, max_length=2), "a list of 2, each a whole number of at least 1"),
        (list_of(int, min_length=1), "a list of at least 1, each a whole number"),
        (list_of(int, max_length=3), "a list of at most 3, each a whole number"),
        (list_of(str, min_length=1, max_length=3), "a list of 1 to 3, each a string"),
        (Annotated[str, msgspec.Meta(min_length=1)], "a string of length at least 1"),
        (
            PositiveInteger | list_of(PositiveInteger, min_length=2, max_length=2),
            "a whole number of at least 1, or a list of 2, each a whole number of at least 1",
        ),
        (tuple[int, int] | float, "a list of 2 or a number"),
        (Activation, "an activation (its name, or a table with its type)"),
        (tuple[Layer, ...], "a list, each a layer (its name, or a table with its type)"),
    ],
)
def test_annotations_are_described_in_words(hint, words):
    assert describe(hint) == words


@given(st.text() | JSON)
def test_what_was_received_is_shown_on_one_line_of_readable_length(value):
    text = describe_value(value)
    assert len(text) <= 60
    assert "\n" not in text
    if len(repr(value)) <= 60:
        assert text == repr(value)


@given(st.text())
def test_a_name_of_somebody_else_s_is_shown_on_one_line_of_readable_length_with_nothing_that_a_terminal_obeys(name):
    for shown in (describe_name(name), describe_name(name * 100)):
        assert shown.isprintable()
        assert len(shown) <= 100
    if name.isprintable() and len(name) <= 98:
        assert describe_name(name) == repr(name)


def test_a_name_of_somebody_else_s_is_escaped():
    assert describe_name("a\nb") == r"'a\nb'"


def test_an_array_is_shown_on_one_line():
    assert "\n" not in describe_value(np.zeros((2, 2)))
