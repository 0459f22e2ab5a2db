"""The hooks that a plugin implements, and the checks on how it does and on what it gives."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from microframe.component import Component
from microframe.errors import PluginError, nearest

if TYPE_CHECKING:
    import click

hookimpl = pluggy.HookimplMarker("microframe")
hookspec = pluggy.HookspecMarker("microframe")


class Hooks:
    """What a plugin may implement, each function marked with `microframe.hookimpl`."""

    @hookspec
    def microframe_components(self) -> list[type[Component]]:
        """The component classes that the plugin provides."""
        return []

    @hookspec
    def microframe_commands(self) -> list[click.Command]:
        """The click commands that the plugin adds to ``microframe``."""
        return []


PREFIX = "microframe_"
HOOKS = tuple(name for name in vars(Hooks) if name.startswith(PREFIX))


def signature(hook: str) -> str:
    """How a plugin writes the hook: ``"microframe_components() -> list[type[Component]]"``."""
    expected = inspect.signature(getattr(Hooks, hook))
    return f"{hook}({', '.join(list(expected.parameters)[1:])}) -> {expected.return_annotation}"


def check_hooks(manager: pluggy.PluginManager, module: ModuleType) -> None:
    """Check that `module` implements hooks, and none in a way that would leave it unheard.

    Raises:
        PluginError: it implements none, one is misspelt, not marked, or takes arguments that there are not.
    """
    functions = {name: getattr(module, name) for name in dir(module)}
    options = {name: manager.parse_hookimpl_opts(module, name) for name in functions}
    for name, function in functions.items():
        marked = options[name]
        if marked is None:
            _check_unmarked(name, function)
        else:
            _check_marked(marked.get("specname") or name, function, marked)
    if not any(options.values()):
        raise PluginError(f"it implements no hook; is @microframe.hookimpl missing? {_known()}")


def _check_unmarked(name: str, function: Any) -> None:
    """A function called like a hook is meant to be one; helpers may begin with the same word."""
    if not inspect.isroutine(function) or not name.startswith(PREFIX):
        return
    plain = [hook.removeprefix(PREFIX) for hook in HOOKS]
    meant = difflib.get_close_matches(name.removeprefix(PREFIX), plain, n=1, cutoff=0.8)
    if meant:
        hook = PREFIX + meant[0]
        misspelt = "" if name == hook else f", and the hook is called {hook!r}"
        raise PluginError(f"{name} is not marked{misspelt}: write @microframe.hookimpl above def {signature(hook)}")


def _check_marked(hook: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    if hook not in HOOKS:
        meant = nearest(hook, HOOKS)
        hint = f" (did you mean {meant!r}?)" if meant else ""
        raise PluginError(f"there is no hook {hook!r}{hint}; {_known()}")
    if options.get("wrapper") or options.get("hookwrapper"):
        raise PluginError(f"{hook} cannot be a wrapper; write @microframe.hookimpl above def {signature(hook)}")
    received = inspect.signature(function)
    if not _needed(received) <= inspect.signature(getattr(Hooks, hook)).parameters.keys() - {"self"}:
        raise PluginError(f"expected {signature(hook)}, received {hook}{received}")


def _needed(received: inspect.Signature) -> set[str]:
    """The arguments without which a function cannot be called."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name
        for name, parameter in received.parameters.items()
        if parameter.default is parameter.empty and parameter.kind not in variadic
    }


def _known() -> str:
    return f"the hooks are {' and '.join(map(signature, HOOKS))}"


def returned(hook: str, value: Any) -> list[Any]:
    """What an implementation of `hook` gave, as a list.

    Raises:
        PluginError: it gave no list.
    """
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise PluginError(f"expected a list from {signature(hook)}, received {value!r}")
    return list(value)


def check_components(components: Iterable[Any]) -> None:
    """Check that `components` are classes that configurations can name.

    Raises:
        PluginError: one is not, or two have one name.
    """
    seen: dict[tuple[str, str], type[Component]] = {}
    for component in components:
        if not (isinstance(component, type) and issubclass(component, Component) and component.kind):
            raise PluginError(
                f"microframe_components must give classes derived from an interface such as microframe.Layer, "
                f"received {component!r}"
            )
        if inspect.isabstract(component):
            missing = ", ".join(sorted(component.__abstractmethods__))
            raise PluginError(f"{component.__qualname__} lacks what every {component.kind} must have: {missing}")
        if not component.type.isidentifier():
            raise PluginError(f"the type of {component.__qualname__}, {component.type!r}, is not a plain word")
        if seen.setdefault((component.kind, component.type), component) is not component:
            raise PluginError(f"two of its classes are the {component.kind} {component.type!r}")


def check_fields(components: Iterable[type[Component]]) -> None:
    """Check that configurations can hold the fields of `components`.

    Raises:
        PluginError: one has a field that none can hold.
    """
    from microframe import schema

    for component in components:
        try:
            schema.check_fields(component)
        except Exception as error:
            raise PluginError(f"the fields of {component.__qualname__} cannot be configured: {error}") from error


def check_commands(commands: Iterable[Any]) -> None:
    """Check that `commands` are click commands, each with a name of its own.

    Raises:
        PluginError: one is not.
    """
    import click

    seen: set[str] = set()
    for command in commands:
        if not isinstance(command, click.Command):
            raise PluginError(f"microframe_commands must give click commands, received {command!r}")
        if not command.name or "." in command.name:
            raise PluginError(f"a command needs a name without a dot, received {command.name!r}")
        if command.name in seen:
            raise PluginError(f"two of its commands are called {command.name!r}")
        seen.add(command.name)
