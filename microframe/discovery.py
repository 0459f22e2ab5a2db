"""Discovery: which plugins there are and which of them take part, from metadata and the environment alone.

Nothing here imports a plugin, nor anything that takes time, so that a shell can complete the names of plugins.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from microframe.errors import UsageError, list_names, nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINT_GROUP = "microframe"
STANDARD = "standard"
LOCAL = "local"

PLUGIN = "MICROFRAME_PLUGIN"
"""The variable with plugins that aren't installed: files or modules, with commas between."""
WITHOUT = "MICROFRAME_WITHOUT"
"""The variable with the names of plugins or distributions to leave out, with commas between."""
NO_PLUGINS = "MICROFRAME_NO_PLUGINS"
"""The variable that leaves out every installed plugin when it is 1, true or yes."""
VARIABLES = (PLUGIN, WITHOUT, NO_PLUGINS)

_SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


@dataclass(frozen=True)
class Provider:
    """Who provides a part: the plugin's name, and the distribution it was installed with, if it was."""

    name: str
    module: str
    distribution: str | None = None
    version: str | None = None

    @property
    def is_installed(self) -> bool:
        """Whether a distribution has an entry point for the plugin."""
        return self.distribution is not None

    @property
    def names(self) -> tuple[str, ...]:
        """What the plugin can be left out by: its own name and its distribution's."""
        return (self.name, self.distribution) if self.distribution is not None else (self.name,)

    def is_called(self, name: str) -> bool:
        """Whether `name` is one of `names`, however it is spelt: large or small, with ``-``, ``_`` or ``.``."""
        return _normal(name) in map(_normal, self.names)

    @property
    def is_file(self) -> bool:
        """Whether `module` is a path."""
        return self.module.endswith(".py")

    @property
    def module_name(self) -> str:
        """The last part of the module's name, or of the file's without its ending."""
        return Path(self.module).stem if self.is_file else self.module.rpartition(".")[2]

    def consists_of(self, file_or_module: str) -> bool:
        """Whether that is the plugin's module: by its name, or as the file that it is imported from."""
        if self.module == file_or_module:
            return True
        if not file_or_module.endswith(".py"):
            return False
        own = self.module if self.is_file else _file_of(self.module)
        return own is not None and os.path.realpath(own) == os.path.realpath(file_or_module)

    def is_copy_of(self, other: Provider) -> bool:
        """Whether one of the two is a file that is called like the other's module, and so another state of it."""
        file, module = (self, other) if self.is_file else (other, self)
        return file.is_file and not module.is_file and file.module_name == module.module

    @property
    def origin(self) -> str:
        """The distribution with its version, or else the module."""
        return f"{self.distribution} {self.version}" if self.distribution else self.module

    @property
    def imported_as(self) -> str:
        """What the module is called once it is imported."""
        return f"microframe_plugin_file.{self.name}" if self.is_file else self.module

    def __str__(self) -> str:
        return f"{self.name} ({self.origin})"


