from __future__ import annotations

import contextlib
import importlib
import os
import sys
import textwrap

import pytest

from microframe.errors import ConfigError, PluginError
from microframe.plugins import Plugins, Provider
from microframe.registry import Registry

HOOK = """
    import microframe

    @microframe.hookimpl
    def microframe_components():
        return {}
"""


@pytest.fixture
def install(tmp_path, monkeypatch, write_distribution):
    """A function that installs a distribution for the test."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    installed: list[str] = []

    def install(distribution, entry_points, modules, version="1.0"):
        write_distribution(site, distribution, entry_points, modules, version)
        installed.extend(modules)
        importlib.invalidate_caches()
        return site

    yield install
    for name in installed:
        sys.modules.pop(name, None)


def received(registry, name, kind="activation"):
    problems = []
    assert registry.find(kind, name, (), problems) is None
    return str(problems[0])


def test_an_installed_plugin_is_known_from_its_metadata(install, swish, marker):
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()}, "2.1")
    plugins = Plugins()
    assert plugins.available()["swish"] == Provider("swish", "swish_module", "microframe-swish", "2.1")
    assert str(plugins.available()["swish"]) == "swish (microframe-swish 2.1)"
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


def test_a_misspelt_name_gets_the_nearest_one_of_all_plugins(install, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    assert received(Registry(), "swich").endswith("received 'swich' (did you mean 'swish.swish'?)")
    assert received(Registry(), "swish.swich").endswith("(did you mean 'swish.swish'?)")
    with pytest.raises(PluginError, match=r"'swihs\.swish' needs the plugin 'swihs', not installed.*mean 'swish'"):
        Registry().get("activation", "swihs.swish")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("def", "SyntaxError: invalid syntax"),
        ("x = 1", "it implements no hook; is @microframe.hookimpl missing?"),
        ("def microframe_components(): return []", "it implements no hook; is @microframe.hookimpl missing?"),
        (
            HOOK.format("[]").replace("microframe_components", "microframe_component"),
            "there is no hook 'microframe_component' (did you mean 'microframe_components'?); "
            "the hooks are microframe_components, microframe_commands",
        ),
        (HOOK.format("[]").replace("components()", "components(extra)"), "Argument(s) {'extra'} are declared"),
        (HOOK.format("1 / 0"), "ZeroDivisionError: division by zero"),
        (HOOK.format("None"), "TypeError: 'NoneType' object is not iterable"),
        (HOOK.format("['swish']"), "derived from an interface such as microframe.Layer, received 'swish'"),
        (HOOK.format("[int]"), "must give classes derived from an interface"),
        (HOOK.format("[microframe.Component]"), "must give classes derived from an interface"),
        (HOOK.format("[microframe.Layer]"), "Layer lacks what every layer must have: backward, build, forward"),
        (lambda swish: swish.replace("[Swish]", "[Swish()]"), "must give classes derived from an interface"),
        (
            lambda swish: swish.replace("def backward", "def bakcward"),
            "Swish lacks what every activation must have: backward",
        ),
        (
            lambda swish: swish.replace("needs_input = True", "type = 'sw.ish'"),
            "the type of Swish, 'sw.ish', is not a plain word",
        ),
        (lambda swish: swish.replace("needs_input = True", "type: str = 'swish'"), "Swish.type is no field"),
        (
            lambda swish: (
                "from __future__ import annotations\n"
                + textwrap.dedent(swish).replace("beta: float", "beta: Missing")
            ),
            "the fields of Swish cannot be configured: broken_module.Swish: the annotations of a component's fields",
        ),
        (
            lambda swish: swish.replace("beta: float = 1.0", "beta: np.ndarray"),
            "Swish.beta: it is annotated <class 'numpy.ndarray'>, which no configuration can hold",
        ),
        (
            lambda swish: swish.replace("[Swish]", "[Swish, type('Other', (Swish,), {'type': 'swish'})]"),
            "two of its classes are the activation 'swish'",
        ),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_left_out_with_the_reason(install, capsys, source, reason, swish):
    source = source if isinstance(source, str) else source(swish())
    install("broken", {"broken": "broken_module"}, {"broken_module": source})
    install("whole", {"whole": "whole_module"}, {"whole_module": swish("Mish")})
    registry = Registry()
    assert registry.get("activation", "mish").type == "mish", "the others serve"
    assert reason in registry.plugins.broken["broken"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("microframe: plugin broken (broken 1.0) is left out: ")
    assert reason in line
    assert f"a plugin that is left out may provide it: 'broken' ({line.partition('out: ')[2]})" in received(
        registry, "x"
    )
    with pytest.raises(PluginError) as error:
        registry.get("activation", "broken.swish")
    assert str(error.value).startswith("the activation 'broken.swish' needs the plugin 'broken', which is broken: ")
    assert reason in str(error.value)
    assert not capsys.readouterr().err, "it is said once"


def test_a_plugin_is_imported_once_also_when_it_is_broken(install):
    counting = "import builtins\nbuiltins.count = getattr(builtins, 'count', 0) + 1\nraise RuntimeError"
    install("broken", {"broken": "broken_module"}, {"broken_module": counting})
    import builtins

    try:
        registry = Registry()
        received(registry, "swish")
        received(registry, "mish")
        assert builtins.count == 1
    finally:
        del builtins.count


def test_an_interrupt_during_an_import_is_no_defect_of_the_plugin(install, swish):
    site = install("slow", {"slow": "slow_module"}, {"slow_module": "raise KeyboardInterrupt"})
    registry = Registry()
    with pytest.raises(KeyboardInterrupt):
        registry.get("activation", "swish")
    (site / "slow_module.py").write_text(textwrap.dedent(swish()))
    os.utime(site / "slow_module.py", (1, 1))  # so that no bytecode of the same second is taken for it
    assert registry.get("activation", "swish").type == "swish"


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


def test_two_distributions_with_one_plugin_name_are_an_error_until_one_is_left_out(install, swish):
    install("dist-one", {"same": "one_module"}, {"one_module": swish()})
    install("dist-two", {"same": "two_module"}, {"two_module": swish()})
    registry = Registry()
    assert "same" not in registry.plugins.available()
    assert {offer.distribution for offer in registry.plugins.clashing()["same"]} == {"dist-one", "dist-two"}
    with pytest.raises(PluginError, match=r"two distributions provide a plugin called 'same': .*dist-.* and .*dist-"):
        registry.get("activation", "same.swish")
    assert "'same' (two distributions provide it)" in received(registry, "swish")
    registry = Registry()
    registry.plugins.block("dist-one")
    assert registry.get("activation", "same.swish").__module__ == "two_module"
    assert registry.get("activation", "swish").__module__ == "two_module"


def test_one_distribution_may_name_two_plugins_and_one_module_is_one_plugin(install, capsys, swish):
    modules = {"one_module": swish(), "two_module": swish("Mish")}
    install("both", {"a": "one_module", "b": "one_module", "c": "two_module"}, modules)
    registry = Registry()
    assert registry.get("activation", "swish").type == "swish"
    assert registry.get("activation", "c.mish").type == "mish"
    assert "its module is already the plugin 'a'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["swish", "SWISH", "microframe-swish", "Microframe_Swish", "microframe.swish"])
def test_a_plugin_is_left_out_by_its_name_or_its_distributions_before_it_is_imported(install, name, swish, marker):
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    registry = Registry()
    registry.plugins.block("something-else", name)
    assert "swish" not in registry.plugins.available()
    assert "swish" in registry.plugins.blocked()
    received(registry, "swish")
    with pytest.raises(PluginError, match=r"'swish\.swish' needs the plugin 'swish', left out on request"):
        registry.get("activation", "swish.swish")
    assert not (site / "swish_module.imported").exists()


def test_all_plugins_are_left_out_at_once_but_not_those_that_are_added(install, tmp_path, swish, marker):
    site = install("microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    registry = Registry()
    registry.plugins.block_all()
    assert registry.plugins.available() == {}
    assert registry.plugins.clashing() == {}
    assert "swish" in registry.plugins.blocked()
    received(registry, "swish")
    (tmp_path / "swish.py").write_text(textwrap.dedent(swish()))
    registry.plugins.add(str(tmp_path / "swish.py"))
    assert registry.get("activation", "swish.swish") is registry.get("activation", "swish")
    assert not (site / "swish_module.imported").exists()


def test_a_file_is_added_as_a_plugin(tmp_path, swish):
    (tmp_path / "my_swish.py").write_text(textwrap.dedent(swish()))
    registry = Registry()
    path = str(tmp_path / "my_swish.py")
    assert registry.plugins.add(path) == Provider("my_swish", path)
    assert registry.plugins.add(path) == Provider("my_swish", path), "a second time changes nothing"
    part = registry.get("activation", "swish")
    assert registry.reference(part) == "my_swish.swish"
    assert str(registry.provider(part)) == f"my_swish ({path})"
    assert part(beta=2).beta == 2.0


def test_a_module_is_added_as_a_plugin(tmp_path, monkeypatch, swish):
    (tmp_path / "package_of_a_test").mkdir()
    (tmp_path / "package_of_a_test" / "__init__.py").touch()
    (tmp_path / "package_of_a_test" / "parts.py").write_text(textwrap.dedent(swish()))
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry()
    registry.plugins.add("package_of_a_test.parts")
    assert registry.get("activation", "parts.swish").__module__ == "package_of_a_test.parts"


def test_what_is_added_stands_before_what_is_installed(install, tmp_path, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    (tmp_path / "swish.py").write_text(textwrap.dedent(swish()))
    registry = Registry()
    registry.plugins.add(str(tmp_path / "swish.py"))
    assert registry.get("activation", "swish").__module__ == "microframe_plugin_file.swish"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.py", "No such file or directory"),
        ("a_module_that_is_not_there", "No module named 'a_module_that_is_not_there'"),
        ("", "ValueError"),
        (".relative", "TypeError"),
    ],
)
def test_what_cannot_be_added_is_an_error(capsys, name, reason):
    with pytest.raises(PluginError, match=reason):
        Plugins().add(name)


def test_a_file_that_is_no_plugin_cannot_be_added_and_leaves_no_module_behind(tmp_path, capsys):
    (tmp_path / "broken.py").write_text("raise RuntimeError('no luck')")
    with pytest.raises(PluginError, match=r"broken\.py: RuntimeError: no luck"):
        Plugins().add(str(tmp_path / "broken.py"))
    assert "microframe_plugin_file.broken" not in sys.modules


def test_two_files_of_one_name_cannot_both_be_added(tmp_path, swish):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "swish.py").write_text(textwrap.dedent(swish()))
    plugins = Plugins()
    plugins.add(str(tmp_path / "a" / "swish.py"))
    with pytest.raises(PluginError, match=r"two plugins are called 'swish': .*a.swish\.py and .*b.swish\.py"):
        plugins.add(str(tmp_path / "b" / "swish.py"))


COMMANDS = """
    import click
    import microframe

    @click.command("greet")
    def greet():
        click.echo("hello")

    @microframe.hookimpl
    def microframe_commands():
        return {}
