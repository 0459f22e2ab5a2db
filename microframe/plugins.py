"""Plugins: the hooks they implement, how they are found, and how a broken one is kept from doing harm.

A plugin is a module that implements one or both hooks of `Hooks`. An installed one is found by its entry point in
the group ``microframe``; looking at what is installed reads metadata only, and a plugin is imported when a name is
asked for that it may provide. The standard parts come through the same hook, from the modules of
`microframe.standard`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from microframe.component import Component
from microframe.errors import PluginError, nearest
from microframe.version import __version__

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import click

ENTRY_POINT_GROUP = "microframe"
STANDARD = "standard"
LOCAL = "local"

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


@dataclass(frozen=True)
class Provider:
    """Who provides a part: the plugin's name, and the distribution it was installed with, if it was."""

    name: str
    module: str
    distribution: str | None = None
    version: str | None = None

    @property
    def module_name(self) -> str:
        """The last part of the module's name, or of the file's without its ending."""
        return Path(self.module).stem if self.module.endswith(".py") else self.module.rpartition(".")[2]

    def __str__(self) -> str:
        origin = f"{self.distribution} {self.version}" if self.distribution else self.module
        return f"{self.name} ({origin})"


class Plugins:
    """The plugins within reach of this process, each imported only when it is asked for.

    Attributes:
        broken: the reason why a plugin was left out, by plugin name.
    """

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self._blocked: set[str] = set()
        self._all_blocked = False
        self._added: dict[str, Provider] = {}
        self._loaded: dict[str, ModuleType] = {}
        self._manager = pluggy.PluginManager("microframe")
        self._manager.add_hookspecs(Hooks)

    def block(self, *names: str) -> None:
        """Leave plugins out, by plugin or distribution name, before they are imported."""
        self._blocked.update(_normal(name) for name in names)

    def block_all(self) -> None:
        """Leave out every installed plugin; those given to `add` still count."""
        self._all_blocked = True

    def add(self, file_or_module: str) -> Provider:
        """Take in a plugin that isn't installed: a path ending in ``.py``, or the name of a module.

        Raises:
            PluginError: it cannot be imported, or its name is taken.
        """
        is_file = file_or_module.endswith(".py")
        name = Path(file_or_module).stem if is_file else file_or_module.rpartition(".")[2]
        if self._added.get(name, Provider(name, file_or_module)).module != file_or_module:
            raise PluginError(f"two plugins are called {name!r}: {self._added[name].module} and {file_or_module}")
        self._added[name] = Provider(name, file_or_module)
        if self.load(name) is None:
            raise PluginError(f"plugin {file_or_module}: {self.broken[name]}")
        return self._added[name]

    def added(self) -> list[str]:
        """The plugins that `add` took in."""
        return list(self._added)

    def available(self) -> dict[str, Provider]:
        """Every plugin that is installed or was added and not blocked, from metadata alone."""
        found = {} if self._all_blocked else self._installed()
        return {name: offers[0] for name, offers in found.items() if len(offers) == 1} | self._added

    def clashing(self) -> dict[str, list[Provider]]:
        """The plugin names that several distributions claim, with their claimants."""
        found = {} if self._all_blocked else self._installed()
        return {name: offers for name, offers in found.items() if len(offers) > 1 and name not in self._added}

    def blocked(self) -> dict[str, Provider]:
        """The installed plugins that are left out on request."""
        if self._all_blocked:
            return {name: offers[0] for name, offers in _entry_points().items()}
        return {name: offer for name, offers in _entry_points().items() for offer in offers if self._is_blocked(offer)}

    def load(self, name: str) -> ModuleType | None:
        """Import the plugin `name`, once; a broken one gives None, a line on stderr and a reason in `broken`."""
        if name in self._loaded or name in self.broken:
            return self._loaded.get(name)
        provider = self.available()[name]
        try:
            if name in {STANDARD, LOCAL}:
                raise PluginError(f"no plugin may be called {name!r}")
            module = _import(provider)
            self._register(name, module)
        except (Exception, SystemExit) as error:
            self._leave_out(provider, error)
            return None
        self._loaded[name] = module
        return module

    def load_standard(self, kind: str) -> list[type[Component]]:
        """The standard parts of one kind."""
        module = importlib.import_module(standard_module(kind))
        name = f"{STANDARD}.{kind}"
        if not self._manager.has_plugin(name):
            self._register(name, module)
        return self._call("microframe_components", module)

    def components(self, name: str) -> list[type[Component]]:
        """The component classes that the plugin `name` provides; none if it is broken."""
        module = self.load(name)
        return self._call("microframe_components", module) if module else []

    def commands(self, name: str) -> list[click.Command]:
        """The click commands that the plugin `name` adds; none if it is broken."""
        module = self.load(name)
        try:
            return _check_commands(self._call("microframe_commands", module)) if module else []
        except (Exception, SystemExit) as error:
            self._leave_out(self.available()[name], error)
            return []

    def _leave_out(self, provider: Provider, error: BaseException) -> None:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        self.broken[provider.name] = reason
        self._loaded.pop(provider.name, None)
        print(f"microframe: plugin {provider} is left out: {reason}", file=sys.stderr)

    def _installed(self) -> dict[str, list[Provider]]:
        allowed = {
            name: [offer for offer in offers if not self._is_blocked(offer)] for name, offers in _entry_points().items()
        }
        return {name: offers for name, offers in allowed.items() if offers}

    def _is_blocked(self, provider: Provider) -> bool:
        return bool({_normal(provider.name), _normal(provider.distribution or "")} & self._blocked)

    def _register(self, name: str, module: ModuleType) -> None:
        if self._manager.is_registered(module):
            raise PluginError(f"its module is already the plugin {self._manager.get_name(module)!r}")
        self._manager.register(module, name)
        try:
            self._check_hooks(module)
            components = self._call("microframe_components", module)
            _check_components(components)
            if not name.startswith(f"{STANDARD}."):  # tests do that for the standard parts
                _check_fields(components)
        except BaseException:
            self._manager.unregister(module)
            raise

    def _check_hooks(self, module: ModuleType) -> None:
        known = [name for name in vars(Hooks) if name.startswith("microframe_")]
        implemented = [caller.name for caller in self._manager.get_hookcallers(module) or []]
        for name in implemented:
            if name not in known:
                meant = nearest(name, known)
                hint = f" (did you mean {meant!r}?)" if meant else ""
                raise PluginError(f"there is no hook {name!r}{hint}; the hooks are {', '.join(known)}")
        if not implemented:
            raise PluginError("it implements no hook; is @microframe.hookimpl missing?")
        self._manager.check_pending()

    def _call(self, hook: str, module: ModuleType) -> list[Any]:
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return [item for one in implementations if one.plugin is module for item in one.function()]


