from __future__ import annotations

import re
import textwrap

import pytest

from microframe import __version__
from microframe.registry import KINDS, registry

PLUGIN = '''
import click
from typing import Literal
from microframe import Activation, Part, hookimpl
from microframe.values import PositiveFloat

class Swish(Activation):
    """x sigmoid(beta x).

    With beta = 0 it is
    linear.

    Fields:
        beta: how steep it is where it bends, of which one may say very much indeed, so that one line is not enough.
        mode: ``"fast"`` or ``"exact"``.

    Raises:
        ValueError: never.
    """

    beta: PositiveFloat
    mode: Literal["fast", "exact"] = "fast"
    inner: Part[Activation] = Part("linear")
    cut: float | None = None

    def forward(self, x, out): ...
    def backward(self, dy, x, y, out): ...

class Relu(Activation):
    def forward(self, x, out): ...
    def backward(self, dy, x, y, out): ...

@click.command("greet")
def greet():
    """Say hello to the world.

    At length."""

@hookimpl
def microframe_components():
    return [Swish, Relu]

@hookimpl
def microframe_commands():
    return [greet]
'''
SHOWN = """\
activation swish.swish
  x sigmoid(beta x).

  With beta = 0 it is linear.

  Raises:
      ValueError: never.

  beta   a number greater than 0; required
         how steep it is where it bends, of which one may say very much indeed,
         so that one line is not enough.
  mode   one of 'fast', 'exact'; default "fast"
         `"fast"` or `"exact"`.
  inner  an activation (its name, or a table with its type); default "linear"
  cut    a number; optional

activation swish.relu

command greet
  Say hello to the world.
"""


@pytest.fixture
def info(microframe):
    """Gives what ``plugins info --json`` tells of a name."""

    def info(*words, **variables):
        result = microframe("plugins", "info", *words, "--json", **variables)
        assert result.code == 0, result.stderr
        return result.json

    return info


@pytest.fixture
def not_found(microframe):
    """Gives the reason why ``plugins info`` ends with 5."""

    def not_found(name, *words, **variables):
        result = microframe("plugins", "info", name, *words, **variables)
        assert (result.code, result.stdout) == (5, "")
        return result.stderr

    return not_found


def test_a_plugin_is_shown_with_all_that_it_provides(microframe, plugin_folder):
    result = microframe("plugins", "info", "swish", COLUMNS="80", **plugin_folder("swish", PLUGIN, version="2.1"))
    assert (result.code, result.stderr) == (0, "")
    head, _, rest = result.stdout.partition("\n\n")
    assert re.fullmatch(
        r"swish \(microframe-swish 2\.1\): ok, imported in [\d.]+ ms\n"
        r"the activation 'relu' is reachable only as 'swish\.relu': standard has it too",
        head,
    )
    assert rest == SHOWN


def test_the_same_is_had_as_json(info, plugin_folder):
    (plugin,) = info("swish", **plugin_folder("swish", PLUGIN, version="2.1"))
    assert plugin["name"] == "swish"
    assert plugin["distribution"] == "microframe-swish"
    assert (plugin["version"], plugin["state"], plugin["reason"], plugin["traceback"]) == ("2.1", "ok", None, None)
    assert plugin["load_milliseconds"] > 0
    assert plugin["commands"] == [{"name": "greet", "documentation": "Say hello to the world.\n\nAt length."}]
    swish, relu = plugin["components"]
    assert swish["kind"] == "activation"
    assert (swish["name"], swish["reference"], swish["class"]) == ("swish", "swish.swish", "microframe_swish.Swish")
    assert swish["documentation"].startswith("x sigmoid(beta x).\n\nWith beta = 0")
    assert "beta:" not in swish["documentation"]
    assert swish["fields"][1:] == [
        {
            "name": "mode",
            "type": "one of 'fast', 'exact'",
            "required": False,
            "default": "fast",
            "documentation": '`"fast"` or `"exact"`.',
        },
        {
            "name": "inner",
            "type": "an activation (its name, or a table with its type)",
            "required": False,
            "default": "linear",
            "documentation": "",
        },
        {"name": "cut", "type": "a number", "required": False, "default": None, "documentation": ""},
    ]
    assert (swish["fields"][0]["required"], swish["fields"][0]["default"]) == (True, None)
    assert (relu["documentation"], relu["fields"]) == ("", [])


@pytest.mark.parametrize("name", ["swish", "Swish", "microframe-swish", "microframe_swish"])
def test_a_plugin_is_found_by_its_name_and_by_its_distributions(info, plugin_folder, name):
    (plugin,) = info(name, **plugin_folder("swish", PLUGIN))
    assert [part["name"] for part in plugin["components"]] == ["swish", "relu"]


