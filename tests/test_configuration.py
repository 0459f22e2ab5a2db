from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w

from microframe.configuration import (
    Configuration,
    Data,
    Training,
    differences,
    located_in,
    override_configuration,
    read_configuration,
)
from microframe.errors import ConfigError, Problem
from microframe.standard.layers import Add, Dense
from microframe.standard.losses import CrossEntropy
from microframe.standard.optimizers import SGD, Adam

MODELS = sorted(Path(__file__).parent.parent.glob("models/*.toml"))

WRONG_TOML = """\
desciption = "a dozen mistakes, each of another kind"
dtype = "float16"

[data]
source = { type = "csv", paht = "a.csv" }
test = 0.7
validation = 1.5

[[layers]]
type = "dens"
units = 3

[[layers]]
type = "dense"
units = 0
activation = [
  "relu",
]
kernel_initializer = { type = "constant", value = inf }

[[layers]]
units = 4

[training]
loss = { type = "cross_entropy", class_weights = [
  1.0,
  -2.0,
] }
metrics = ["accuracy", "acuracy"]
epochs = 10.5
shuffle = "yes"
optimizer.type = "sgd"
optimizer.learning_rate = 0

[[training.callbacks]]
type = "early_stopping"

[[training.callbacks]]
type = "early_stopping"
patience = "3"
"""

WRONG = {
    "desciption": (1, "one of 'layers', 'data', 'training', 'dtype', 'description'", "an unknown field", "description"),
    "dtype": (2, "one of 'float32', 'float64'", "'float16'", "float64"),
    "data.source.paht": (5, "one of 'path', 'target', ", "an unknown field", "path"),
    "data.source.path": (5, "a string", "nothing", None),
    "data.validation": (7, "a number of at least 0 and less than 1", "1.5", None),
    "layers[0].type": (10, "the name of a known layer: one of 'activation', ", "'dens'", "dense"),
    "layers[1].units": (15, "a whole number of at least 1", "0", None),
    "layers[1].activation": (16, "an activation (its name, or a table with its type)", "['relu']", None),
    "layers[1].kernel_initializer.value": (19, "finite numbers", "inf", None),
    "layers[2]": (21, "a layer (its name, or a table with its type)", "a table without 'type'", None),
    "training.loss.class_weights": (25, "a list, each a number greater than 0", "[1.0, -2.0]", None),
    "training.metrics[1]": (29, "the name of a known metric: one of ", "'acuracy'", "accuracy"),
    "training.epochs": (30, "a whole number of at least 1", "10.5", None),
    "training.shuffle": (31, "true or false", "'yes'", None),
    "training.optimizer.learning_rate": (33, "a number greater than 0", "0", None),
    "training.callbacks[1].patience": (40, "a whole number of at least 1", "'3'", None),
}
"""By the path of each mistake: line, beginning of what was expected, what was received, nearest right name."""

GOOD = {
    "layers": [
        {"type": "dense", "units": 4, "activation": "relu", "name": "a"},
        {"type": "dense", "units": 4, "name": "b"},
        {"type": "add", "inputs": ["a", "b"]},
    ],
    "data": {"source": "digits", "test": 0.25, "split": "tail"},
    "training": {
        "loss": {"type": "cross_entropy", "label_smoothing": 0.1},
        "optimizer": {"type": "sgd", "learning_rate": 0.5, "schedule": "cosine"},
        "batch_size": "all",
    },
}


def write(folder, name, content):
    path = folder / name
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    else:
        path.write_bytes(content)
    return path


def problems_of(path, overrides=()):
    with pytest.raises(ConfigError) as error:
        read_configuration(path, overrides)
    return {str(problem).partition(": ")[2].partition(": ")[0]: problem for problem in error.value.problems}


def message_of(path):
    with pytest.raises(ConfigError) as error:
        read_configuration(path)
    return str(error.value)


