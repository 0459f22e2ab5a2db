from __future__ import annotations

import pytest

from microframe.graph import connect
from microframe.standard.layers import Add, Concatenate, Dense, Dropout


def connected(*layers):
    problems = []
    return connect(layers, ("layers",), problems), [str(problem) for problem in problems]


def nodes_of(*layers):
    nodes, problems = connected(*layers)
    assert not problems
    return nodes


def problems_of(*layers):
    return connected(*layers)[1]


def test_a_layer_without_name_is_called_by_its_type_and_its_number_among_its_kind():
    nodes = nodes_of(Dense(1), Dropout(0.5), Dense(2), Dense(3, name="last"))
    assert [node.name for node in nodes] == ["dense_1", "dropout_1", "dense_2", "last"]


def test_a_name_made_up_avoids_those_that_were_given_above_or_below():
    nodes = nodes_of(Dense(1), Dense(1, name="dense_1"), Dense(1), Dense(1, name="dense_3"), Dense(1))
    assert [node.name for node in nodes] == ["dense_2", "dense_1", "dense_4", "dense_3", "dense_5"]


def test_a_layer_reads_the_one_above_it_unless_it_says_otherwise():
    nodes = nodes_of(
        Dense(1, name="a"), Dense(1), Dense(1, inputs=("a",)), Add(inputs=("dense_1", "dense_2")), Dense(1)
    )
    assert [node.sources for node in nodes] == [(0,), (1,), (1,), (2, 3), (4,)]


def test_the_input_of_the_network_can_be_read_by_its_name_at_any_depth():
    nodes = nodes_of(Dense(1, name="a", inputs=("input",)), Dense(1), Concatenate(inputs=("input", "dense_1", "input")))
    assert [node.sources for node in nodes] == [(0,), (1,), (0, 2, 0)]


def test_no_layers_is_a_problem():
    assert problems_of() == ["layers: expected at least one layer, received none"]


def test_an_unknown_name_is_a_problem_that_shows_the_nearest():
    (problem,) = problems_of(Dense(1, name="encoder"), Dense(1, inputs=("encodr",)))
    assert problem == (
        "layers[1].inputs[0]: expected a layer above: one of 'input', 'encoder', "
        "received 'encodr' (did you mean 'encoder'?)"
    )


def test_a_name_that_is_like_no_other_gets_no_suggestion():
    problems = problems_of(Dense(1, name="encoder"), Dense(1), Dense(1, inputs=("xyz", "dense_1")))
    assert problems == [
        "layers[2].inputs[0]: expected a layer above: one of 'input', 'encoder', 'dense_1', received 'xyz'"
    ]


def test_a_layer_below_cannot_be_read():
    problems = problems_of(Dense(1, name="a"), Add(inputs=("a", "b")), Dense(1, name="b"))
    assert problems == [
        "layers[1].inputs[1]: expected a layer above: one of 'input', 'a', received 'b', which stands below"
    ]


def test_a_layer_cannot_read_itself():
    (problem,) = problems_of(Dense(1), Add(name="loop", inputs=("dense_1", "loop")))
    assert problem.endswith("received 'loop', the layer itself")


def test_an_empty_list_of_inputs_is_a_problem():
    assert "layers[1].inputs: expected at least one name, received an empty list" in problems_of(
        Dense(1), Dense(1, inputs=())
    )


def test_two_layers_cannot_have_one_name():
    problems = problems_of(Dense(1, name="a"), Dense(1, name="a"))
    assert problems == ["layers[1].name: expected a name that no other layer has, received 'a'"]


def test_no_layer_can_be_called_like_the_input_of_the_network():
    problems = problems_of(Dense(1, name="input"))
    assert problems == ["layers[0].name: expected a name that no other layer has, received 'input'"]


@pytest.mark.parametrize("name", ["", "1st", "a/b", "a b", "_a", "é"])
def test_a_name_must_be_a_plain_word(name):
    problems = problems_of(Dense(1, name=name))
    expected = "at most 200 letters, digits, '_' and '-', a letter first"
    assert problems == [f"layers[0].name: expected {expected}, received {name!r}"]


@pytest.mark.parametrize("name", ["a", "A-1", "conv_2b"])
def test_letters_digits_underscores_and_hyphens_make_a_name(name):
    assert nodes_of(Dense(1, name=name))[0].name == name


def test_a_layer_that_nobody_reads_is_a_problem():
    problems = problems_of(Dense(1, name="a"), Dense(1, name="b"), Dense(1, inputs=("a",)))
    assert problems == ["layers[1]: expected a layer that reads 'b', received none, and it isn't the last one"]


def test_all_problems_are_found_at_once_and_none_twice():
    problems = problems_of(
        Dense(1, name="first"),
        Dense(1, name="2nd"),
        Dense(1, name="idle"),
        Add(inputs=("frist", "2nd", "last")),
        Dense(1, name="last"),
    )
    assert [problem.partition(":")[0] for problem in problems] == [
        "layers[1].name",
        "layers[3].inputs[0]",
        "layers[3].inputs[2]",
        "layers[2]",
    ]
