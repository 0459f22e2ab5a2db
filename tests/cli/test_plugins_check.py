from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

COMMAND = '''
import click
from microframe import hookimpl

@click.command("{}")
def greet():
    """Say hello."""

@hookimpl
def microframe_commands():
    return [greet]
'''


@pytest.fixture
def right(swish):
    """The source of a plugin with a right activation."""
    return textwrap.dedent(swish())


@pytest.fixture
def wrong(right):
    """The same with the gradient twice as large."""
    return right.replace("np.multiply(dy, s +", "np.multiply(2 * dy, s +")


def outcomes(result):
    return {(row["component"], row["check"]): row["outcome"] for row in result.json}


def test_the_parts_of_a_right_file_pass(microframe, tmp_path, right, table):
    (tmp_path / "microframe_swish.py").write_text(right)
    result = microframe("plugins", "check", "microframe_swish.py")
    assert result.code == 0
    rows = table(result.stdout)
    assert rows[:2] == [["microframe_swish: activation"], ["check", "swish"]]
    assert ["gradient", "ok"] in rows
    assert "reference: no example has a reference to compare with" in result.stdout
    assert result.stdout.splitlines()[-2].startswith("microframe_swish: 1 part; checks: ")
    assert ", 0 failed, " in result.stdout.splitlines()[-2]


def test_a_failed_check_is_told_with_its_reason_and_exit_code_1(microframe, tmp_path, wrong, table):
    (tmp_path / "microframe_swish.py").write_text(wrong)
    result = microframe("plugins", "check", "microframe_swish.py")
    assert result.code == 1
    assert ["gradient", "FAILED"] in table(result.stdout)
    assert "  swish gradient: Swish(): " in result.stdout


def test_json_has_a_row_for_each_check_of_each_part(microframe, tmp_path, wrong):
    (tmp_path / "microframe_swish.py").write_text(wrong)
    result = microframe("plugins", "check", "microframe_swish.py", "--json")
    assert (result.code, result.stderr) == (1, "")
    found = outcomes(result)
    assert found["swish", "gradient"] == "failed"
    assert found["swish", "config_round_trip"] == "passed"
    assert {tuple(row) for row in result.json} == {("plugin", "kind", "component", "check", "outcome", "reason")}


def test_without_a_name_every_installed_plugin_is_checked(microframe, plugin_folder, right, wrong):
    plugin_folder("swish", right)
    variables = plugin_folder("twice", wrong.replace("Swish", "Twice"))
    others = "conv,recurrent"  # these may be installed, and have tests of their own
    result = microframe("plugins", "check", "--json", **variables, MICROFRAME_WITHOUT=others)
    assert result.code == 1
    assert outcomes(result)["swish", "gradient"] == "passed"
    assert outcomes(result)["twice", "gradient"] == "failed"


@pytest.mark.parametrize("name", ["swish", "microframe-swish", "swish.swish"])
def test_a_plugin_is_checked_by_its_name_its_distribution_or_one_of_its_parts(microframe, plugin_folder, right, name):
    result = microframe("plugins", "check", name, "--json", **plugin_folder("swish", right))
    assert result.code == 0
    assert {(row["plugin"], row["component"]) for row in result.json} == {("swish", "swish")}


def test_a_standard_part_can_be_checked(microframe):
    result = microframe("plugins", "check", "dense", "--json")
    assert result.code == 0
    assert {(row["plugin"], row["component"]) for row in result.json} == {("standard", "dense")}
    assert outcomes(result)["dense", "reference"] == "passed"


def test_a_broken_plugin_fails(microframe, plugin_folder):
    result = microframe("plugins", "check", "broken", "--json", **plugin_folder("broken", "import nowhere"))
    assert result.code == 1
    (row,) = result.json
    assert (row["check"], row["outcome"]) == ("import", "failed")
    assert "No module named 'nowhere'" in row["reason"]


def test_a_plugin_name_that_two_distributions_claim_fails_and_names_both(microframe, plugin_folder, right):
    plugin_folder("same", "raise SystemExit('imported')", distribution="dist-one")
    plugin_folder("swish", right)
    variables = plugin_folder("same", "raise SystemExit('imported')", distribution="dist-two", version="2.0")
    variables["MICROFRAME_WITHOUT"] = "conv,recurrent"
    result = microframe("plugins", "check", "--json", **variables)
    assert (result.code, result.stderr) == (1, "")
    (row,) = [row for row in result.json if row["plugin"] == "same"]
    assert (row["kind"], row["component"], row["outcome"]) == ("plugin", "same", "failed")
    assert "the plugin name 'same' is claimed by dist-one 1.0 and dist-two 2.0: leave one out" in row["reason"]
    assert outcomes(result)["swish", "gradient"] == "passed"
    alone = microframe("plugins", "check", "--without", "swish", **variables)
    assert alone.code == 1
    assert "claimed by dist-one 1.0 and dist-two 2.0" in alone.stdout
    assert "no plugin is installed" not in alone.stdout
    assert microframe("plugins", "check", "swish", **variables).code == 0, "it is not about that one"


