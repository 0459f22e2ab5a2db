"""What happens to a plugin that is broken, and that it happens to it alone."""

from __future__ import annotations

import io
import os
import sys
import textwrap
import threading

import pytest

from microframe.errors import PluginError
from microframe.plugins import Plugins, stdout_to_stderr
from microframe.registry import Registry

SOURCES = {
    "raises": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "imports": (
        "import a_module_that_is_not_there",
        "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
    ),
    "is not Python": ("def", "SyntaxError: invalid syntax"),
    "is made for pytest": (
        "import pytest; pytest.skip('not here', allow_module_level=True)",
        "Skipped: not here",
    ),
    "ends a generator": ("raise GeneratorExit('no more')", "GeneratorExit: no more"),
    "has an error of its own": (
        "class Unusual(BaseException): pass\nraise Unusual('very')",
        "Unusual: very",
    ),
    "needs too much": ("raise MemoryError('too much')", "MemoryError: too much"),
}
RETURNED = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "(_ for _ in ()).throw(GeneratorExit('no more'))": "GeneratorExit: no more",
    "None": "expected a list from microframe_components() -> list[type[Component]], received None",
    "microframe.Layer": "expected a list from microframe_components() -> list[type[Component]], received <class",
    "'swish'": "expected a list from microframe_components() -> list[type[Component]], received 'swish'",
    "{'swish': microframe.Layer}": "expected a list from microframe_components() -> list[type[Component]], received {",
    "['swish']": "derived from an interface such as microframe.Layer, received 'swish'",
    "[int]": "must give classes derived from an interface",
    "[microframe.Component]": "must give classes derived from an interface",
    "[microframe.Layer]": "Layer lacks what every layer must have: backward, build, forward",
}
CHANGED = {
    "an instance": ("[Swish]", "[Swish()]", "must give classes derived from an interface"),
    "no backward": ("def backward", "def bakcward", "Swish lacks what every activation must have: backward"),
    "a dotted type": (
        "needs_input = True",
        "type = 'sw.ish'",
        "the type of Swish, 'sw.ish', is not a plain word",
    ),
    "a type that is a field": ("needs_input = True", "type: str = 'swish'", "Swish.type is no field"),
    "an unknown annotation": (
        "beta: float",
        "beta: 'Missing'",
        "the fields of Swish cannot be configured: broken_module.Swish: the annotations of a component's fields",
    ),
    "an array as a field": (
        "beta: float = 1.0",
        "beta: np.ndarray",
        "Swish.beta: it is annotated <class 'numpy.ndarray'>, which no configuration can hold",
    ),
    "one name twice": (
        "[Swish]",
        "[Swish, type('Other', (Swish,), {'type': 'swish'})]",
        "two of its classes are the activation 'swish'",
    ),
}


@pytest.fixture
def check_left_out(install, capsys, swish, problem_of):
    """Checks that a plugin of the given source is left out for the given reason, said once, and that others serve."""

    def check(source, reason):
        install("broken", {"broken": "broken_module"}, {"broken_module": source})
        install("whole", {"whole": "whole_module"}, {"whole_module": swish("Mish")})
        registry = Registry()
        assert registry.get("activation", "mish").type == "mish", "the others serve"
        assert reason in registry.plugins.broken["broken"]
        (line,) = capsys.readouterr().err.splitlines()
        assert line == f"microframe: plugin broken (broken 1.0) is left out: {registry.plugins.broken['broken']}"
        told = problem_of(registry, "x")
        assert f"a plugin that is left out may provide it: 'broken' ({registry.plugins.broken['broken']})" in told
        with pytest.raises(PluginError) as error:
            registry.get("activation", "broken.swish")
        assert str(error.value).startswith("the activation 'broken.swish' needs the plugin 'broken', which is broken: ")
        assert reason in str(error.value)
        assert not capsys.readouterr().err, "it is said once"

    return check


@pytest.mark.parametrize("case", SOURCES)
def test_a_plugin_that_cannot_be_imported_is_left_out(case, check_left_out):
    check_left_out(*SOURCES[case])


@pytest.mark.parametrize("returned", RETURNED)
def test_a_plugin_that_gives_no_list_of_components_is_left_out(returned, check_left_out, components_hook):
    check_left_out(components_hook(returned), RETURNED[returned])


@pytest.mark.parametrize("case", CHANGED)
def test_a_plugin_with_a_component_that_cannot_serve_is_left_out(case, check_left_out, swish):
    before, after, reason = CHANGED[case]
    assert before in swish()
    check_left_out(swish().replace(before, after), reason)