def test_a_dozen_mistakes_in_toml_are_all_reported_with_file_line_path_and_the_nearest_name(tmp_path):
    path = write(tmp_path, "net.toml", WRONG_TOML)
    problems = problems_of(path)
    assert problems.keys() == WRONG.keys()
    for name, (line, expected, received, suggestion) in WRONG.items():
        problem = problems[name]
        assert (problem.file, problem.line) == (str(path), line), name
        assert problem.expected.startswith(expected)
        assert (problem.received, problem.suggestion) == (received, suggestion)
    assert [problem.line for problem in problems.values()] == [line for line, *_ in WRONG.values()]
    assert message_of(path).splitlines()[1] == (
        f"{path}:2: dtype: expected one of 'float32', 'float64', received 'float16' (did you mean 'float64'?)"
    )


def test_the_same_mistakes_in_json_are_reported_with_their_lines(tmp_path):
    values = tomllib.loads(WRONG_TOML)
    text = json.dumps(values, indent=2)
    path = write(tmp_path, "net.json", text)
    problems = problems_of(path)
    assert problems.keys() == WRONG.keys()
    lines = text.split("\n")
    for name, (_, expected, received, suggestion) in WRONG.items():
        problem = problems[name]
        assert problem.file == str(path)
        assert problem.expected.startswith(expected)
        assert (problem.received, problem.suggestion) == (received, suggestion)
        assert problem.line is not None
        if problem.received != "nothing" and isinstance(problem.path[-1], str):
            assert f'"{problem.path[-1]}"' in lines[problem.line - 1]


def test_layers_in_a_list_of_inline_tables_are_located_too(tmp_path):
    layers = ['{ type = "dense", units = 3 },', "# a comment", '{ type = "dense", units = "x" },', '"flaten",']
    text = "\n".join(["layers = [", *layers, "]"])
    problems = problems_of(write(tmp_path, "net.toml", text))
    assert {name: problem.line for name, problem in problems.items()} == {"layers[1].units": 4, "layers[2]": 5}


def test_mistakes_in_the_graph_are_located_too(tmp_path):
    text = '[[layers]]\ntype = "dense"\nunits = 1\nname = "a"\n[[layers]]\ntype = "add"\ninputs = ["a", "nobody"]\n'
    problems = problems_of(write(tmp_path, "net.toml", text))
    assert {name: problem.line for name, problem in problems.items()} == {"layers[1].inputs[1]": 7}


def test_layers_are_required_and_there_must_be_one(tmp_path):
    assert "layers: expected a list, each a layer" in message_of(write(tmp_path, "a.toml", "dtype = 'float64'"))
    assert "layers: expected at least one layer, received none" in message_of(write(tmp_path, "a.toml", "layers = []"))


