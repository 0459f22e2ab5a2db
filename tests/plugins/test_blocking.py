"""Plugins that are left out on request, before they are imported."""

from __future__ import annotations

import pytest

from microframe.errors import PluginError, UsageError
from microframe.plugins import Plugins
from microframe.registry import Registry


@pytest.fixture
def install_swish(install, swish, marker):
    """Installs the plugin ``swish`` of the distribution microframe-swish; gives what is there once it is imported."""
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    return site / "swish_module.imported"


@pytest.mark.parametrize("name", ["swish", "SWISH", "microframe-swish", "Microframe_Swish", "microframe.swish"])
def test_a_plugin_is_left_out_by_its_name_or_its_distributions(install_swish, name, problem_of):
    registry = Registry()
    registry.plugins.block(name)
    assert "swish" not in registry.plugins.available()
    assert "swish" in registry.plugins.blocked()
    assert "swish" in registry.plugins.names(), "it is still there"
    told = problem_of(registry, "swish")
    assert "a plugin that is left out may provide it" in told
    assert "'swish' (on request)" in told
    with pytest.raises(PluginError, match=r"'swish\.swish' needs the plugin 'swish', left out on request"):
        registry.get("activation", "swish.swish")
    assert not install_swish.exists()


def test_all_plugins_are_left_out_at_once_but_not_those_that_are_added(install_swish, write_plugin, swish, problem_of):
    registry = Registry()
    registry.plugins.block_all()
    assert registry.plugins.available() == {}
    assert registry.plugins.clashing() == {}
    assert "swish" in registry.plugins.blocked()
    problem_of(registry, "swish")
    registry.plugins.add(write_plugin("swish.py", swish()))
    assert registry.get("activation", "swish.swish") is registry.get("activation", "swish")
    assert not install_swish.exists()


def test_a_name_that_nobody_has_is_an_error_with_the_nearest_and_blocks_nothing(install_swish):
    plugins = Plugins()
    with pytest.raises(UsageError) as error:
        plugins.block("swish", "swihs")
    assert str(error.value).startswith(
        "no plugin or distribution is called 'swihs' (did you mean 'swish'?); there are "
    )
    assert "'microframe-swish'" in str(error.value)
    with pytest.raises(UsageError, match=r"'microframe-swihs' \(did you mean 'microframe-swish'\?\)"):
        plugins.block("microframe-swihs")
    assert plugins.blocked() == {}
    assert not install_swish.exists()


def test_the_standard_parts_cannot_be_left_out():
    with pytest.raises(UsageError, match="no plugin or distribution is called 'standard'"):
        Plugins().block("standard")


def test_leaving_out_nothing_is_no_error():
    Plugins().block()


def test_where_there_are_no_plugins_that_is_said(monkeypatch):
    monkeypatch.setattr("microframe.discovery.ENTRY_POINT_GROUP", "a_group_that_nobody_uses")
    with pytest.raises(UsageError, match=r"^no plugin or distribution is called 'swish'; there are none$"):
        Plugins().block("swish")