def test_a_file_is_found_by_its_name(info, tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    (plugin,) = info("mine", "--plugin", "mine.py")
    assert (plugin["module"], plugin["distribution"]) == ("mine.py", None)
    assert info("mine", MICROFRAME_PLUGIN="mine.py")[0]["components"] == plugin["components"]


def test_only_the_plugin_that_is_asked_for_is_imported(info, plugin_folder):
    plugin_folder("swish", PLUGIN)
    variables = plugin_folder("other", "raise SystemExit('imported')")
    for name in ("swish", "swish.swish", "dense", "standard"):
        assert info(name, **variables)


def test_the_standard_parts_are_shown_by_kind(info):
    (standard,) = info("standard")
    assert (standard["distribution"], standard["version"]) == ("microframe", __version__)
    kinds = [part["kind"] for part in standard["components"]]
    assert list(dict.fromkeys(kinds)) == list(KINDS)
    (layers,) = info("standard", "--kind", "layer")
    assert [part["name"] for part in layers["components"]] == registry.standard_names("layer")


@pytest.mark.parametrize(
    ("name", "references"),
    [
        ("dense", ["layer dense"]),
        ("standard.dense", ["layer dense"]),
        ("relu", ["activation relu"]),
        ("swish.relu", ["activation swish.relu"]),
        ("swish.swish", ["activation swish.swish"]),
        ("mean_squared_error", ["loss mean_squared_error", "metric mean_squared_error"]),
    ],
)
def test_a_part_is_shown_alone(info, plugin_folder, name, references):
    (plugin,) = info(name, **plugin_folder("swish", PLUGIN))
    assert [f"{part['kind']} {part['reference']}" for part in plugin["components"]] == references
    assert plugin["commands"] == []


def test_a_plain_name_finds_the_part_of_a_plugin(info, plugin_folder):
    (plugin,) = info("swish", **plugin_folder("another", PLUGIN))
    assert plugin["name"] == "another"
    assert [part["reference"] for part in plugin["components"]] == ["another.swish"]


def test_a_part_is_shown_with_inherited_fields(microframe):
    shown = microframe("plugins", "info", "nadam", COLUMNS="80").stdout
    assert "\n  learning_rate  a number greater than 0; default 0.001\n                 the step length" in shown
    assert "\n  clip_norm      a number greater than 0; optional\n" in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(("kind", "shown"), [("activation", 2), ("command", 0), ("layer", 0)])
def test_a_plugin_is_shown_in_part(microframe, info, plugin_folder, kind, shown):
    variables = plugin_folder("swish", PLUGIN)
    (plugin,) = info("swish", "--kind", kind, **variables)
    assert len(plugin["components"]) == shown
    assert len(plugin["commands"]) == (kind == "command")
    text = microframe("plugins", "info", "swish", "--kind", kind, **variables).stdout
    assert ("It provides nothing of that kind." in text) == (kind == "layer")


def test_an_unknown_kind_is_a_usage_error(refused):
    message = refused(2, "plugins", "info", "standard", "--kind", "layr")
    assert "--kind: expected one of 'layer', " in message
    assert "received 'layr' (did you mean 'layer'?)" in message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("swihs", "swish"),
        ("microframe-swihs", "microframe-swish"),
        ("denes", "dense"),
        ("swish.swihs", "swish.swish"),
        ("swihs.swish", "swish.swish"),
        ("standrad", "standard"),
    ],
)
def test_an_unknown_name_gets_the_nearest(not_found, plugin_folder, name, nearest):
    message = not_found(name, **plugin_folder("swish", PLUGIN))
    assert message == f"error: no plugin, distribution or part is called {name!r} (did you mean {nearest!r}?)\n"


def test_an_unknown_name_tells_of_the_plugins_that_may_have_it(not_found, plugin_folder):
    plugin_folder("broken", "raise RuntimeError('no luck')")
    message = not_found("qqq", "--without", "swish", **plugin_folder("swish", PLUGIN))
    *_, last = message.splitlines()
    assert last.startswith(
        "error: no plugin, distribution or part is called 'qqq'; a plugin that is left out may provide"
    )
    assert "'broken' (RuntimeError: no luck)" in last
    assert "'swish' (on request)" in last


def test_a_broken_plugin_is_shown_with_its_traceback(microframe, plugin_folder):
    variables = plugin_folder("broken", "def fail():\n    raise RuntimeError('no luck')\nfail()\n")
    result = microframe("plugins", "info", "broken", **variables)
    assert result.code == 5
    assert result.stdout.startswith("broken (microframe-broken 1.0): broken, imported in ")
    assert "\nRuntimeError: no luck\n\n  Traceback (most recent call last):\n" in result.stdout
    assert 'microframe_broken.py", line 2, in fail' in result.stdout
    result = microframe("plugins", "info", "broken", "--json", **variables)
    assert result.code == 5
    (plugin,) = result.json
    assert (plugin["state"], plugin["reason"]) == ("broken", "RuntimeError: no luck")
    assert plugin["traceback"].startswith("Traceback")
    assert plugin["components"] == []


@pytest.mark.parametrize("name", ["swish", "microframe-swish", "swish.swish"])
def test_a_plugin_that_is_left_out_is_not_shown_and_not_imported(not_found, plugin_folder, name):
    variables = plugin_folder("swish", "raise SystemExit('imported')")
    asked = name.partition(".")[0]
    assert not_found(name, "--without", "swish", **variables) == f"error: the plugin {asked!r} is left out on request\n"


@pytest.mark.parametrize("name", ["same", "dist-one", "same.swish"])
def test_a_name_that_two_distributions_claim_names_both(not_found, plugin_folder, name):
    plugin_folder("same", "raise SystemExit('imported')", distribution="dist-one")
    variables = plugin_folder("same", "raise SystemExit('imported')", distribution="dist-two", version="2.0")
    message = not_found(name, **variables)
    assert message.startswith(
        "error: the plugin name 'same' is claimed by dist-one 1.0 and dist-two 2.0: leave one out"
    )


def test_a_part_that_two_plugins_offer_names_both(not_found, plugin_folder):
    plugin_folder("one", PLUGIN)
    message = not_found("swish", **plugin_folder("two", PLUGIN))
    assert "is offered by one (microframe-one 1.0) as 'one.swish' and two (microframe-two 1.0) as" in message


def test_a_distribution_with_several_plugins_is_shown_with_all(info, plugin_folder, tmp_path):
    variables = plugin_folder("one", PLUGIN, distribution="both")
    points = tmp_path / "installed" / "both-1.0.dist-info" / "entry_points.txt"
    points.write_text("[microframe]\none = both\ntwo = other\n")
    (tmp_path / "installed" / "other.py").write_text(textwrap.dedent(PLUGIN))
    assert [plugin["name"] for plugin in info("both", **variables)] == ["one", "two"]
