"""Plugins: how they are imported, and how a broken one is kept from doing harm.

A plugin is a module that implements one or both hooks of `Hooks`. An installed one is found by its entry point in
the group ``microframe``; looking at what is installed reads metadata only, and a plugin is imported when a name is
asked for that it may provide. Whatever ends its import or a hook, but for an interrupt, makes it a broken one, and what
it prints meanwhile goes to stderr, as stdout is for results that programs read. The standard parts come through the
same hook, from the modules of `microframe.standard`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import pluggy

from microframe.component import Component
from microframe.discovery import LOCAL, STANDARD, Discovery, Provider, provider_of
from microframe.errors import PluginError, nearest
from microframe.hooks import Hooks, check_commands, check_components, check_fields, check_hooks, hookimpl, returned
from microframe.version import __version__

if TYPE_CHECKING:
    import click

__all__ = [
    "LOCAL",
    "STANDARD",
    "Failure",
    "Hooks",
    "Plugins",
    "Provider",
    "hookimpl",
    "plural",
    "standard_module",
    "standard_provider",
    "stdout_to_stderr",
]


class _StdoutToStderr:
    """While inside, what is printed on stdout goes to stderr.

    Of threads that are inside at once the first turns it over and the last turns it back; with
    `contextlib.redirect_stdout` one would put back what another has turned over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._stdout: TextIO = sys.stdout

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._stdout, sys.stdout = sys.stdout, sys.stderr
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.stdout = self._stdout


stdout_to_stderr = _StdoutToStderr()


@dataclass(frozen=True)
class Failure:
    """Why a plugin was left out: in a line, and where in its code that was."""

    reason: str
    traceback: str


@dataclass(frozen=True)
class Loaded:
    """A plugin that was imported and is as it should be."""

    provider: Provider
    module: ModuleType
    components: tuple[type[Component], ...]