@pytest.fixture
def scaffold(microframe, tmp_path):
    """A new package as it is written, with the metadata that installing it leaves; gives its folder."""

    def write(folder: str) -> Path:
        result = microframe("plugins", "new", "swishy", "--kind", "activation", "--directory", folder)
        assert result.code == 0, result.stderr
        metadata = tmp_path / folder / "microframe_swishy-0.1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: microframe-swishy\nVersion: 0.1.0\n")
        (metadata / "entry_points.txt").write_text("[microframe]\nswishy = microframe_swishy\n")
        return tmp_path / folder

    return write


@pytest.mark.parametrize("file", ["microframe_swishy.py", "package/../microframe_swishy.py"])
def test_the_file_of_an_installed_plugin_is_checked_as_that_plugin(microframe, scaffold, file):
    (scaffold(".") / "package").mkdir()
    result = microframe("plugins", "check", file, "--json", PYTHONPATH=".")
    assert (result.code, result.stderr) == (0, "")
    assert {(row["plugin"], row["component"]) for row in result.json} == {("swishy", "swishy")}
    assert len(outcomes(result)) == len(result.json), "once"
    assert outcomes(result)["swishy", "name_free"] == "passed"


@pytest.mark.parametrize("words", [["copy/microframe_swishy.py"], ["copy/microframe_swishy.py", "swishy.swishy"]])
def test_a_file_does_not_clash_with_an_installed_copy_of_it(microframe, scaffold, tmp_path, words):
    scaffold("installed_package")
    (tmp_path / "copy").mkdir()
    source = (tmp_path / "installed_package" / "microframe_swishy.py").read_text()
    (tmp_path / "copy" / "microframe_swishy.py").write_text(source)
    result = microframe("plugins", "check", *words, "--json", PYTHONPATH=str(tmp_path / "installed_package"))
    assert result.code == 0, [row for row in result.json if row["outcome"] == "failed"]
    plugins = {row["plugin"] for row in result.json}
    assert plugins == {"microframe_swishy", "swishy"} if len(words) > 1 else {"microframe_swishy"}


def test_a_file_still_clashes_with_another_plugin(microframe, plugin_folder, tmp_path, right):
    (tmp_path / "mine.py").write_text(right)
    result = microframe("plugins", "check", "mine.py", "--json", **plugin_folder("swish", right))
    assert result.code == 1
    assert outcomes(result)["swish", "name_free"] == "failed"


def test_what_a_plugin_prints_does_not_disturb_json(microframe, plugin_folder, right):
    chatty = f"print('imported')\n{right}".replace("np.divide(x,", "print('computed'); np.divide(x,")
    chatty = chatty.replace("    return [Swish]", "    print('asked')\n    return [Swish]")
    variables = plugin_folder("chatty", chatty)
    for words in (["check", "chatty"], ["list"], ["info", "chatty"]):
        result = microframe("plugins", *words, "--json", **variables)
        assert result.code == 0
        assert result.json
        assert result.stderr.startswith("imported\nasked\n")
    assert microframe("doctor", "--json", **variables).json["plugins"]


def test_a_plugin_that_skips_itself_is_broken_and_no_traceback(microframe, plugin_folder):
    code = "import pytest\npytest.skip('not here', allow_module_level=True)\n"
    variables = plugin_folder("skipping", code)
    result = microframe("plugins", "check", "skipping", "--json", **variables)
    assert (result.code, result.json[0]["reason"]) == (1, "Skipped: not here")
    listed = microframe("plugins", "list", "--json", **variables)
    assert listed.code == 0
    assert [row["state"] for row in listed.json if row["name"] == "skipping"] == ["broken"]


def test_a_command_is_checked_too(microframe, plugin_folder):
    plugin_folder("greeting", COMMAND.format("greet"))
    variables = plugin_folder("shadow", COMMAND.format("train"))
    result = microframe("plugins", "check", "greeting", "shadow", "--json", **variables)
    found = outcomes(result)
    assert found["greet", "name_free"] == "passed"
    assert found["train", "name_free"] == "failed"
    assert {row["kind"] for row in result.json} == {"command"}


def test_an_unknown_name_is_refused(refused):
    assert "no plugin, distribution or part is called 'dens' (did you mean 'dense'?)" in refused(
        5, "plugins", "check", "dens"
    )


def test_a_file_that_is_not_there_is_refused(refused):
    assert "nowhere.py" in refused(5, "plugins", "check", "nowhere.py")


def test_many_parts_are_shown_in_tables_that_fit_the_terminal(microframe):
    names = ["sigmoid", "tanh", "relu", "softmax", "leaky_relu", "hard_sigmoid", "log_softmax", "softplus"]
    result = microframe("plugins", "check", *names, COLUMNS="80")
    assert result.code == 0
    tables = result.stdout.partition("skipped:")[0]
    assert max(map(len, tables.splitlines())) <= 80
    assert tables.count("standard: activation") == 2


def test_without_plugins_there_is_nothing_to_check(microframe):
    result = microframe("plugins", "check", "--no-plugins")
    assert result.code == 0
    assert "no plugin is installed" in result.stdout


def test_a_plugin_that_provides_nothing_fails(microframe, tmp_path):
    code = "import microframe\n@microframe.hookimpl\ndef microframe_components():\n    return []\n"
    (tmp_path / "empty.py").write_text(code)
    result = microframe("plugins", "check", "empty.py", "--json")
    assert result.code == 1
    (row,) = result.json
    assert (row["check"], row["reason"]) == ("provides", "expected a part or a command, received none")
