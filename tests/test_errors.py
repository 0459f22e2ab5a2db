from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import microframe
from microframe.errors import (
    ConfigError,
    MicroframeError,
    ModelFileError,
    ModelPluginError,
    PluginError,
    Problem,
    format_path,
    nearest,
    one_of,
)

ERRORS = {
    "UsageError": 2,
    "ConfigError": 3,
    "DataError": 4,
    "PluginError": 5,
    "ModelFileError": 6,
    "TrainingDivergedError": 7,
}
WORDS = st.text("abcdefghij_", min_size=1)


@pytest.mark.parametrize(("name", "code"), ERRORS.items())
def test_every_error_is_public_has_its_exit_code_and_one_base(name, code):
    error = getattr(microframe, name)
    assert issubclass(error, MicroframeError)
    assert error.exit_code == code


def test_any_other_error_of_microframe_exits_with_one():
    assert MicroframeError.exit_code == 1


@pytest.mark.parametrize("name", ["UsageError", "ConfigError", "DataError"])
def test_wrong_values_are_also_value_errors(name):
    assert issubclass(getattr(microframe, name), ValueError)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("layers",), "layers"),
        (("layers", 2, "units"), "layers[2].units"),
        (("training", "optimizer", "schedule"), "training.optimizer.schedule"),
        ((0, 1), "[0][1]"),
    ],
)
def test_a_path_reads_like_python(path, text):
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem((), "a table", "3"), "expected a table, received 3"),
        (Problem(("a", 0), "x", "y"), "a[0]: expected x, received y"),
        (Problem(("a",), "x", "y", "z"), "a: expected x, received y (did you mean 'z'?)"),
        (Problem(("a",), "x", "y", file="net.toml"), "net.toml: a: expected x, received y"),
        (Problem(("a",), "x", "y", file="net.toml", line=7), "net.toml:7: a: expected x, received y"),
        (Problem((), "JSON", "y", file="net.json", line=1), "net.json:1: expected JSON, received y"),
    ],
)
def test_a_problem_says_where_what_was_expected_what_was_received_and_what_was_meant(problem, text):
    assert str(problem) == text


def test_a_config_error_holds_every_problem_and_shows_each_on_a_line():
    problems = [Problem(("a",), "x", "y"), Problem(("b",), "z", "w")]
    error = ConfigError(iter(problems))
    assert error.problems == tuple(problems)
    assert str(error).splitlines() == [str(problem) for problem in problems]


def test_a_config_error_may_be_a_sentence():
    error = ConfigError("net.toml: there is no such file")
    assert str(error) == "net.toml: there is no such file"
    assert error.problems == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("leraning_rate", "learning_rate"), ("ReLU", "relu"), ("zzz", None), (3, None)],
)
def test_the_nearest_name_is_the_one_that_was_likely_meant(name, meant):
    assert nearest(name, ["learning_rate", "relu", "momentum"]) == meant


def test_the_nearest_name_is_given_as_it_is_written():
    assert nearest("relu", ["ReLU"]) == "ReLU"


def test_nothing_is_near_where_there_are_no_names():
    assert nearest("relu", []) is None


@given(st.lists(WORDS, min_size=1), st.data())
def test_a_name_that_exists_needs_no_suggestion_but_is_one_for_another_case(names, data):
    name = data.draw(st.sampled_from(names))
    assert nearest(name, names) is None
    assert nearest(name.upper(), names) in {name, None}


@given(st.text(), st.lists(st.text()))
def test_the_nearest_name_is_one_of_the_candidates(name, candidates):
    assert nearest(name, candidates) in {None, *candidates}


def test_the_names_to_choose_from_are_listed():
    assert one_of(["a", "b"]) == "one of 'a', 'b'"
    assert one_of([]) == "nothing (there are none)"


def test_of_many_names_ten_are_listed():
    names = [f"n{number}" for number in range(130)]
    assert one_of(names[:10]) == "one of " + ", ".join(map(repr, names[:10]))
    assert one_of(names) == one_of(names[:10]) + " and 120 more"


def test_a_name_too_long_to_be_meant_has_no_nearest_one():
    assert nearest("learning_rat" + "e" * 100, ["learning_rate" + "e" * 100]) is None


def test_a_model_file_error_shows_no_more_of_a_file_than_can_be_read_and_nothing_that_moves_the_cursor():
    error = ModelFileError("model.h5", "E_CONFIG", "/\x1b[2J", "a" * 10_000 + "\x1b[2J")
    assert error.where == r"/\x1b[2J"
    assert error.found == "a" * 797 + "..."
    assert str(error) == f"model.h5: {error.where}: {error.found} [E_CONFIG]"
    assert ModelFileError("model.h5", "E_CONFIG", "/", "one\ntwo größe").found == "one\ntwo größe"


@pytest.mark.parametrize("kind", [ModelFileError, ModelPluginError])
def test_what_is_wrong_with_a_model_file_comes_out_of_another_process_as_it_was(kind):
    error = kind("model.h5", "E_ALIAS", "/weights", "a group inside itself")
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), vars(twin)) == (kind, str(error), vars(error))


def test_a_missing_plugin_of_a_model_file_is_an_error_of_both_and_exits_as_a_missing_plugin_does():
    assert issubclass(ModelPluginError, ModelFileError)
    assert issubclass(ModelPluginError, PluginError)
    assert microframe.ModelPluginError.exit_code == 5
