from __future__ import annotations

import re

import pytest

from microframe import __version__, load

SWISH = """
import numpy as np
from microframe import Activation, hookimpl

class Swish(Activation):
    needs_input = True

    def forward(self, x, out):
        np.divide(x, 1 + np.exp(-x), out=out)

    def backward(self, dy, x, y, out):
        s = 1 / (1 + np.exp(-x))
        np.multiply(dy, s + y * (1 - s), out=out)

@hookimpl
def microframe_components():
    return [Swish]
"""

BROKEN = "import a_module_that_nobody_has\n"

COMMAND = """
import click
from microframe import hookimpl

@click.command("greet")
@click.option("--name", default="you")
def greet(name):
    click.echo(f"hello {name}")

@hookimpl
def microframe_commands():
    return [greet]
"""

WITH_SWISH = ["--set", "layers.1.activation=swish", "--set", "loss=hinge", "--epochs", 1, "--dry-run"]


@pytest.fixture
def swish_file(tmp_path):
    (tmp_path / "swish.py").write_text(SWISH)
    return "swish.py"


def test_the_standard_parts_are_listed_like_a_plugin(microframe, table):
    result = microframe("plugins", "list")
    assert (result.code, result.stderr) == (0, "")
    head, *rows = table(result.stdout)
    assert head == ["plugin", "distribution", "version", "state", "provides"]
    standard = next(row for row in rows if row[0] == "standard")
    assert standard[1:4] == ["microframe", __version__, "ok"]
    assert re.match(r"\d+ layers, \d+ activations, \d+ losses, ", standard[4])


def test_an_installed_plugin_is_listed_with_what_it_provides(microframe, plugin_folder):
    plugin_folder("swish", SWISH, version="2.1")
    variables = plugin_folder("greeting", COMMAND)
    rows = {row["name"]: row for row in microframe("plugins", "list", "--json", **variables).json}
    assert rows["swish"] == {
        "name": "swish",
        "distribution": "microframe-swish",
        "version": "2.1",
        "module": "microframe_swish",
        "state": "ok",
        "provides": {"activation": ["swish"]},
    }
    assert rows["greeting"]["provides"] == {"command": ["greet"]}
    assert "dense" in rows["standard"]["provides"]["layer"]


def test_a_plugin_adds_a_command(microframe, plugin_folder):
    variables = plugin_folder("greeting", COMMAND)
    result = microframe("greet", "--name", "Ada", **variables)
    assert (result.code, result.stdout, result.stderr) == (0, "hello Ada\n", "")


def test_a_broken_plugin_is_left_out_with_a_line_on_stderr(microframe, leaves, plugin_folder):
    plugin_folder("swish", SWISH)
    variables = plugin_folder("broken", BROKEN)
    result = microframe("plugins", "list", "--json", **variables)
    assert result.code == 0
    assert result.stderr.startswith(
        "microframe: plugin broken (microframe-broken 1.0) is left out: ModuleNotFoundError"
    )
    states = {row["name"]: row["state"] for row in result.json}
    assert states["swish"] == "ok"
    assert states["broken"].startswith("broken: ModuleNotFoundError: No module named 'a_module_that_nobody_has'")

    result = microframe("train", leaves / "leaves.toml", *WITH_SWISH, **variables)
    assert (result.code, result.stderr.count("\n")) == (0, 1)
    needed = ["--set", "layers.1.activation=broken.swish", "--dry-run"]
    assert microframe("train", leaves / "leaves.toml", *needed, **variables).code == 5


def test_a_name_that_two_plugins_offer_is_an_error_that_names_both(microframe, leaves, plugin_folder):
    plugin_folder("swish", SWISH)
    variables = plugin_folder("rival", SWISH)
    result = microframe("train", leaves / "leaves.toml", *WITH_SWISH, **variables)
    assert result.code == 5
    for name in ("microframe-swish", "'swish.swish'", "microframe-rival", "'rival.swish'"):
        assert name in result.stderr
    qualified = ["--set", "layers.1.activation=rival.swish"]
    assert microframe("train", leaves / "leaves.toml", *WITH_SWISH, *qualified, **variables).code == 0


def test_a_file_is_a_plugin_for_one_call(microframe, leaves, swish_file, tmp_path):
    words = ["train", leaves / "leaves.toml", *WITH_SWISH[:-1], "--plugin", swish_file]
    assert microframe(*words).code == 0
    without = microframe("predict", "leaves.h5", leaves / "leaves.csv")
    assert (without.code, without.stdout) == (5, "")
    assert "the activation 'swish.swish' needs the plugin 'swish'" in without.stderr
    assert microframe("predict", "leaves.h5", leaves / "leaves.csv", "--plugin", swish_file).code == 0
    assert (tmp_path / "leaves.h5").exists()


@pytest.mark.parametrize(
    ("plugin", "message"),
    [("none.py", "none.py"), ("a_module_that_nobody_has", "No module named"), ("empty.py", "it implements no hook")],
)
def test_a_plugin_that_cannot_be_loaded_is_an_error_where_it_is_asked_for(plugin, message, microframe, tmp_path):
    (tmp_path / "empty.py").write_text("")
    result = microframe("plugins", "list", "--plugin", plugin)
    assert (result.code, result.stdout) == (5, "")
    assert message in result.stderr


@pytest.mark.parametrize("words", [["--no-plugins"], ["--without", "swish"], ["--without", "microframe-swish"]])
def test_a_plugin_that_is_left_out_is_not_imported(words, microframe, leaves, plugin_folder):
    variables = plugin_folder("swish", "raise SystemExit('imported')")
    rows = microframe("plugins", "list", "--json", *words, **variables)
    assert [row["state"] for row in rows.json] == ["ok", "left out"]
    assert rows.stderr == ""
    unknown = microframe("train", leaves / "leaves.toml", *WITH_SWISH, *words, **variables)
    assert unknown.code == 3
    assert "received 'swish'" in unknown.stderr
    needed = ["--set", "layers.1.activation=swish.swish", "--dry-run", *words]
    left_out = microframe("train", leaves / "leaves.toml", *needed, **variables)
    assert (left_out.code, "left out on request" in left_out.stderr) == (5, True)


def test_standard_parts_are_found_without_importing_any_plugin(microframe, digits, models, plugin_folder):
    variables = plugin_folder("marker", "raise SystemExit('imported')")
    for words in (["train", models / "digits.toml", "--epochs", 1, "-q"], ["predict", digits, "-"]):
        result = microframe(*words, stdin=(models / "digits-samples.csv").read_text(), **variables)
        assert (result.code, "imported" in result.stderr) == (0, False)
    assert load(digits).history.epochs == 5
