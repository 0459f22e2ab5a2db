from __future__ import annotations

import re
import textwrap

import pytest

from microframe import __version__

COMMAND = """
import click
from microframe import hookimpl

@hookimpl
def microframe_commands():
    return [click.Command("{}")]
"""
REACHABLE = "is reachable only as"


@pytest.fixture
def source(swish):
    return lambda name="Swish": textwrap.dedent(swish(name))


@pytest.fixture
def rows(microframe):
    """Gives the rows of ``plugins list --json``, those of one name together."""

    def rows(*words, **variables):
        result = microframe("plugins", "list", "--json", *words, **variables)
        assert result.code == 0
        found = {}
        for row in result.json:
            found.setdefault(row["name"], []).append(row)
        return found

    return rows


def test_the_standard_parts_are_listed_like_a_plugin(microframe, table):
    result = microframe("plugins", "list", "--no-plugins")
    assert (result.code, result.stderr) == (0, "")
    head, standard, *_ = table(result.stdout)
    assert head == ["plugin", "distribution", "version", "state", "load ms"]
    assert standard[:4] == ["standard", "microframe", __version__, "ok"]
    assert float(standard[4]) > 0
    assert re.search(r"^standard +\d+ layers, \d+ activations, \d+ losses, ", result.stdout, re.MULTILINE)


def test_an_installed_plugin_is_listed_with_what_it_provides(rows, plugin_folder, source):
    plugin_folder("swish", source(), version="2.1")
    found = rows(**plugin_folder("greeting", COMMAND.format("greet")))
    (swish,) = found["swish"]
    assert swish.pop("load_milliseconds") > 0
    assert swish == {
        "name": "swish",
        "distribution": "microframe-swish",
        "version": "2.1",
        "module": "microframe_swish",
        "state": "ok",
        "reason": None,
        "provides": {"activation": ["swish"]},
        "notes": [],
    }
    assert found["greeting"][0]["provides"] == {"command": ["greet"]}
    assert "dense" in found["standard"][0]["provides"]["layer"]


def test_a_plugin_that_is_not_installed_is_listed_without_a_distribution(rows, tmp_path, source):
    (tmp_path / "mine.py").write_text(source())
    for found in (rows("--plugin", "mine.py"), rows(MICROFRAME_PLUGIN="mine.py")):
        (mine,) = found["mine"]
        assert (mine["distribution"], mine["version"], mine["module"]) == (None, None, "mine.py")
        assert mine["state"] == "ok"


def test_a_broken_plugin_is_listed_with_the_reason(microframe, rows, plugin_folder):
    variables = plugin_folder("broken", "import a_module_that_nobody_has\n")
    (broken,) = rows(**variables)["broken"]
    reason = "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"
    assert (broken["state"], broken["reason"], broken["provides"]) == ("broken", reason, {})
    result = microframe("plugins", "list", **variables)
    assert reason in re.sub(r"\s+", " ", result.stdout)
    assert result.stderr == f"microframe: plugin broken (microframe-broken 1.0) is left out: {reason}\n"


def test_a_plugin_whose_commands_fail_is_broken(rows, plugin_folder):
    code = COMMAND.format("greet").replace("[click", "1 / 0 or [click")
    (broken,) = rows(**plugin_folder("greeting", code))["greeting"]
    assert (broken["state"], broken["reason"]) == ("broken", "ZeroDivisionError: division by zero")


def test_a_blocked_plugin_is_listed_and_not_loaded(rows, plugin_folder):
    variables = plugin_folder("swish", "raise SystemExit('imported')")
    (swish,) = rows("--without", "swish", **variables)["swish"]
    assert (swish["state"], swish["reason"], swish["load_milliseconds"]) == ("blocked", None, None)
    assert {row["state"] for name, (row,) in rows("--no-plugins", **variables).items()} == {"ok", "blocked"}


def test_each_claimant_of_a_name_is_listed_with_the_other_and_not_loaded(rows, plugin_folder):
    plugin_folder("same", "raise SystemExit('imported')", distribution="dist-one")
    variables = plugin_folder("same", "raise SystemExit('imported')", distribution="dist-two", version="2.0")
    one, two = rows(**variables)["same"]
    assert (one["distribution"], two["distribution"]) == ("dist-one", "dist-two")
    assert (one["state"], two["state"]) == ("clashing", "clashing")
    assert one["reason"] == "the plugin name 'same' is also claimed by dist-two 2.0"
    assert two["reason"] == "the plugin name 'same' is also claimed by dist-one 1.0"
    assert one["load_milliseconds"] is two["load_milliseconds"] is None
    states = [row["state"] for row in rows("--without", "same", **variables)["same"]]
    assert states == ["blocked", "blocked"]


def test_names_that_others_have_too_are_noted_with_the_qualified_ones(rows, plugin_folder, source):
    plugin_folder("swish", source())
    plugin_folder("rival", source())
    plugin_folder("shadow", source("Relu"))
    plugin_folder("trainer", COMMAND.format("train"))
    found = rows(**plugin_folder("single", source("Single")))
    assert found["swish"][0]["notes"] == [f"the activation 'swish' {REACHABLE} 'swish.swish': rival has it too"]
    assert found["rival"][0]["notes"] == [f"the activation 'swish' {REACHABLE} 'rival.swish': swish has it too"]
    assert found["shadow"][0]["notes"] == [f"the activation 'relu' {REACHABLE} 'shadow.relu': standard has it too"]
    assert found["trainer"][0]["notes"] == [f"the command 'train' {REACHABLE} 'trainer.train': microframe has it too"]
    assert found["single"][0]["notes"] == found["standard"][0]["notes"] == []


def test_several_rivals_are_all_noted(rows, plugin_folder, source):
    for name in ("one", "two"):
        plugin_folder(name, source())
    found = rows(**plugin_folder("three", source()))
    assert found["one"][0]["notes"] == [f"the activation 'swish' {REACHABLE} 'one.swish': three and two have it too"]


def test_a_long_list_is_readable_in_eighty_columns(microframe, plugin_folder, source):
    names = [f"a_plugin_of_many_{index}" for index in range(12)]
    for name in names:
        variables = plugin_folder(name, source(), distribution=f"microframe-{name.replace('_', '-')}")
    result = microframe("plugins", "list", COLUMNS="80", **variables)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for name in names:
        assert sum(line.startswith(f"{name} ") for line in lines) == 2, "in the table, and with the details below it"
    assert "a_plugin_of_many_0 and a_plugin_of_many_1" in re.sub(r"\s+", " ", result.stdout)


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_the_names_alone_are_listed_without_importing_a_plugin(microframe, plugin_folder, tmp_path, as_json):
    for name, distribution in [("swish", "dist-one"), ("same", "dist-two"), ("same", "dist-three")]:
        variables = plugin_folder(name, "raise SystemExit('imported')", distribution=distribution)
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    variables["MICROFRAME_PLUGIN"] = "mine.py"
    result = microframe("plugins", "list", "--names", *(["--json"] if as_json else []), **variables)
    assert (result.code, result.stderr) == (0, "")
    names = result.json if as_json else result.stdout.splitlines()
    assert names[0] == "standard"
    assert {"swish", "same", "mine"} <= set(names)
    assert names.count("same") == 1