def test_shares_that_leave_nothing_to_train_on_are_a_mistake_of_the_section(tmp_path):
    text = 'layers = ["flatten"]\n\n[data]\nsource = "digits"\ntest = 0.5\nvalidation = 0.5\n'
    (problem,) = problems_of(write(tmp_path, "net.toml", text)).values()
    assert str(problem).endswith("net.toml:3: data: " + str(problem).split(": data: ")[1])
    assert "less than 1 together" in problem.expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.toml", "layers = [\n", "not valid TOML: "),
        ("net.toml", "a = 1\na = 2\n", "not valid TOML: "),
        ("net.toml", "\xff".encode("latin-1"), "cannot be read: 'utf-8' codec"),
        ("net.toml", "a = " + "[" * 100_000, "nested too deeply"),
        ("net.json", "[" * 100_000, "nested too deeply"),
        ("net.json", '{"layers": ["flatten"],\n "dtype" "x"}', ":2: expected JSON, received Expecting ':' delimiter"),
        ("net.json", "", ":1: expected JSON, received Expecting value"),
        ("net.json", "[1]", ":1: expected an object, received list"),
        ("net.json", "null", ":1: expected an object, received NoneType"),
        ("net.json", '{"layers": [{"type": "dense", "units": 1, "units": 2}]}', "the key 'units' stands twice"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_one_error_that_names_it(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    text = message_of(path)
    assert text.startswith(str(path))
    assert message in text
    assert len(text) < 400


def test_a_missing_file_and_a_folder_are_errors_that_name_them(tmp_path):
    assert message_of(tmp_path / "no.toml") == f"{tmp_path / 'no.toml'}: there is no such file"
    (tmp_path / "folder.toml").mkdir()
    assert message_of(tmp_path / "folder.toml").startswith(f"{tmp_path / 'folder.toml'}: cannot be read: ")
    assert message_of(tmp_path / "net.yaml") == f"{tmp_path / 'net.yaml'}: expected a file ending in .toml or .json"


@pytest.mark.parametrize("prefix", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_may_come_from_any_editor(tmp_path, prefix, newline):
    text = prefix + 'description = "größe \u2028"\nlayers = ["flatten"]\n[training]\nepochs = 0\n'.replace(
        "\n", newline
    )
    problems = problems_of(write(tmp_path, "net.toml", text))
    assert problems["training.epochs"].line == 4


def test_toml_json_mapping_and_python_say_the_same(tmp_path):
    expected = Configuration(
        layers=[Dense(4, "relu", name="a"), Dense(4, name="b"), Add(inputs=("a", "b"))],
        data=Data("digits", test=0.25, split="tail"),
        training=Training(CrossEntropy(0.1), SGD(0.5, schedule="cosine"), batch_size="all"),
    )
    assert Configuration.parse(GOOD) == expected
    assert read_configuration(write(tmp_path, "net.toml", tomli_w.dumps(GOOD))) == expected
    assert read_configuration(str(write(tmp_path, "net.json", json.dumps(GOOD)))) == expected


def test_what_a_configuration_gives_back_is_itself(tmp_path):
    configuration = Configuration.parse(GOOD)
    values = configuration.to_config()
    assert Configuration.parse(values) == configuration
    assert read_configuration(write(tmp_path, "net.toml", tomli_w.dumps(values))) == configuration
    assert hash(Configuration.parse(values)) == hash(configuration)


@pytest.mark.parametrize("path", MODELS, ids=[path.name for path in MODELS])
def test_every_configuration_that_is_shipped_is_valid_and_survives_its_plain_form(path):
    configuration = read_configuration(path)
    assert Configuration.parse(configuration.to_config()) == configuration
    assert configuration.description


def test_defaults_are_those_that_people_know():
    training = Training("mean_squared_error")
    assert training.optimizer == Adam(1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7)
    assert SGD().learning_rate == 0.01
    assert (training.epochs, training.batch_size, training.shuffle, training.seed) == (10, 32, True, 0)
    assert Configuration.parse({"layers": ["flatten"]}).dtype == "float32"


def test_parsing_reports_every_problem_of_a_mapping():
    with pytest.raises(ConfigError) as error:
        Configuration.parse({"layers": [{"type": "dense", "units": 0}], "dtype": "int8", "name": "x"})
    assert [problem.path for problem in error.value.problems] == [("name",), ("layers", 0, "units"), ("dtype",)]


def test_overrides_are_applied_to_what_was_read(tmp_path):
    path = write(tmp_path, "net.toml", tomli_w.dumps(GOOD))
    configuration = read_configuration(path, ["optimizer.learning_rate=0.25", "epochs=3"])
    assert configuration.training.optimizer.learning_rate == 0.25
    assert configuration.training.epochs == 3
    assert (
        override_configuration(Configuration.parse(GOOD), ["optimizer.learning_rate=0.25", "epochs=3"]) == configuration
    )


def test_a_mistake_of_an_override_is_told_from_one_of_the_file(tmp_path):
    path = write(tmp_path, "net.toml", tomli_w.dumps({**GOOD, "dtype": "float8"}))
    with pytest.raises(ConfigError) as error:
        read_configuration(path, ["epochs=0", "test=0.6", "validation=0.6", "optimizer.momentm=1", "epoch=3"])
    files = [(problem.file, problem.line is not None) for problem in error.value.problems]
    assert sorted(files) == [
        ("--set", False),
        ("--set epochs=0", False),
        ("--set optimizer.momentm=1", False),
        ("--set test=0.6", False),
        (str(path), True),
    ]


@pytest.mark.parametrize("text", ["2024", "true", "1e3"])
def test_an_override_of_a_field_of_text_is_text(tmp_path, text):
    values = {**GOOD, "data": {"source": {"type": "csv", "path": "a.csv"}}}
    path = write(tmp_path, "net.toml", tomli_w.dumps(values))
    configuration = read_configuration(path, [f"description={text}", f"data.source.path={text}", "shuffle=false"])
    assert (configuration.description, configuration.data.source.path) == (text, text)
    assert configuration.training.shuffle is False


def test_an_override_that_fits_in_no_form_is_a_mistake_of_its_own(tmp_path):
    path = write(tmp_path, "net.toml", tomli_w.dumps(GOOD))
    with pytest.raises(ConfigError) as error:
        read_configuration(path, ["epochs=abc", "dtype=32"])
    assert sorted(problem.file for problem in error.value.problems) == ["--set dtype=32", "--set epochs=abc"]


def test_problems_that_turn_up_later_are_completed_with_their_places(tmp_path):
    path = write(tmp_path, "net.toml", tomli_w.dumps(GOOD))
    problems = [
        Problem(("training", "epochs"), "a", "b"),
        Problem(("layers", 1), "c", "d"),
        Problem(("training", "optimizer", "slots"), "e", "f"),
        Problem(("layers", 0), "g", "h", file="elsewhere", line=3),
    ]
    with pytest.raises(ConfigError) as error, located_in(path, ["epochs=3"]):
        raise ConfigError(problems)
    lines = path.read_text().splitlines()
    found = {problem.path: (problem.file, problem.line) for problem in error.value.problems}
    assert found["training", "epochs"] == ("--set epochs=3", None)
    assert found["layers", 0] == ("elsewhere", 3)
    assert found["training", "optimizer", "slots"] == (str(path), 1 + lines.index("[training.optimizer]"))
    assert found["layers", 1] == (str(path), 1 + lines.index('name = "b"') - 3)


def test_an_error_without_problems_or_of_a_model_file_stays_as_it_is(tmp_path):
    path = write(tmp_path, "net.toml", tomli_w.dumps(GOOD))
    for place, error in ((path, ConfigError("plain")), ("model.h5", ConfigError([Problem(("layers",), "a", "b")]))):
        with pytest.raises(ConfigError) as caught, located_in(place):
            raise error
        assert caught.value is error


def test_the_differences_of_two_configurations_are_listed():
    one = Configuration.parse(GOOD)
    other = override_configuration(one, ["layers.b.units=5", "loss=hinge", "layers.2.name=c"])
    assert dict(differences(one, other)) == {
        "layers[1].units": "layers[1].units: 4 then, 5 now",
        "layers[2].name": "layers[2].name: None then, 'c' now",
        "training.loss": "training.loss: {'type': 'cross_entropy', 'label_smoothing': 0.1} then, 'hinge' now",
    }
    assert differences(one, one) == []


def test_the_differences_of_lists_of_other_lengths_are_those_of_their_elements_and_what_one_has_more():
    one = Configuration.parse(GOOD)
    other = override_configuration(one, ["metrics=['accuracy']", "layers.b.units=5"])
    assert dict(differences(one, other)) == {
        "layers[1].units": "layers[1].units: 4 then, 5 now",
        "training.metrics[0]": "training.metrics[0]: nothing then, 'accuracy' now",
    }
    assert dict(differences(other, one))["training.metrics[0]"].endswith("'accuracy' then, nothing now")


def test_parts_of_other_types_differ_as_a_whole():
    one = Configuration.parse(GOOD)
    other = override_configuration(one, ["optimizer={type='adam', beta_1=0.5}"])
    ((path, line),) = differences(one, other)
    assert path == "training.optimizer"
    assert line.startswith("training.optimizer: {'type': 'sgd', 'learning_rate': 0.5, ")
    assert " then, {'type': 'adam', " in line


def test_long_values_are_shown_whole_where_they_would_look_the_same():
    one = Configuration.parse(GOOD | {"description": "x" * 100 + "a"})
    other = Configuration.parse(GOOD | {"description": "x" * 100 + "b"})
    ((_, line),) = differences(one, other)
    assert line == f"description: '{'x' * 100}a' then, '{'x' * 100}b' now"
