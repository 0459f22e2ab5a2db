"""Plugins at the command line: what they add, how broken and clashing ones are told, and how to leave some out."""

from __future__ import annotations

import textwrap

import pytest

from microframe import load

COMMAND = """
import click
from microframe import hookimpl

@click.command("{name}")
@click.option("--name", default="you")
def command(name):
    \"\"\"Say hello.\"\"\"
    click.echo(f"hello {{name}}")

@hookimpl
def microframe_commands():
    return [command]
"""

WITH_SWISH = ["--set", "layers.1.activation=swish", "--set", "loss=hinge", "--epochs", 1, "--dry-run"]


@pytest.fixture
def source(swish):
    return textwrap.dedent(swish())


@pytest.fixture
def swish_file(tmp_path, source):
    (tmp_path / "swish.py").write_text(source)
    return "swish.py"


def test_a_plugin_adds_a_command(microframe, plugin_folder):
    variables = plugin_folder("greeting", COMMAND.format(name="greet"))
    result = microframe("greet", "--name", "Ada", **variables)
    assert (result.code, result.stdout, result.stderr) == (0, "hello Ada\n", "")
    assert microframe("greeting.greet", **variables).stdout == "hello you\n"


def test_a_command_that_two_plugins_offer_is_an_error_that_names_both(microframe, plugin_folder):
    plugin_folder("greeting", COMMAND.format(name="greet"))
    variables = plugin_folder("welcome", COMMAND.format(name="greet"), version="2.1")
    result = microframe("greet", **variables)
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr == (
        "error: the command 'greet' is offered by greeting (microframe-greeting 1.0) as 'greeting.greet' and "
        "welcome (microframe-welcome 2.1) as 'welcome.greet'; use one of these qualified names\n"
    )
    assert microframe("welcome.greet", **variables).stdout == "hello you\n"


def test_no_plugin_takes_the_place_of_a_command_of_microframe(microframe, plugin_folder):
    variables = plugin_folder("greeting", COMMAND.format(name="train"))
    assert microframe("train", "--help", **variables).stdout.startswith("Usage: microframe train [OPTIONS] FILE")
    assert microframe("greeting.train", **variables).stdout == "hello you\n"


def test_an_unknown_command_tells_of_the_plugins_that_may_have_it(microframe, plugin_folder):
    plugin_folder("broken", "import a_module_that_nobody_has\n")
    plugin_folder("same", COMMAND.format(name="greet"), distribution="dist-one")
    variables = plugin_folder("same", COMMAND.format(name="greet"), distribution="dist-two")
    result = microframe("greet", **variables)
    assert result.code == 2
    assert "There is no command 'greet'. A plugin that is left out may provide it: " in result.stderr
    assert "'broken' (ModuleNotFoundError: No module named 'a_module_that_nobody_has')" in result.stderr
    assert "'same' (claimed by dist-one 1.0 and dist-two 1.0)" in result.stderr
    result = microframe("same.greet", **variables)
    assert result.code == 5
    assert "the plugin name 'same' is claimed by dist-one 1.0 and dist-two 1.0: leave one out" in result.stderr
    assert microframe("same.greet", MICROFRAME_WITHOUT="dist-one", **variables).stdout == "hello you\n"


def test_a_broken_plugin_is_left_out_with_a_line_on_stderr(microframe, leaves, plugin_folder, source):
    plugin_folder("swish", source)
    variables = plugin_folder("broken", "import a_module_that_nobody_has\n")
    result = microframe("train", leaves / "leaves.toml", *WITH_SWISH, **variables)
    assert result.code == 0
    assert result.stderr == (
        "microframe: plugin broken (microframe-broken 1.0) is left out: ModuleNotFoundError: "
        "No module named 'a_module_that_nobody_has'\n"
    )
    needed = ["--set", "layers.1.activation=broken.swish", "--dry-run"]
    assert microframe("train", leaves / "leaves.toml", *needed, **variables).code == 5


def test_a_name_that_two_plugins_offer_is_an_error_that_names_both(microframe, leaves, plugin_folder, source):
    plugin_folder("swish", source)
    variables = plugin_folder("rival", source)
    result = microframe("train", leaves / "leaves.toml", *WITH_SWISH, **variables)
    assert result.code == 5
    for name in ("microframe-swish", "'swish.swish'", "microframe-rival", "'rival.swish'"):
        assert name in result.stderr
    qualified = ["--set", "layers.1.activation=rival.swish"]
    assert microframe("train", leaves / "leaves.toml", *WITH_SWISH, *qualified, **variables).code == 0