class Plugins(Discovery):
    """The plugins within reach of this process, each imported only when it is asked for.

    Attributes:
        failures: why plugins were left out, by plugin name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[str, Failure] = {}
        self._loading: set[str] = set()
        self._loaded: dict[str, Loaded] = {}
        self._seconds: dict[str, float] = {}
        self._manager = pluggy.PluginManager("microframe")
        self._manager.add_hookspecs(Hooks)

    @property
    def broken(self) -> dict[str, str]:
        """The reason why a plugin was left out, by plugin name."""
        return {name: failure.reason for name, failure in self.failures.items()}

    def seconds(self, name: str) -> float | None:
        """How long the import of the plugin `name` took, also where it failed; None where there was none."""
        return self._seconds.get(name)

    def add(self, file_or_module: str) -> Provider:
        """Take in a plugin that isn't installed: a path ending in ``.py``, or the name of a module.

        What an installed plugin consists of, the module or its file, is that plugin.

        Raises:
            PluginError: it cannot be imported, or its name is taken.
        """
        known = (offer for offer in self.available().values() if offer.consists_of(file_or_module))
        provider = next(known, None) or provider_of(file_or_module)
        taken = self._loaded[provider.name].provider if provider.name in self._loaded else provider
        if taken != provider:
            raise PluginError(f"two plugins are called {provider.name!r}: {taken.module} and {file_or_module}")
        if provider.name not in self._loaded:
            try:
                self._load(provider)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise PluginError(f"plugin {file_or_module}: {_reason(error)}{_file_of(provider, error)}") from error
        self.failures.pop(provider.name, None)
        if not provider.is_installed:
            self._added[provider.name] = provider
        return provider

    def load(self, name: str) -> Loaded | None:
        """Import the plugin `name`, once; a broken one gives None, a line on stderr and a reason in `broken`.

        None as well for one that is asked for while it is being imported.
        """
        if name not in self._loaded and name not in self.failures and name not in self._loading:
            provider = self.available()[name]
            try:
                self._load(provider)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._leave_out(provider, error)
        return self._loaded.get(name)

    def load_standard(self, kind: str) -> list[type[Component]]:
        """The standard parts of one kind."""
        with self._timed(STANDARD):
            module = importlib.import_module(standard_module(kind))
        name = f"{STANDARD}.{kind}"
        if not self._manager.has_plugin(name):
            self._register(name, module)
        return self._call("microframe_components", module)

    def components(self, name: str) -> list[type[Component]]:
        """The component classes that the plugin `name` provides; none if it is broken."""
        loaded = self.load(name)
        return list(loaded.components) if loaded else []

    def commands(self, name: str) -> list[click.Command]:
        """The click commands that the plugin `name` adds; none if it is broken."""
        loaded = self.load(name)
        if loaded is None:
            return []
        try:
            with stdout_to_stderr:
                commands = self._call("microframe_commands", loaded.module)
            check_commands(commands)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._leave_out(loaded.provider, error)
            return []
        return commands

    def _load(self, provider: Provider) -> None:
        if provider.name in {STANDARD, LOCAL}:
            raise PluginError(f"no plugin may be called {provider.name!r}")
        self._loading.add(provider.name)
        try:
            with stdout_to_stderr:
                with self._timed(provider.name):
                    module = _import(provider)
                components = self._register(provider.name, module)
        finally:
            self._loading.remove(provider.name)
        self._loaded[provider.name] = Loaded(provider, module, tuple(components))

    def _leave_out(self, provider: Provider, error: BaseException) -> None:
        reason = _reason(error)
        self.failures[provider.name] = Failure(reason, "".join(traceback.format_exception(error)))
        if self._loaded.pop(provider.name, None) is not None:
            self._manager.unregister(name=provider.name)
        print(f"microframe: plugin {provider} is left out: {reason}", file=sys.stderr)

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - start

    def _register(self, name: str, module: ModuleType) -> list[type[Component]]:
        if self._manager.is_registered(module):
            raise PluginError(f"its module is already the plugin {self._manager.get_name(module)!r}")
        check_hooks(self._manager, module)
        self._manager.register(module, name)
        try:
            components = self._call("microframe_components", module)
            check_components(components)
            if not name.startswith(f"{STANDARD}."):  # tests do that for the standard parts
                check_fields(components)
        except BaseException:
            self._manager.unregister(module)
            raise
        return components

    def _call(self, hook: str, module: ModuleType) -> list[Any]:
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return [item for one in implementations if one.plugin is module for item in returned(hook, one.function())]


def _reason(error: BaseException) -> str:
    text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


def _file_of(provider: Provider, error: BaseException) -> str:
    """A hint where a file was called by its module's name."""
    file = f"{provider.module}.py"
    is_missing = isinstance(error, ModuleNotFoundError) and error.name == provider.module
    return f" (did you mean {file!r}?)" if is_missing and Path(file).is_file() else ""


def _import(provider: Provider) -> ModuleType:
    if provider.is_file:
        return _import_file(provider)
    if not all(part.isidentifier() for part in provider.module.split(".")):
        raise PluginError(f"expected a path ending in .py or the name of a module, received {provider.module!r}")
    return importlib.import_module(provider.module)


def _import_file(provider: Provider) -> ModuleType:
    path = Path(provider.module)
    if not path.is_file():
        meant = nearest(path.name, (other.name for other in path.parent.glob("*.py")))
        raise PluginError(f"there is no file {provider.module}" + (f" (did you mean {meant!r}?)" if meant else ""))
    name = provider.imported_as
    specification = importlib.util.spec_from_file_location(name, path)
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


def standard_module(kind: str) -> str:
    """The name of the module that provides the standard parts of `kind`."""
    return f"microframe.standard.{plural(kind)}"


def plural(kind: str) -> str:
    """Several of `kind`: ``"losses"``."""
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def standard_provider(kind: str) -> Provider:
    """The provider of the standard parts of `kind`."""
    return Provider(STANDARD, standard_module(kind), "microframe", __version__)
