"""The registry: from a kind and a name to a class, and from a class to who provides it.

Standard names are looked up first, without importing any third-party plugin, so nobody can shadow them. Any other
plain name asks every plugin; a qualified one (``swish.swish``: plugin, then name) imports that plugin alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from microframe.component import Component
from microframe.discovery import describe_clash, list_origins
from microframe.errors import ConfigError, PluginError, Problem, nearest, one_of, shorten
from microframe.plugins import LOCAL, STANDARD, Plugins, Provider, standard_provider
from microframe.values import describe_name

KINDS = ("layer", "activation", "loss", "optimizer", "initializer", "schedule", "metric", "callback", "source")

ComponentClass = TypeVar("ComponentClass", bound=type[Component])


class Registry:
    """The parts within reach, by kind and name.

    Attributes:
        plugins: where parts that are not standard come from.
    """

    def __init__(self, plugins: Plugins | None = None) -> None:
        self.plugins = plugins or Plugins()
        self._parts: dict[str, dict[tuple[str, str], type[Component]]] = {LOCAL: {}}
        self._providers: dict[type[Component], Provider] = {}
        self._lock = threading.RLock()

    def find(
        self, kind: str, name: str, path: tuple[str | int, ...], problems: list[Problem]
    ) -> type[Component] | None:
        """The class called `name`; an unknown name is appended to `problems`, at `path`.

        Raises:
            PluginError: several plugins offer the name, or the plugin that a qualified name asks for is missing or
                broken.
        """
        provider, _, plain = name.rpartition(".")
        if provider:
            found = self._qualified(provider, kind, plain)
        else:
            found = self._standard(kind).get((kind, name)) or self._third_party(kind, name)
        if found is None:
            problems.append(self._unknown(kind, name, path))
        return found

    def get(self, kind: str, name: str) -> type[Component]:
        """The class called `name`.

        Raises:
            ConfigError: there is no such part.
            PluginError: as for `find`.
        """
        problems: list[Problem] = []
        found = self.find(kind, name, (), problems)
        if found is None:
            raise ConfigError(problems)
        return found

    def standard_names(self, kind: str) -> list[str]:
        """The names of the standard parts of `kind`, sorted; imports no third-party plugin."""
        return sorted(name for _, name in self._standard(kind))

    def names(self, kind: str) -> list[str]:
        """Every name of `kind` that a configuration can use: standard ones plain, the others qualified."""
        others = [self._load(provider) for provider in self._third_party_providers()]
        classes = [part for parts in others for (part_kind, _), part in parts.items() if part_kind == kind]
        return self.standard_names(kind) + sorted(self.reference(part) for part in classes)

    def provider(self, component: type[Component]) -> Provider:
        """Who provides a registered class.

        Raises:
            ConfigError: nobody has registered the class.
        """
        if component not in self._providers:
            self._load_provider_of(component)
        if component not in self._providers:
            raise ConfigError(
                f"{component.__module__}.{component.__qualname__} is not registered, so a configuration cannot name "
                f"it: pass the class to microframe.register, or provide it from a plugin{self._clash_of(component)}"
            )
        return self._providers[component]

    def reference(self, component: type[Component]) -> str:
        """The name by which a configuration reaches `component` without doubt: qualified unless it is standard."""
        provider = self.provider(component)
        return component.type if provider.name == STANDARD else f"{provider.name}.{component.type}"

    def register(self, component: ComponentClass) -> ComponentClass:
        """Make a class that no plugin provides known as ``local.<name>`` in this process; usable as a decorator."""
        if not component.kind:
            raise ConfigError(f"{component.__qualname__} derives from no interface such as microframe.Layer")
        self._add(Provider(LOCAL, component.__module__), component)
        return component

    @contextmanager
    def registered_locally(self, component: type[Component]) -> Iterator[None]:
        """While inside, `component` is known as ``local.<name>``, unless somebody provides it: then nothing changes.

        Whatever had that name before has it again afterwards.
        """
        try:
            self.provider(component)
        except ConfigError:
            pass
        else:
            yield
            return
        local, key = self._parts[LOCAL], (component.kind, component.type)
        before = local.get(key)
        self.register(component)
        try:
            yield
        finally:
            del self._providers[component]
            del local[key]
            if before is not None:
                local[key] = before

    def silent(self) -> list[str]:
        """The plugins that could not be asked for a name, each with the reason."""
        return [
            *(f"{name!r} ({reason})" for name, reason in self.plugins.broken.items()),
            *(f"{name!r} (claimed by {list_origins(offers)})" for name, offers in self.plugins.clashing().items()),
            *(f"{name!r} (on request)" for name in self.plugins.blocked()),
        ]

    def _load_provider_of(self, component: type[Component]) -> None:
        """Register what the package of `component` provides: it may have been imported before its plugin was."""
        if component.__module__.startswith("microframe.standard."):
            self._standard(component.kind)
            return
        for name, provider in self.plugins.available().items():
            if _share_package(provider, component):
                self._load(name)

    def _clash_of(self, component: type[Component]) -> str:
        for name, offers in self.plugins.clashing().items():
            if any(_share_package(offer, component) for offer in offers):
                return f"; {describe_clash(name, offers)}"
        return ""

    def _standard(self, kind: str) -> dict[tuple[str, str], type[Component]]:
        key = f"{STANDARD}.{kind}"
        with self._lock:
            if key not in self._parts:
                components = self.plugins.load_standard(kind)
                self._providers |= dict.fromkeys(components, standard_provider(kind))
                self._parts[key] = {(kind, component.type): component for component in components}
        return self._parts[key]

    def _third_party_providers(self) -> list[str]:
        return [*(name for name in self.plugins.available() if name != LOCAL), LOCAL]

    def _third_party(self, kind: str, name: str) -> type[Component] | None:
        offers = [
            parts[kind, name]
            for parts in (self._load(provider) for provider in self._third_party_providers())
            if (kind, name) in parts
        ]
        if len(offers) > 1:
            listed = " and ".join(f"{self.provider(offer)} as {self.reference(offer)!r}" for offer in offers)
            raise PluginError(f"the {kind} {name!r} is offered by {listed}; use one of these qualified names")
        return offers[0] if offers else None

    def _qualified(self, provider: str, kind: str, name: str) -> type[Component] | None:
        if provider == STANDARD:
            return self._standard(kind).get((kind, name))
        what = f"the {kind} {describe_name(f'{provider}.{name}')}"
        needs = f"{what} needs the plugin {describe_name(provider)}"
        offers = self.plugins.offers().get(provider, [])
        if len(offers) > 1:
            raise PluginError(f"{needs}: {describe_clash(provider, offers)}")
        if provider != LOCAL and not offers:
            stand_in = self._stand_in(provider, kind, name)
            if stand_in is not None:
                return self._load(stand_in).get((kind, name))
            if provider in self.plugins.blocked():
                raise PluginError(f"{needs}, left out on request")
            meant = nearest(provider, self._third_party_providers())
            hint = f" (did you mean {meant!r}?)" if meant else ""
            raise PluginError(f"{needs}, not installed{hint}")
        parts = self._load(provider)
        if provider == LOCAL and (kind, name) not in parts:
            raise PluginError(
                f"{what} is a class that some process registered for itself: pass it to microframe.register here too, "
                f"or provide it from a plugin"
            )
        if provider in self.plugins.broken:
            raise PluginError(f"{needs}, which is broken: {self.plugins.broken[provider]}")
        return parts.get((kind, name))

    def _stand_in(self, provider: str, kind: str, name: str) -> str | None:
        """The plugin to take for one that is not there: the same module by another name, or one added by hand.

        A plugin that was tried out as a file is called by its module, an installed one by its entry point.
        """
        same = [other for other, offer in self.plugins.available().items() if offer.module_name == provider]
        added = [other for other in self.plugins.added() if (kind, name) in self._load(other)]
        candidates = same or added
        return candidates[0] if len(candidates) == 1 else None

    def _load(self, provider: str) -> dict[tuple[str, str], type[Component]]:
        with self._lock:
            loaded = None if provider in self._parts else self.plugins.load(provider)
            if loaded is not None:
                self._parts[provider] = {}
                for component in loaded.components:
                    self._add(loaded.provider, component)
            return self._parts.get(provider, {})

    def _add(self, provider: Provider, component: type[Component]) -> None:
        self._parts.setdefault(provider.name, {})[component.kind, component.type] = component
        self._providers[component] = provider

    def _unknown(self, kind: str, name: str, path: tuple[str | int, ...]) -> Problem:
        names = self.names(kind)
        plain = {known.rpartition(".")[2]: known for known in names}
        meant = nearest(name, [*names, *plain])
        silent = shorten(self.silent())
        expected = f"the name of a known {kind}: {one_of(names)}"
        received = describe_name(name) + (f"; a plugin that is left out may provide it: {silent}" if silent else "")
        return Problem(path, expected, received, plain.get(meant, meant) if meant else None)


def _share_package(provider: Provider, component: type[Component]) -> bool:
    if provider.is_file:
        return component.__module__ == provider.imported_as
    return component.__module__.partition(".")[0] == provider.module.partition(".")[0]


registry = Registry()
"""The parts of this process, which every configuration is resolved against."""

register = registry.register