"""


def test_a_plugin_may_give_commands_and_no_components(install):
    install("greeter", {"greeter": "greeter_module"}, {"greeter_module": COMMANDS.format("[greet]")})
    plugins = Plugins()
    assert [command.name for command in plugins.commands("greeter")] == ["greet"]
    assert plugins.components("greeter") == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [("1 / 0", "ZeroDivisionError"), ("['greet']", "must give click commands, received 'greet'")],
)
def test_a_plugin_whose_commands_fail_is_left_out(install, capsys, given, reason):
    install("greeter", {"greeter": "greeter_module"}, {"greeter_module": COMMANDS.format(given)})
    plugins = Plugins()
    assert plugins.commands("greeter") == []
    assert plugins.commands("greeter") == []
    assert reason in plugins.broken["greeter"]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_plugin_may_ask_for_other_parts_while_it_is_imported(install, monkeypatch, swish):
    asking = textwrap.dedent(swish()) + "microframe.Activation.from_value('a_name_that_nobody_has', (), [])\n"
    install("asking", {"asking": "asking_module"}, {"asking_module": asking})
    registry = Registry()
    monkeypatch.setattr("microframe.registry.registry", registry)
    assert registry.get("activation", "swish").type == "swish"
    assert not registry.plugins.broken


def test_an_unknown_name_is_a_problem_of_the_configuration(install, swish):
    install("microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    with pytest.raises(ConfigError, match=r"'swish\.swish'.*received 'swosh' \(did you mean 'swish\.swish'\?\)"):
        Registry().get("activation", "swosh")
