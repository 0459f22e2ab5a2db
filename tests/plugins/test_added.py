"""Plugins that aren't installed: files and modules."""

from __future__ import annotations

import os
import sys

import pytest

from microframe.errors import PluginError
from microframe.plugins import Plugins, Provider
from microframe.registry import Registry


def test_a_file_is_added_as_a_plugin(write_plugin, swish):
    path = write_plugin("my_swish.py", swish())
    registry = Registry()
    assert registry.plugins.add(path) == Provider("my_swish", path)
    assert registry.plugins.add(path) == Provider("my_swish", path), "a second time changes nothing"
    assert registry.plugins.added() == ["my_swish"]
    assert "my_swish" in registry.plugins.names()
    part = registry.get("activation", "swish")
    assert registry.reference(part) == "my_swish.swish"
    assert str(registry.provider(part)) == f"my_swish ({path})"
    assert part(beta=2).beta == 2.0


def test_a_class_of_a_file_is_known_before_anybody_asks_for_it_by_name(write_plugin, swish):
    registry = Registry()
    registry.plugins.add(write_plugin("my_swish.py", swish()))
    (part,) = registry.plugins.components("my_swish")
    assert registry.reference(part) == "my_swish.swish"


def test_a_module_is_added_as_a_plugin(tmp_path, monkeypatch, write_plugin, swish):
    write_plugin("package_of_a_test/__init__.py", "")
    write_plugin("package_of_a_test/parts.py", swish())
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry()
    registry.plugins.add("package_of_a_test.parts")
    assert registry.get("activation", "parts.swish").__module__ == "package_of_a_test.parts"


