from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

from microframe.configuration import Configuration, read_configuration


@pytest.mark.parametrize("name", ["digits.toml", "residual.toml", "mnist.toml"])
def test_what_show_prints_is_the_same_configuration_with_every_default(name, microframe, models):
    result = microframe("config", "show", models / name)
    assert (result.code, result.stderr) == (0, "")
    values = tomllib.loads(result.stdout)
    assert Configuration.parse(values) == read_configuration(models / name)
    assert values["training"]["shuffle"] in {True, False}
    assert values["data"]["split"]


def test_show_takes_settings_and_gives_json(microframe, models):
    words = ["--set", "optimizer.learning_rate=0.25", "--set", "layers.1.units=5", "--json"]
    values = microframe("config", "show", models / "digits.toml", *words).json
    assert values["training"]["optimizer"]["learning_rate"] == 0.25
    assert values["layers"][1]["units"] == 5
    assert values["layers"][1]["kernel_initializer"] == "glorot_uniform"


def test_show_gives_the_configuration_that_a_model_was_trained_with(microframe, digits, models):
    values = tomllib.loads(microframe("config", "show", digits).stdout)
    assert Configuration.parse(values) == read_configuration(models / "digits.toml", ["epochs=5"])


def test_every_network_of_the_project_is_valid(microframe, models):
    files = sorted(models.glob("*.toml"))
    result = microframe("config", "validate", *files)
    assert result.code == 0
    notes = result.stderr.splitlines()
    assert result.stdout.splitlines() == [f"{file}: ok" for file in files]
    assert [line.partition(": the shapes are not checked, as the data cannot be loaded: ")[0] for line in notes] == [
        f"note: {models / name}" for name in ("mnist-modern.toml", "mnist.toml")
    ]


WRONG = """\
[[layers]]
type = "dens"

[[layers]]
type = "dense"
units = 0

[training]
loss = "cross_entropy"
epoch = 3
"""


@pytest.fixture
def mixed(tmp_path, models):
    """A valid configuration, one with three mistakes, one that is no TOML, and one that is not there."""
    (tmp_path / "right.toml").write_text((models / "digits.toml").read_text())
    (tmp_path / "wrong.toml").write_text(WRONG)
    (tmp_path / "broken.toml").write_text("layers = [\n")
    return ["right.toml", "wrong.toml", "broken.toml", "none.toml"]


def test_validate_reports_every_problem_of_every_file(mixed, microframe):
    result = microframe("config", "validate", *mixed)
    assert (result.code, result.stdout) == (3, "right.toml: ok\n")
    lines = result.stderr.splitlines()
    assert [line.partition(": expected")[0] for line in lines[:3]] == [
        "wrong.toml:2: layers[0].type",
        "wrong.toml:6: layers[1].units",
        "wrong.toml:10: training.epoch",
    ]
    assert lines[0].endswith("received 'dens' (did you mean 'dense'?)")
    assert lines[1].endswith("expected a whole number of at least 1, received 0")
    assert lines[2].endswith("(did you mean 'epochs'?)")
    assert lines[3].startswith("broken.toml: not valid TOML: ")
    assert lines[4:] == ["none.toml: there is no such file"]


SHAPES = """\
[data]
source = { type = "npy", inputs = "x.npy" }

[[layers]]
type = "dense"
units = 6
kernel_initializer = { type = "constant", value = [1, 2, 3, 4, 5, 6] }

[[layers]]
type = "reshape"
shape = [4, 4]
"""


def test_validate_checks_the_shapes_where_the_data_can_be_loaded(microframe, tmp_path):
    (tmp_path / "net.toml").write_text(SHAPES)
    without = microframe("config", "validate", "net.toml")
    assert (without.code, without.stdout) == (0, "net.toml: ok\n")
    assert without.stderr == (
        "note: net.toml: the shapes are not checked, as the data cannot be loaded: x.npy: there is no such file\n"
    )
    np.save(tmp_path / "x.npy", np.zeros((5, 6)))
    wrong = microframe("config", "validate", "net.toml")
    assert (wrong.code, wrong.stdout) == (3, "")
    assert wrong.stderr.startswith("net.toml:9: layers[1]: expected ")
    (problem,) = microframe("config", "validate", "net.toml", "--json").json["net.toml"]
    assert (problem["path"], problem["line"]) == ("layers[1]", 9)
    (tmp_path / "net.toml").write_text(SHAPES.replace("[4, 4]", "[2, 3]"))
    right = microframe("config", "validate", "net.toml")
    assert (right.code, right.stdout, right.stderr) == (0, "net.toml: ok\n", "")


def test_validate_checks_initializers_against_the_shapes(refused, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 6)))
    (tmp_path / "net.toml").write_text(SHAPES.replace("[4, 4]", "[5]").replace("units = 6", "units = 5"))
    message = refused(3, "config", "validate", "net.toml")
    assert message.startswith("net.toml:7: layers[0].kernel_initializer: expected ")


def test_validate_reports_as_json(mixed, microframe):
    result = microframe("config", "validate", *mixed, "--json")
    assert (result.code, result.stderr) == (3, "")
    report = result.json
    assert list(report) == mixed
    assert report["right.toml"] == []
    assert report["wrong.toml"][1] == {
        "message": "wrong.toml:6: layers[1].units: expected a whole number of at least 1, received 0",
        "path": "layers[1].units",
        "line": 6,
        "expected": "a whole number of at least 1",
        "received": "0",
        "suggestion": None,
    }
    assert report["none.toml"] == [{"message": "none.toml: there is no such file"}]


def test_the_schema_describes_every_standard_part(microframe):
    result = microframe("config", "schema")
    assert (result.code, result.stderr) == (0, "")
    schema = result.json
    assert schema["required"] == ["layers"]
    _names, *layers = schema["$defs"]["layer"]["anyOf"]
    (dense,) = [layer for layer in layers if '"dense"' in json.dumps(layer["properties"]["type"])]
    assert dense["required"] == ["type", "units"]
    assert "adam" in schema["$defs"]["optimizer"]["anyOf"][0]["enum"]


def test_the_schema_is_written_to_a_file_that_is_not_there_yet(microframe, refused, tmp_path):
    path = tmp_path / "schema.json"
    result = microframe("config", "schema", "--output", path.name)
    assert (result.code, result.stdout) == (0, "")
    assert json.loads(path.read_text())["title"] == "microframe configuration"
    path.write_text("precious")
    assert "schema.json is there already" in refused(2, "config", "schema", "-o", path.name)
    assert path.read_text() == "precious"
    assert "there is no folder none" in refused(2, "config", "schema", "-o", "none/schema.json")
