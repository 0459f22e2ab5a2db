"""What the README shows is what happens."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from microframe.configuration import Configuration, read_configuration
from microframe.registry import KINDS, registry

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def run_python(folder: Path, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=True).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_every_standard_name_is_listed_and_no_other(kind):
    (row,) = re.findall(rf"^\| {kind} \| (.*?) \|$", TEXT, re.MULTILINE)
    names = re.findall(r"`(\w+)`", row)
    assert sorted(names) == registry.standard_names(kind)


def test_the_first_configuration_is_the_one_that_is_shipped():
    shown = next(block for block in blocks("toml") if "[data]" in block)
    shipped = read_configuration(README.parent / "models" / "digits.toml")
    values = Configuration.parse(tomllib.loads(shown)).to_config()
    assert values == {name: value for name, value in shipped.to_config().items() if name != "description"}


def test_the_example_of_a_program_runs(tmp_path):
    (program,) = [block for block in blocks("python") if "model.fit(" in block]
    (tmp_path / "program.py").write_text(program)
    output = run_python(tmp_path, "program.py")
    accuracy = float(output.splitlines()[0])
    assert accuracy > 0.9
    assert (tmp_path / "model.h5").exists()


def test_the_example_of_a_plugin_works_and_passes_a_gradient_check(tmp_path):
    (plugin,) = [block for block in blocks("python") if "class Swish" in block]
    (tmp_path / "microframe_swish.py").write_text(plugin)
    (tmp_path / "net.toml").write_text(
        """
        [data]
        source = "digits"
        [[layers]]
        type = "standardize"
        [[layers]]
        type = "dense"
        units = 16
        activation = { type = "swish", beta = 1.5 }
        [[layers]]
        type = "dense"
        units = 10
        activation = "softmax"
        [training]
        loss = "cross_entropy"
        epochs = 2
        """
    )
    run_python(tmp_path, "-m", "microframe", "run", "net.toml", "--plugin", "microframe_swish.py")
    check = """
import sys; sys.path.insert(0, ".")
from microframe_swish import Swish
from microframe.standard.layers import Dense
from microframe.testing import assert_layer_gradients
assert_layer_gradients(Dense(4, Swish(beta=1.5)), (8,))
"""
    run_python(tmp_path, "-c", check)
    assert (tmp_path / "net.h5").exists()


def test_the_files_that_contributors_are_pointed_to_are_there():
    root = README.parent
    rows = re.findall(r"^\| (`microframe/.*?) \|", (root / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 5
    for row in rows:
        first, *others = re.findall(r"`(.*?)`", row)
        for path in (root / first, *((root / first).parent / name for name in others)):
            assert path.exists(), path


def test_the_layers_that_branch_and_merge_are_valid():
    (branching,) = [block for block in blocks("toml") if "inputs" in block]
    layers = tomllib.loads(branching)["layers"]
    assert Configuration.parse({"layers": layers}).layers[2].inputs == ("wide", "deep")