@pytest.mark.parametrize(("name", "code"), [("swish", 3), ("same.swish", 5)])
def test_two_distributions_with_one_plugin_name_are_both_named(microframe, leaves, plugin_folder, source, name, code):
    plugin_folder("same", source, distribution="dist-one")
    variables = plugin_folder("same", source, distribution="dist-two", version="2.0")
    words = ["train", leaves / "leaves.toml", *WITH_SWISH, "--set", f"layers.1.activation={name}"]
    result = microframe(*words, **variables)
    assert result.code == code
    assert "claimed by dist-one 1.0 and dist-two 2.0" in result.stderr
    assert microframe(*words, "--without", "dist-one", **variables).code == 0


def test_a_file_is_a_plugin_for_one_call(microframe, leaves, swish_file, tmp_path):
    words = ["train", leaves / "leaves.toml", *WITH_SWISH[:-1], "--plugin", swish_file]
    assert microframe(*words).code == 0
    without = microframe("predict", "leaves.h5", leaves / "leaves.csv")
    assert (without.code, without.stdout) == (5, "")
    assert "the activation 'swish.swish' needs the plugin 'swish'" in without.stderr
    assert microframe("predict", "leaves.h5", leaves / "leaves.csv", "--plugin", swish_file).code == 0
    assert microframe("predict", "leaves.h5", leaves / "leaves.csv", MICROFRAME_PLUGIN=swish_file).code == 0
    assert (tmp_path / "leaves.h5").exists()


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("swihs.py", "error: plugin swihs.py: there is no file swihs.py (did you mean 'swish.py'?)\n"),
        ("a_module_that_nobody_has", "error: plugin a_module_that_nobody_has: ModuleNotFoundError: No module named"),
        ("empty.py", "error: plugin empty.py: it implements no hook"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_an_error_where_it_is_asked_for(
    plugin, message, microframe, swish_file, tmp_path
):
    (tmp_path / "empty.py").write_text("")
    result = microframe("plugins", "list", "--plugin", plugin)
    assert (result.code, result.stdout) == (5, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["--no-plugins"], {}),
        (["--without", "swish"], {}),
        (["--without", "microframe-swish"], {}),
        ([], {"MICROFRAME_NO_PLUGINS": "1"}),
        ([], {"MICROFRAME_WITHOUT": "nobody,Microframe.Swish"}),
    ],
    ids=str,
)
def test_a_plugin_that_is_left_out_is_not_imported(words, more, microframe, leaves, plugin_folder):
    variables = plugin_folder("swish", "raise SystemExit('imported')") | more
    result = microframe("plugins", "list", "--json", *words, **variables)
    states = {row["name"]: row["state"] for row in result.json}
    assert (states["standard"], states["swish"]) == ("ok", "blocked")
    assert result.stderr == ""
    unknown = microframe("train", leaves / "leaves.toml", *WITH_SWISH, *words, **variables)
    assert unknown.code == 3
    assert "received 'swish'; a plugin that is left out may provide it: " in unknown.stderr
    assert "'swish' (on request)" in unknown.stderr
    needed = ["--set", "layers.1.activation=swish.swish", "--dry-run", *words]
    left_out = microframe("train", leaves / "leaves.toml", *needed, **variables)
    assert (left_out.code, "left out on request" in left_out.stderr) == (5, True)


def test_leaving_out_what_nobody_is_called_is_a_usage_error_with_the_nearest(microframe, plugin_folder):
    variables = plugin_folder("swish", "raise SystemExit('imported')")
    result = microframe("plugins", "list", "--without", "swihs", **variables)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: no plugin or distribution is called 'swihs' (did you mean 'swish'?); there")


def test_a_variable_that_means_nothing_is_a_usage_error(microframe):
    result = microframe("plugins", "list", MICROFRAME_NO_PLUGINS="maybe")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == ("error: MICROFRAME_NO_PLUGINS: expected 1, true, yes, 0, false or no, received 'maybe'\n")


@pytest.mark.parametrize("variable", ["MICROFRAME_PLUGIN=", "MICROFRAME_WITHOUT=", "MICROFRAME_NO_PLUGINS=1"])
def test_the_variables_are_told_with_the_options(microframe, variable):
    assert variable in microframe("train", "--help").stdout


def test_it_is_told_that_unknown_names_to_leave_out_are_ignored_in_the_variable(microframe):
    shown = " ".join(microframe("train", "--help").stdout.split())
    assert "MICROFRAME_WITHOUT=NAME,NAME, where a name that nobody has is no error" in shown


def test_standard_parts_are_found_without_importing_any_plugin(microframe, digits, models, plugin_folder, tmp_path):
    variables = plugin_folder("marker", "raise SystemExit('imported')")
    (tmp_path / "named.py").write_text("raise SystemExit('imported')")
    variables["MICROFRAME_PLUGIN"] = "named.py"
    for words in (["train", models / "digits.toml", "--epochs", 1, "-q"], ["predict", digits, "-"]):
        result = microframe(*words, stdin=(models / "digits-samples.csv").read_text(), **variables)
        assert (result.code, "imported" in result.stderr) == (0, False)
    assert load(digits).history.epochs == 5