def _check_components(components: Iterable[Any]) -> None:
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


def _check_fields(components: Iterable[type[Component]]) -> None:
    from microframe.schema import check_fields

    for component in components:
        try:
            check_fields(component)
        except Exception as error:
            raise PluginError(f"the fields of {component.__qualname__} cannot be configured: {error}") from error


def _check_commands(commands: list[Any]) -> list[click.Command]:
    import click

    for command in commands:
        if not isinstance(command, click.Command):
            raise PluginError(f"microframe_commands must give click commands, received {command!r}")
    return commands


def _import(provider: Provider) -> ModuleType:
    if not provider.module.endswith(".py"):
        return importlib.import_module(provider.module)
    name = f"microframe_plugin_file.{provider.name}"
    specification = importlib.util.spec_from_file_location(name, provider.module)
    if specification is None or specification.loader is None:
        raise PluginError(f"{provider.module} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # annotations are resolved through it
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _entry_points() -> dict[str, list[Provider]]:
    """Every entry point of the group by name, one offer for each distribution; reads metadata only."""
    from importlib.metadata import entry_points

    found: dict[str, list[Provider]] = {}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        provider = _provider(entry_point)
        offers = found.setdefault(provider.name, [])
        if provider.distribution not in [offer.distribution for offer in offers]:
            offers.append(provider)
    return found


def _provider(entry_point: EntryPoint) -> Provider:
    distribution = entry_point.dist
    name, version = (distribution.name, distribution.version) if distribution else (None, None)
    return Provider(entry_point.name, entry_point.module, name, version)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def standard_module(kind: str) -> str:
    """The name of the module that provides the standard parts of `kind`."""
    return f"microframe.standard.{plural(kind)}"


def plural(kind: str) -> str:
    """Several of `kind`: ``"losses"``."""
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def standard_provider(kind: str) -> Provider:
    """The provider of the standard parts of `kind`."""
    return Provider(STANDARD, standard_module(kind), "microframe", __version__)