def test_what_is_added_stands_before_what_is_installed(install, write_plugin, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    registry = Registry()
    registry.plugins.add(write_plugin("swish.py", swish()))
    assert registry.get("activation", "swish").__module__ == "microframe_plugin_file.swish"


def test_what_is_loaded_already_is_not_replaced_in_silence(install, write_plugin, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    registry = Registry()
    registry.get("activation", "swish.swish")
    path = write_plugin("swish.py", swish())
    with pytest.raises(PluginError, match=r"two plugins are called 'swish': swish_module and .*swish\.py"):
        registry.plugins.add(path)


def test_the_module_of_an_installed_plugin_is_that_plugin(install, capsys, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    registry = Registry()
    assert registry.plugins.add("swish_module") == Provider("swish", "swish_module", "microframe-swish", "1.0")
    assert registry.plugins.added() == []
    assert registry.reference(registry.get("activation", "swish")) == "swish.swish"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("folder", [".", ""])
def test_the_file_of_an_installed_plugin_is_that_plugin(install, capsys, monkeypatch, swish, folder):
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    monkeypatch.chdir(site)
    registry = Registry()
    installed = Provider("swish", "swish_module", "microframe-swish", "1.0")
    assert registry.plugins.add(os.path.join(folder, "swish_module.py")) == installed
    assert registry.plugins.add(str(site / "swish_module.py")) == installed
    assert registry.plugins.added() == []
    assert registry.names("activation").count("swish.swish") == 1
    assert registry.get("activation", "swish").__module__ == "swish_module"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("module", ["package_of_no_import", "package_of_no_import.parts"])
def test_the_file_of_an_installed_package_is_its_plugin_and_asking_imports_nothing(
    install, write_plugin, swish, marker, module
):
    site = install("microframe-swish", {"swish": module}, {})
    write_plugin(
        "site/package_of_no_import/__init__.py", marker + (swish() if module == "package_of_no_import" else "")
    )
    write_plugin("site/package_of_no_import/parts.py", swish())
    file = "parts.py" if module.endswith("parts") else "__init__.py"
    (provider,) = Plugins().offers()["swish"]
    assert provider.consists_of(str(site / "package_of_no_import" / file))
    assert not provider.consists_of(str(site / "package_of_no_import" / "other.py"))
    assert not list(site.rglob("*.imported"))


@pytest.mark.parametrize("module", ["nowhere.at.all", "a.b", "sys", "", ".", "__main__"])
def test_a_module_that_has_no_file_is_no_file(module):
    assert not Provider("swish", module, "microframe-swish", "1.0").consists_of("swish.py")


def test_another_copy_of_an_installed_plugin_is_one_of_its_own(install, write_plugin, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    registry = Registry()
    path = write_plugin("swish_module.py", swish())
    copy = registry.plugins.add(path)
    assert copy == Provider("swish_module", path)
    assert {"swish.swish", "swish_module.swish"} <= set(registry.names("activation"))
    with registry.plugins.hiding_copies_of(copy):
        assert "swish.swish" not in registry.names("activation")
        assert registry.reference(registry.get("activation", "swish")) == "swish_module.swish"
    with registry.plugins.hiding_copies_of(registry.plugins.available()["swish"]):
        assert registry.reference(registry.get("activation", "swish")) == "swish.swish"
    with pytest.raises(
        PluginError, match=r"is offered by swish .* as 'swish\.swish' and swish_module .*swish_module\.py"
    ):
        registry.get("activation", "swish")


def test_a_file_that_was_added_is_the_same_by_any_path(write_plugin, swish, monkeypatch, tmp_path):
    path = write_plugin("swish.py", swish())
    monkeypatch.chdir(tmp_path)
    plugins = Plugins()
    assert plugins.add(path) == plugins.add("swish.py") == plugins.add("./swish.py")


def test_a_file_takes_the_place_of_a_broken_plugin(install, capsys, write_plugin, swish, problem_of):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": "raise RuntimeError"})
    registry = Registry()
    problem_of(registry, "swish")
    registry.plugins.add(write_plugin("swish.py", swish()))
    assert registry.plugins.broken == {}
    assert registry.get("activation", "swish.swish").__module__ == "microframe_plugin_file.swish"


def test_a_file_takes_the_place_of_a_plugin_whose_commands_fail(install, capsys, write_plugin, swish):
    failing = "import microframe\n@microframe.hookimpl\ndef microframe_commands(): 1 / 0\n"
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": failing})
    registry = Registry()
    assert registry.plugins.commands("swish") == []
    assert "swish" in registry.plugins.broken
    registry.plugins.add(write_plugin("swish.py", swish()))
    assert registry.get("activation", "swish.swish").type == "swish"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.py", "plugin missing.py: there is no file missing.py"),
        ("a_module_that_is_not_there", "plugin a_module_that_is_not_there: ModuleNotFoundError: No module named"),
        ("", "expected a path ending in .py or the name of a module, received ''"),
        (".relative", "expected a path ending in .py or the name of a module, received '.relative'"),
        ("folder/module", "expected a path ending in .py or the name of a module, received 'folder/module'"),
    ],
)
def test_what_cannot_be_added_is_an_error_and_not_a_line_besides(capsys, name, reason):
    plugins = Plugins()
    with pytest.raises(PluginError) as error:
        plugins.add(name)
    assert reason in str(error.value)
    assert capsys.readouterr().err == ""
    assert plugins.broken == {}
    assert plugins.added() == []


def test_a_misspelt_file_gets_the_nearest(write_plugin, swish):
    path = write_plugin("swish.py", swish())
    with pytest.raises(PluginError, match=r"there is no file .*swihs\.py \(did you mean 'swish\.py'\?\)"):
        Plugins().add(path.replace("swish.py", "swihs.py"))


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(PluginError, match="there is no file"):
        Plugins().add(str(tmp_path / "folder.py"))


def test_a_file_that_is_called_like_a_module_gets_its_ending(tmp_path, monkeypatch, write_plugin, swish):
    write_plugin("my_swish.py", swish())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with pytest.raises(PluginError, match=r"No module named 'my_swish' \(did you mean 'my_swish\.py'\?\)$"):
        Plugins().add("my_swish")


def test_a_file_that_is_no_plugin_cannot_be_added_and_leaves_no_module_behind(write_plugin):
    with pytest.raises(PluginError, match=r"broken\.py: RuntimeError: no luck"):
        Plugins().add(write_plugin("broken.py", "raise RuntimeError('no luck')"))
    assert "microframe_plugin_file.broken" not in sys.modules


def test_a_file_that_was_mended_can_be_added(write_plugin, swish):
    registry = Registry()
    path = write_plugin("swish.py", "raise RuntimeError('no luck')")
    with pytest.raises(PluginError, match="no luck"):
        registry.plugins.add(path)
    registry.plugins.add(write_plugin("swish.py", swish()))  # of another size: no stale bytecode
    assert registry.get("activation", "swish").type == "swish"


def test_two_files_of_one_name_cannot_both_be_added(write_plugin, swish):
    one, other = write_plugin("a/swish.py", swish()), write_plugin("b/swish.py", swish())
    plugins = Plugins()
    plugins.add(one)
    with pytest.raises(PluginError, match=r"two plugins are called 'swish': .*a.swish\.py and .*b.swish\.py"):
        plugins.add(other)
