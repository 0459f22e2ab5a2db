"""A hook that would never be heard is an error, with the way it should have been written."""

from __future__ import annotations

import pytest

from microframe import hooks
from microframe.plugins import Plugins

COMPONENTS = "microframe_components() -> list[type[Component]]"
COMMANDS = "microframe_commands() -> list[click.Command]"
KNOWN = f"the hooks are {COMPONENTS} and {COMMANDS}"
MARKED = "import microframe\n@microframe.hookimpl\ndef microframe_commands():\n    return []\n"
MARK = "write @microframe.hookimpl above def"


@pytest.fixture
def reason(install):
    """Gives the reason why a plugin of the given source is left out; None if it isn't."""

    def reason(source):
        install("odd", {"odd": "odd_module"}, {"odd_module": source})
        plugins = Plugins()
        plugins.load("odd")
        return plugins.broken.get("odd")

    return reason


def test_the_signatures_are_those_of_the_specification():
    assert [hooks.signature(hook) for hook in hooks.HOOKS] == [COMPONENTS, COMMANDS]


def test_every_hook_is_documented():
    for hook in hooks.HOOKS:
        assert getattr(hooks.Hooks, hook).__doc__


@pytest.mark.parametrize("source", ["x = 1", "", "def components(): return []", "microframe_components = []"])
def test_a_module_without_hooks_is_no_plugin(reason, source):
    assert reason(source) == f"it implements no hook; is @microframe.hookimpl missing? {KNOWN}"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("microframe_component", "microframe_components"),
        ("microframe_comands", "microframe_commands"),
        ("Microframe_Components", "microframe_components"),
        ("components", "microframe_components"),
    ],
)
def test_a_marked_function_with_another_name_gets_the_nearest_hook_and_all_signatures(reason, name, meant):
    source = f"import microframe\n@microframe.hookimpl\ndef {name}():\n    return []\n"
    assert reason(source) == f"there is no hook {name!r} (did you mean {meant!r}?); {KNOWN}"


def test_a_marked_function_that_is_like_no_hook_gets_all_signatures(reason):
    assert reason(MARKED.replace("microframe_commands", "xyz")) == f"there is no hook 'xyz'; {KNOWN}"


@pytest.mark.parametrize("beside", ["", MARKED], ids=["alone", "beside a marked one"])
def test_a_hook_without_its_mark_is_no_silence(reason, beside):
    assert (
        reason(beside + "def microframe_components():\n    return []\n")
        == f"microframe_components is not marked: {MARK} {COMPONENTS}"
    )


@pytest.mark.parametrize("name", ["component", "componets", "Components"])
def test_a_misspelt_hook_without_its_mark_is_no_silence_either(reason, name):
    assert reason(f"{MARKED}def microframe_{name}():\n    return []\n") == (
        f"microframe_{name} is not marked, and the hook is called 'microframe_components': {MARK} {COMPONENTS}"
    )


def test_helpers_may_begin_with_the_same_word(reason):
    others = "def microframe_version(): ...\ndef microframe_command_line(): ...\nmicroframe_components_file = 'x'\n"
    assert reason(MARKED + others) is None


def test_the_mark_of_another_project_is_none(reason):
    foreign = "import pluggy\n@pluggy.HookimplMarker('other')\ndef microframe_components():\n    return []\n"
    assert reason(foreign) == f"microframe_components is not marked: {MARK} {COMPONENTS}"


@pytest.mark.parametrize("arguments", ["extra", "one, two", "*, extra", "extra, optional=1"])
def test_a_hook_with_other_arguments_gets_the_signature_expected(reason, arguments):
    assert (
        reason(MARKED.replace("commands()", f"commands({arguments})"))
        == f"expected {COMMANDS}, received microframe_commands({arguments})"
    )


@pytest.mark.parametrize("arguments", ["optional=1", "*arguments", "**options"])
def test_a_hook_may_have_arguments_that_it_can_do_without(reason, arguments):
    assert reason(MARKED.replace("commands()", f"commands({arguments})")) is None


@pytest.mark.parametrize("option", ["wrapper", "hookwrapper"])
def test_a_hook_that_wraps_others_is_refused(reason, option):
    source = MARKED.replace("hookimpl", f"hookimpl({option}=True)").replace("return []", "yield")
    assert reason(source) == f"microframe_commands cannot be a wrapper; {MARK} {COMMANDS}"


def test_a_hook_may_say_its_name_beside_that_of_the_function(install, swish):
    source = swish().replace("hookimpl", "hookimpl(specname='microframe_components')")
    install("named", {"named": "named_module"}, {"named_module": source.replace("def microframe_components", "def x")})
    assert [component.type for component in Plugins().components("named")] == ["swish"]


def test_a_hook_may_yield_what_it_gives(install, swish):
    install("lazy", {"lazy": "lazy_module"}, {"lazy_module": swish().replace("return [Swish]", "yield Swish")})
    assert [component.type for component in Plugins().components("lazy")] == ["swish"]
