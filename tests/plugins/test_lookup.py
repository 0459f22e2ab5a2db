"""Which plugins are imported for a name, and which class a name leads to."""

from __future__ import annotations

import importlib
import threading
import time

import pytest

from microframe.errors import ConfigError, PluginError
from microframe.plugins import Plugins, Provider
from microframe.registry import Registry


def test_an_installed_plugin_is_known_from_its_metadata(install, swish, marker):
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()}, "2.1")
    plugins = Plugins()
    assert plugins.available()["swish"] == Provider("swish", "swish_module", "microframe-swish", "2.1")
    assert str(plugins.available()["swish"]) == "swish (microframe-swish 2.1)"
    assert "swish" in plugins.names()
    assert "swish" not in {**plugins.blocked(), **plugins.clashing()}
    assert plugins.added() == []
    assert not (site / "swish_module.imported").exists()


def test_standard_names_are_found_without_importing_a_plugin(install, swish, marker):
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    registry = Registry()
    for kind, name in [("activation", "relu"), ("layer", "dense"), ("optimizer", "adam"), ("source", "digits")]:
        registry.get(kind, name)
        registry.standard_names(kind)
    registry.get("activation", "standard.tanh")
    assert not (site / "swish_module.imported").exists()
    registry.get("activation", "swish")
    assert (site / "swish_module.imported").exists()


def test_a_qualified_name_imports_its_plugin_alone(install, swish, marker):
    site = install("one", {"one": "one_module"}, {"one_module": marker + swish()})
    install("two", {"two": "two_module"}, {"two_module": marker + swish("Mish")})
    Registry().get("activation", "one.swish")
    assert (site / "one_module.imported").exists()
    assert not (site / "two_module.imported").exists()


def test_a_plugin_serves_by_its_plain_and_its_qualified_name(install, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    registry = Registry()
    part = registry.get("activation", "swish")
    assert registry.get("activation", "swish.swish") is part
    assert registry.reference(part) == "swish.swish"
    assert registry.provider(part).distribution == "microframe-swish"
    assert "swish.swish" in registry.names("activation")


def test_a_plugin_may_have_a_dotted_name_and_its_entry_point_an_object(install, swish):
    install("one", {"my.group": "one_module:anything"}, {"one_module": swish()})
    assert Registry().get("activation", "my.group.swish").type == "swish"


def test_a_class_imported_before_its_plugin_was_asked_for_is_known_too(install, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    part = importlib.import_module("swish_module").Swish
    assert Registry().reference(part) == "swish.swish"


def test_a_misspelt_name_gets_the_nearest_one_of_all_plugins(install, swish, problem_of):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    assert problem_of(Registry(), "swich").endswith("received 'swich' (did you mean 'swish.swish'?)")
    assert problem_of(Registry(), "swish.swich").endswith("(did you mean 'swish.swish'?)")
    with pytest.raises(PluginError, match=r"'swihs\.swish' needs the plugin 'swihs', not installed.*mean 'swish'"):
        Registry().get("activation", "swihs.swish")


def test_an_unknown_name_is_a_problem_of_the_configuration(install, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    with pytest.raises(ConfigError, match=r"a known activation: .*received 'swosh' \(did you mean 'swish\.swish'\?\)"):
        Registry().get("activation", "swosh")


ASKING = """
    microframe.Activation.from_value('a_name_that_nobody_has', (), [])

    import click

    @microframe.hookimpl
    def microframe_commands():
        return [click.Command("ask")]
"""


@pytest.mark.parametrize("first", ["components", "commands"])
def test_a_plugin_may_ask_for_other_parts_while_it_is_imported(install, monkeypatch, capsys, swish, first):
    install("asking", {"asking": "asking_module"}, {"asking_module": swish() + ASKING})
    registry = Registry()
    monkeypatch.setattr("microframe.registry.registry", registry)
    getattr(registry.plugins, first)("asking")
    assert registry.get("activation", "swish").type == "swish"
    assert [command.name for command in registry.plugins.commands("asking")] == ["ask"]
    assert capsys.readouterr().err == ""


SLEEP = """
    import time
    time.sleep(0.02)
"""


def test_threads_that_ask_at_once_get_the_same_class(install, monkeypatch, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": SLEEP + swish()})
    registry, found, barrier = Registry(), [], threading.Barrier(8)
    load_standard, loads = registry.plugins.load_standard, []

    def load_slowly(kind: str) -> object:
        loads.append(kind)
        time.sleep(0.02)
        return load_standard(kind)

    monkeypatch.setattr(registry.plugins, "load_standard", load_slowly)

    def ask() -> None:
        barrier.wait()
        found.append((registry.get("activation", "relu"), registry.get("activation", "swish")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert loads == ["activation"]


def test_the_time_that_an_import_took_is_known_of_what_was_imported(install, swish):
    modules = {"slow_module": SLEEP + swish(), "broken_module": SLEEP + "    1 / 0", "idle_module": swish()}
    install("all", {name.removesuffix("_module"): name for name in modules}, modules)
    plugins = Plugins()
    plugins.load("slow")
    plugins.load("broken")
    assert plugins.seconds("slow") >= 0.02
    assert plugins.seconds("broken") >= 0.02, "also where it failed"
    assert plugins.seconds("idle") is None
    assert plugins.seconds("standard") is None
    plugins.load_standard("activation")
    assert plugins.seconds("standard") > 0
