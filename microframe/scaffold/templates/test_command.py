from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from microframe import Model
from microframe.cli import run
from microframe.scaffold.templates.command import command

EXPECTED = "line.kernel: 3 of 4 (75%)\nline.bias: 0 of 2 (0%)\n"


@pytest.fixture
def model_file(tmp_path: Path) -> str:
    layer = {"type": "dense", "units": 2, "name": "line"}
    model = Model.from_config({"layers": [layer]}).build((2,))
    model.weights["line"]["kernel"][:] = [[0.0, 1e-4], [-1e-4, 2.0]]
    model.weights["line"]["bias"][:] = [1.0, -1.0]
    model.save(tmp_path / "model.h5")
    return str(tmp_path / "model.h5")


def test_it_counts_the_weights_that_are_next_to_nothing(model_file: str) -> None:
    result = CliRunner().invoke(command, [model_file])
    assert (result.exit_code, result.output) == (0, EXPECTED)


def test_the_threshold_itself_counts(model_file: str) -> None:
    result = CliRunner().invoke(command, [model_file, "--threshold", "1"])
    assert result.output.endswith("line.bias: 2 of 2 (100%)\n")


def test_microframe_has_the_command(model_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["part-name", model_file]) == 0
    assert capsys.readouterr().out == EXPECTED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.h5"], "'none.h5' does not exist"),
        ([__file__, "--threshold", "-1"], "x>=0"),
        ([], "Missing argument 'FILE'"),
    ],
)
def test_wrong_arguments_are_refused(words: list[str], message: str) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2
    assert message in result.output
