"""One name for two things: who is named, and how to tell them apart."""

from __future__ import annotations

import contextlib
import importlib

import pytest

from microframe.errors import ConfigError, PluginError
from microframe.registry import Registry

BOTH = (
    "the plugin name 'same' is claimed by dist-one 1.2 and dist-two 3.4: leave one out, with --without or "
    "MICROFRAME_WITHOUT and the name of its distribution"
)


@pytest.fixture
def install_clashing(install, swish, marker):
    """Installs two distributions with a plugin called ``same``; gives the folder of their modules."""
    install("dist-one", {"same": "one_module"}, {"one_module": marker + swish()}, "1.2")
    return install("dist-two", {"same": "two_module"}, {"two_module": marker + swish()}, "3.4")


def test_a_name_offered_twice_names_both_distributions_and_the_forms_that_pick_one(install, swish):
    install("dist-one", {"one": "one_module"}, {"one_module": swish()}, "1.2")
    install("dist-two", {"two": "two_module"}, {"two_module": swish()}, "3.4")
    registry = Registry()
    with pytest.raises(PluginError) as error:
        registry.get("activation", "swish")
    for words in ("one (dist-one 1.2) as 'one.swish'", "two (dist-two 3.4) as 'two.swish'", "use one of these"):
        assert words in str(error.value)
    one, two = registry.get("activation", "one.swish"), registry.get("activation", "two.swish")
    assert (one.__module__, two.__module__) == ("one_module", "two_module")
    assert registry.reference(two) == "two.swish"


def test_a_plugin_cannot_shadow_a_standard_name_but_is_reached_by_its_qualified_one(install, swish):
    install("one", {"one": "one_module"}, {"one_module": swish("Relu")})
    registry = Registry()
    assert registry.get("activation", "relu").__module__ == "microframe.standard.activations"
    assert registry.get("activation", "one.relu").__module__ == "one_module"
    assert registry.get("activation", "relu").__module__ == "microframe.standard.activations"


@pytest.mark.parametrize("name", ["standard", "local"])
def test_no_plugin_may_take_the_name_of_the_standard_or_the_local_parts(install, capsys, name, swish):
    install("one", {name: "one_module"}, {"one_module": swish()})
    registry = Registry()
    with contextlib.suppress(PluginError):
        assert registry.find("activation", f"{name}.swish", (), []) is None
    assert "swish" not in " ".join(registry.names("activation"))
    assert registry.plugins.components(name) == []
    assert f"no plugin may be called {name!r}" in capsys.readouterr().err


def test_two_distributions_with_one_plugin_name_are_both_named_and_neither_is_imported(install_clashing):
    registry = Registry()
    assert "same" not in registry.plugins.available()
    assert registry.plugins.names().count("same") == 1
    assert [offer.distribution for offer in registry.plugins.clashing()["same"]] == ["dist-one", "dist-two"]
    with pytest.raises(PluginError) as error:
        registry.get("activation", "same.swish")
    assert str(error.value) == f"the activation 'same.swish' needs the plugin 'same': {BOTH}"
    assert not list(install_clashing.glob("*.imported"))


def test_a_plain_name_that_could_come_from_a_clash_names_both_too(install_clashing, problem_of):
    told = problem_of(Registry(), "swish")
    assert "a plugin that is left out may provide it: 'same' (claimed by dist-one 1.2 and dist-two 3.4)" in told


def test_a_class_of_a_clashing_plugin_names_both_too(install_clashing):
    part = importlib.import_module("one_module").Swish
    with pytest.raises(ConfigError) as error:
        Registry().reference(part)
    assert "one_module.Swish is not registered" in str(error.value)
    assert str(error.value).endswith(f"; {BOTH}")


def test_leaving_one_of_two_out_settles_the_clash(install_clashing):
    registry = Registry()
    registry.plugins.block("dist-one")
    assert registry.get("activation", "same.swish").__module__ == "two_module"
    assert registry.get("activation", "swish").__module__ == "two_module"
    assert [path.name for path in install_clashing.glob("*.imported")] == ["two_module.imported"]
    assert [offer.distribution for offer in registry.plugins.blocked()["same"]] == ["dist-one"]
    assert "same" not in registry.plugins.clashing()


def test_leaving_both_out_by_the_name_they_share_lists_both(install_clashing):
    registry = Registry()
    registry.plugins.block("same")
    assert [offer.distribution for offer in registry.plugins.blocked()["same"]] == ["dist-one", "dist-two"]
    assert "same" not in {**registry.plugins.available(), **registry.plugins.clashing()}