class Discovery:
    """The plugins that are installed, named by the environment, or added by hand, and those that are left out.

    The environment is read at the first question.

    Raises:
        UsageError: at that question, if a variable has a value that means nothing.
    """

    def __init__(self) -> None:
        self._blocked: set[str] = set()
        self._all_blocked = False
        self._added: dict[str, Provider] = {}
        self._hidden: frozenset[Provider] = frozenset()

    def block(self, *names: str) -> None:
        """Leave plugins out, by plugin or distribution name, before they are imported.

        Raises:
            UsageError: nobody is called that.
        """
        known = {_normal(name): name for provider in self._everyone() for name in provider.names}
        for name in names:
            if _normal(name) not in known:
                meant = nearest(name, known.values())
                hint = f" (did you mean {meant!r}?)" if meant else ""
                there_are = f"there are {list_names(sorted(known.values()))}" if known else "there are none"
                raise UsageError(f"no plugin or distribution is called {name!r}{hint}; {there_are}")
        self._blocked.update(map(_normal, names))

    def block_all(self) -> None:
        """Leave out every installed plugin; those added by hand or named by the environment still count."""
        self._all_blocked = True

    @contextmanager
    def hiding_copies_of(self, provider: Provider) -> Iterator[None]:
        """While inside, other states of a plugin don't take part: the installed one beside the file being written."""
        before = self._hidden
        copies = [offer for offers in self.offers().values() for offer in offers if provider.is_copy_of(offer)]
        self._hidden = before.union(copies)
        try:
            yield
        finally:
            self._hidden = before

    def unknown(self) -> list[str]:
        """The names in MICROFRAME_WITHOUT that nobody has; it may be set for environments with other plugins too."""
        known = {_normal(name) for provider in self._everyone() for name in provider.names}
        return [name for name in self._environment.without if _normal(name) not in known]

    def names(self) -> list[str]:
        """Every plugin's name, sorted: also of those that are left out."""
        return sorted({provider.name for provider in self._everyone()} | self._added.keys())

    def added(self) -> list[str]:
        """The plugins that aren't installed, but added by hand or named by the environment."""
        return list(dict.fromkeys([*self._allowed(self._named()), *self._added]))

    def offers(self) -> dict[str, list[Provider]]:
        """Who claims to be the plugin of a name, of those that aren't left out; more than one is a clash.

        What was added by hand stands before what the environment names, and that before what is installed.
        """
        added = {name: [provider] for name, provider in self._added.items() if provider not in self._hidden}
        return self._allowed(_installed()) | self._allowed(self._named()) | added

    def available(self) -> dict[str, Provider]:
        """Every plugin that takes part and whose name is its own."""
        return {name: offers[0] for name, offers in self.offers().items() if len(offers) == 1}

    def clashing(self) -> dict[str, list[Provider]]:
        """The plugin names that several claim, with the claimants."""
        return {name: offers for name, offers in self.offers().items() if len(offers) > 1}

    def blocked(self) -> dict[str, list[Provider]]:
        """The plugins that are left out on request, by name."""
        return _by_name(provider for provider in self._everyone() if self._is_blocked(provider))

    @functools.cached_property
    def _environment(self) -> _Environment:
        return _Environment.read()

    @functools.cached_property
    def _left_out(self) -> frozenset[str]:
        return frozenset(map(_normal, self._environment.without))

    def _everyone(self) -> list[Provider]:
        return [provider for found in (_installed(), self._named()) for offers in found.values() for provider in offers]

    def _named(self) -> dict[str, list[Provider]]:
        """The plugins that the environment names, but for modules that an installed plugin brings anyway."""
        if not self._environment.plugins:
            return {}
        installed = [offer for offers in self._allowed(_installed()).values() for offer in offers]
        named = dict.fromkeys(self._environment.plugins)
        return _by_name(provider_of(name) for name in named if not any(offer.consists_of(name) for offer in installed))

    def _allowed(self, found: dict[str, list[Provider]]) -> dict[str, list[Provider]]:
        return _by_name(offer for offers in found.values() for offer in offers if not self._is_blocked(offer))

    def _is_blocked(self, provider: Provider) -> bool:
        if provider in self._hidden:
            return True
        if provider.is_installed and (self._all_blocked or self._environment.no_plugins):
            return True
        return any(_normal(name) in self._blocked.union(self._left_out) for name in provider.names)


@dataclass(frozen=True)
class _Environment:
    """What the environment says about plugins."""

    plugins: tuple[str, ...]
    without: tuple[str, ...]
    no_plugins: bool

    @classmethod
    def read(cls) -> _Environment:
        switch = os.environ.get(NO_PLUGINS, "")
        if switch.strip().lower() not in _SWITCH:
            raise UsageError(f"{NO_PLUGINS}: expected 1, true, yes, 0, false or no, received {switch!r}")
        return cls(tuple(_listed(PLUGIN)), tuple(_listed(WITHOUT)), _SWITCH[switch.strip().lower()])


def _listed(variable: str) -> list[str]:
    items = (item.strip() for item in os.environ.get(variable, "").split(","))
    return [item for item in items if item]


def provider_of(file_or_module: str) -> Provider:
    """The plugin that isn't installed: of a path ending in ``.py``, or of the name of a module."""
    bare = Provider("", file_or_module)
    return Provider(bare.module_name, file_or_module)


def _file_of(module: str) -> str | None:
    """The file that a module would be imported from; neither it nor a package around it is imported for that."""
    import importlib.util
    from importlib.machinery import PathFinder

    name, *inner = module.split(".")
    try:
        found = importlib.util.find_spec(name)
        for part in inner:
            name = f"{name}.{part}"
            found = found and PathFinder.find_spec(name, found.submodule_search_locations)
    except Exception:  # whatever a finder of somebody else's raises: then it is not known
        return None
    return found.origin if found else None


def list_origins(providers: Iterable[Provider]) -> str:
    """Where `providers` come from: ``"microframe-swish 1.0 and swish.py"``."""
    return " and ".join(provider.origin for provider in providers)


def describe_clash(name: str, claimants: Sequence[Provider]) -> str:
    """What is wrong with the plugin name `name`, and what helps."""
    remedy = f"leave one out, with --without or {WITHOUT} and the name of its distribution"
    if not any(claimant.is_installed for claimant in claimants):
        remedy = "rename one"
    return f"the plugin name {name!r} is claimed by {list_origins(claimants)}: {remedy}"


def _by_name(providers: Iterable[Provider]) -> dict[str, list[Provider]]:
    found: dict[str, list[Provider]] = {}
    for provider in providers:
        found.setdefault(provider.name, []).append(provider)
    return found


def _installed() -> dict[str, list[Provider]]:
    """Every entry point of the group by name, in the order of the alphabet."""
    from importlib.metadata import entry_points

    found = set(map(_provider, entry_points(group=ENTRY_POINT_GROUP)))
    return _by_name(sorted(found, key=lambda provider: (provider.name, provider.origin, provider.module)))


def _provider(entry_point: EntryPoint) -> Provider:
    distribution = entry_point.dist
    name, version = (distribution.name, distribution.version) if distribution else (None, None)
    return Provider(entry_point.name, entry_point.module, name, version)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
