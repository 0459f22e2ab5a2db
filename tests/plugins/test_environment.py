"""The environment variables that say which plugins take part."""

from __future__ import annotations

from pathlib import Path

import pytest

from microframe.discovery import Discovery
from microframe.errors import PluginError, UsageError
from microframe.registry import Registry


@pytest.fixture
def install_swish(install, swish, marker):
    """Installs the plugin ``swish`` of the distribution microframe-swish; gives what is there once it is imported."""
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    return site / "swish_module.imported"


def test_a_named_file_is_a_plugin_that_is_imported_when_it_is_needed(monkeypatch, write_plugin, swish, marker):
    path = write_plugin("my_swish.py", marker + swish())
    monkeypatch.setenv("MICROFRAME_PLUGIN", path)
    registry = Registry()
    assert registry.plugins.available()["my_swish"].module == path
    assert registry.plugins.added() == ["my_swish"]
    assert "my_swish" in registry.plugins.names()
    registry.get("activation", "relu")
    imported = Path(path).with_suffix(".imported")
    assert not imported.exists()
    assert registry.reference(registry.get("activation", "swish")) == "my_swish.swish"
    assert imported.exists()


def test_several_are_named_with_commas_between(monkeypatch, tmp_path, write_plugin, swish):
    file = write_plugin("mish.py", swish("Mish"))
    write_plugin("package_of_a_test/__init__.py", "")
    write_plugin("package_of_a_test/parts.py", swish())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MICROFRAME_PLUGIN", f" {file} ,, package_of_a_test.parts,{file},")
    registry = Registry()
    assert registry.plugins.added() == ["mish", "parts"]
    assert registry.get("activation", "mish.mish").type == "mish"
    assert registry.get("activation", "parts.swish").type == "swish"


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("missing.py", "'missing', which is broken: there is no file missing.py"),
        ("missing", "'missing', which is broken: ModuleNotFoundError: No module named 'missing'"),
        ("a/missing", "received 'a/missing'"),
    ],
)
def test_one_that_is_broken_is_left_out_like_an_installed_one(monkeypatch, capsys, named, reason):
    monkeypatch.setenv("MICROFRAME_PLUGIN", named)
    registry = Registry()
    registry.get("activation", "relu")
    assert capsys.readouterr().err == ""
    plugin = registry.plugins.added()[0]
    with pytest.raises(PluginError) as error:
        registry.get("activation", f"{plugin}.swish")
    assert reason in str(error.value)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"microframe: plugin {plugin} ({named}) is left out: ")


def test_a_named_one_stands_before_an_installed_one_and_an_added_one_before_both(
    monkeypatch, install_swish, write_plugin, swish
):
    named, added = write_plugin("a/swish.py", swish()), write_plugin("b/swish.py", swish())
    monkeypatch.setenv("MICROFRAME_PLUGIN", named)
    assert Registry().plugins.available()["swish"].module == named
    registry = Registry()
    registry.plugins.add(added)
    assert registry.plugins.available()["swish"].module == added
    assert registry.plugins.clashing().keys() & {"swish"} == set()
    assert not install_swish.exists()


def test_two_of_one_name_clash(monkeypatch, write_plugin, swish):
    one, other = write_plugin("a/swish.py", swish()), write_plugin("b/swish.py", swish())
    monkeypatch.setenv("MICROFRAME_PLUGIN", f"{one},{other}")
    registry = Registry()
    assert "swish" not in registry.plugins.available()
    with pytest.raises(PluginError) as error:
        registry.get("activation", "swish.swish")
    assert str(error.value).endswith(f"the plugin name 'swish' is claimed by {one} and {other}: rename one")


def test_the_module_of_an_installed_plugin_is_that_plugin(monkeypatch, capsys, install_swish):
    monkeypatch.setenv("MICROFRAME_PLUGIN", "swish_module")
    registry = Registry()
    assert registry.plugins.added() == []
    assert registry.reference(registry.get("activation", "swish")) == "swish.swish"
    assert capsys.readouterr().err == ""


def test_the_file_of_an_installed_plugin_is_that_plugin(monkeypatch, install_swish):
    monkeypatch.setenv("MICROFRAME_PLUGIN", str(install_swish.with_suffix(".py")))
    registry = Registry()
    assert registry.plugins.added() == []
    assert not install_swish.exists()
    assert registry.reference(registry.get("activation", "swish")) == "swish.swish"


def test_the_names_to_leave_out_that_nobody_has_are_known(monkeypatch, install_swish):
    monkeypatch.setenv("MICROFRAME_WITHOUT", "swihs, Microframe.Swish,swish,Nobody")
    assert Discovery().unknown() == ["swihs", "Nobody"]
    monkeypatch.delenv("MICROFRAME_WITHOUT")
    assert Discovery().unknown() == []


@pytest.mark.parametrize("without", ["swish", "microframe-swish", "nobody, Swish ,", "other,MICROFRAME_SWISH"])
def test_plugins_are_left_out_and_unknown_names_ignored(monkeypatch, install_swish, problem_of, without):
    monkeypatch.setenv("MICROFRAME_WITHOUT", without)
    registry = Registry()
    assert "swish" not in registry.plugins.available()
    assert "swish" in registry.plugins.blocked()
    problem_of(registry, "swish")
    assert not install_swish.exists()