def test_a_reason_is_one_line_and_comes_with_the_traceback(install):
    install(
        "broken", {"broken": "broken_module"}, {"broken_module": "def fail():\n    raise OSError('a\\n b')\nfail()"}
    )
    plugins = Plugins()
    plugins.load("broken")
    failure = plugins.failures["broken"]
    assert failure.reason == plugins.broken["broken"] == "OSError: a b"
    assert failure.traceback.startswith("Traceback (most recent call last):\n")
    assert 'broken_module.py", line 2, in fail' in failure.traceback
    assert failure.traceback.endswith("OSError: a\n b\n")


def test_a_plugin_is_imported_once_also_when_it_is_broken(install, problem_of):
    counting = "import builtins\nbuiltins.count = getattr(builtins, 'count', 0) + 1\nraise RuntimeError"
    install("broken", {"broken": "broken_module"}, {"broken_module": counting})
    import builtins

    try:
        registry = Registry()
        problem_of(registry, "swish")
        problem_of(registry, "mish")
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


def test_a_file_that_ends_its_import_in_an_unusual_way_cannot_be_added(write_plugin):
    with pytest.raises(PluginError, match=r"unusual\.py: GeneratorExit: no more$"):
        Plugins().add(write_plugin("unusual.py", "raise GeneratorExit('no more')"))


@pytest.mark.parametrize("hook", ["microframe_components", "microframe_commands"])
def test_an_interrupt_during_a_hook_is_no_defect_of_the_plugin_either(install, hook):
    source = f"import microframe\n@microframe.hookimpl\ndef {hook}(): raise KeyboardInterrupt"
    install("slow", {"slow": "slow_module"}, {"slow_module": source})
    plugins = Plugins()
    with pytest.raises(KeyboardInterrupt):
        plugins.commands("slow")
    assert plugins.broken == {}


PRINTING = """
    import microframe

    print("imported")

    @microframe.hookimpl
    def microframe_components():
        print("components")
        return []

    @microframe.hookimpl
    def microframe_commands():
        print("commands")
        return []
"""


@pytest.mark.parametrize("is_installed", [True, False])
def test_what_a_plugin_prints_while_it_is_imported_and_asked_goes_to_stderr(
    install, write_plugin, capsys, is_installed
):
    plugins = Plugins()
    if is_installed:
        install("chatty", {"chatty": "chatty_module"}, {"chatty_module": PRINTING})
    else:
        plugins.add(write_plugin("chatty.py", PRINTING))
    plugins.commands("chatty")
    print("afterwards")
    assert capsys.readouterr() == ("afterwards\n", "imported\ncomponents\ncommands\n")


def test_stdout_is_as_it_was_after_a_plugin_that_is_broken(install, capsys):
    install("chatty", {"chatty": "chatty_module"}, {"chatty_module": "print('imported')\nraise RuntimeError"})
    Plugins().load("chatty")
    print("afterwards")
    printed, told = capsys.readouterr()
    assert printed == "afterwards\n"
    assert told.startswith("imported\nmicroframe: plugin chatty ")


def test_stdout_is_as_it_was_after_threads_that_overlap(monkeypatch):
    before = io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)
    entered, left = threading.Event(), threading.Event()

    def enter_first_and_leave_last():
        with stdout_to_stderr:
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=enter_first_and_leave_last)
    thread.start()
    assert entered.wait(10)
    with stdout_to_stderr:
        left.set()
        thread.join()
        assert sys.stdout is sys.stderr
    assert sys.stdout is before


def test_one_distribution_may_name_two_plugins_and_one_module_is_one_plugin(install, capsys, swish):
    modules = {"one_module": swish(), "two_module": swish("Mish")}
    install("both", {"a": "one_module", "b": "one_module", "c": "two_module"}, modules)
    registry = Registry()
    assert registry.get("activation", "swish").type == "swish"
    assert registry.get("activation", "c.mish").type == "mish"
    assert "its module is already the plugin 'a'" in capsys.readouterr().err


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
    [
        ("1 / 0", "ZeroDivisionError"),
        ("(_ for _ in ()).throw(GeneratorExit)", "GeneratorExit"),
        ("greet", "expected a list from microframe_commands() -> list[click.Command], received <Command greet>"),
        ("['greet']", "must give click commands, received 'greet'"),
        ("[greet, greet]", "two of its commands are called 'greet'"),
        ("[click.Command(None)]", "a command needs a name without a dot, received None"),
        ("[click.Command('a.b')]", "a command needs a name without a dot, received 'a.b'"),
    ],
)
def test_a_plugin_whose_commands_fail_is_left_out(install, capsys, given, reason):
    install("greeter", {"greeter": "greeter_module"}, {"greeter_module": COMMANDS.format(given)})
    plugins = Plugins()
    assert plugins.commands("greeter") == []
    assert plugins.commands("greeter") == []
    assert reason in plugins.broken["greeter"]
    assert plugins.failures["greeter"].traceback.startswith("Traceback")
    assert len(capsys.readouterr().err.splitlines()) == 1