def test_one_that_is_named_can_be_left_out_too(monkeypatch, write_plugin, swish):
    monkeypatch.setenv("MICROFRAME_PLUGIN", write_plugin("my_swish.py", swish()))
    registry = Registry()
    registry.plugins.block("my-swish")
    assert registry.plugins.added() == []
    assert "my_swish" in registry.plugins.blocked()
    monkeypatch.setenv("MICROFRAME_WITHOUT", "my_swish")
    assert "my_swish" in Registry().plugins.blocked()


def test_an_installed_one_can_be_left_out_by_its_distribution_where_a_file_has_its_name(
    monkeypatch, install_swish, write_plugin, swish
):
    path = write_plugin("swish.py", swish())
    monkeypatch.setenv("MICROFRAME_PLUGIN", path)
    registry = Registry()
    registry.plugins.block("microframe-swish")
    assert registry.plugins.available()["swish"].module == path


@pytest.mark.parametrize("value", ["1", "true", "yes", "YES", " True "])
def test_all_installed_ones_are_left_out_but_not_those_that_are_named(
    monkeypatch, install_swish, write_plugin, swish, value
):
    path = write_plugin("my_swish.py", swish())
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", value)
    monkeypatch.setenv("MICROFRAME_PLUGIN", path)
    registry = Registry()
    assert list(registry.plugins.available()) == ["my_swish"]
    assert "swish" in registry.plugins.blocked()
    assert registry.reference(registry.get("activation", "swish")) == "my_swish.swish"
    assert not install_swish.exists()


@pytest.mark.parametrize("value", ["0", "false", "no", "No", "", " "])
def test_none_are_left_out_where_the_variable_says_no(monkeypatch, install_swish, value):
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", value)
    assert "swish" in Registry().plugins.available()


@pytest.mark.parametrize("value", ["2", "maybe", "off"])
def test_another_value_is_an_error_when_plugins_are_looked_for(monkeypatch, value):
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", value)
    registry = Registry()
    registry.get("activation", "relu")
    message = f"MICROFRAME_NO_PLUGINS: expected 1, true, yes, 0, false or no, received '{value}'"
    with pytest.raises(UsageError) as error:
        registry.find("activation", "swish", (), [])
    assert str(error.value) == message


def test_the_variables_are_read_once_and_at_first_use(monkeypatch, install_swish):
    discovery = Discovery()
    monkeypatch.setenv("MICROFRAME_WITHOUT", "swish")
    assert "swish" not in discovery.available()
    monkeypatch.delenv("MICROFRAME_WITHOUT")
    assert "swish" not in discovery.available()
    assert "swish" in Discovery().available()


PREDICT = """
    import sys
    import microframe

    try:
        print(microframe.load("model.h5").layers[0].activation)
    except microframe.MicroframeError as error:
        print(type(error).__name__, error)
"""
TRAIN = """
    import microframe
    from microframe.standard.layers import Dense

    microframe.Model([Dense(3, "swish")]).build((2,)).save("model.h5")
"""


def test_they_hold_in_python_as_at_the_command_line(
    tmp_path, monkeypatch, write_distribution, run_python, write_plugin, swish
):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    assert run_python(TRAIN, site=tmp_path).stderr == ""
    assert run_python(PREDICT, site=tmp_path).stdout == "Swish()\n"
    for name, value in [("MICROFRAME_NO_PLUGINS", "yes"), ("MICROFRAME_WITHOUT", "swish")]:
        with monkeypatch.context() as context:
            context.setenv(name, value)
            assert "needs the plugin 'swish'" in run_python(PREDICT, site=tmp_path).stdout
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", "1")
    monkeypatch.setenv("MICROFRAME_PLUGIN", write_plugin("mine.py", swish()))
    assert run_python(PREDICT, site=tmp_path).stdout == "Swish()\n"
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", "maybe")
    assert "MICROFRAME_NO_PLUGINS: expected 1, true" in run_python(PREDICT, site=tmp_path).stdout


def test_importing_microframe_reads_no_metadata_and_imports_no_plugin(
    tmp_path, monkeypatch, write_distribution, run_python, write_plugin, swish, marker
):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    monkeypatch.setenv("MICROFRAME_PLUGIN", write_plugin("mine.py", marker + swish()))
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", "0")
    code = """
        import sys
        import microframe
        print("numpy" in sys.modules, "importlib.metadata" in sys.modules)
        import microframe.registry
        print("importlib.metadata" in sys.modules and "microframe.standard" in sys.modules)
        print([name for name in microframe.registry.registry.plugins.names() if name in ("mine", "swish")])
    """
    result = run_python(code, site=tmp_path)
    assert (result.stdout, result.stderr) == ("False False\nFalse\n['mine', 'swish']\n", "")
    assert not list(tmp_path.glob("*.imported"))
