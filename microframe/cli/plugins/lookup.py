"""From what a user calls a plugin, a distribution or a part to what it provides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from microframe.cli.plugins.report import COMMAND, Report, report_on
from microframe.component import Component
from microframe.discovery import describe_clash
from microframe.errors import PluginError, UsageError, nearest, one_of, shorten
from microframe.plugins import LOCAL, STANDARD, Provider, standard_provider
from microframe.registry import KINDS, registry

if TYPE_CHECKING:
    import click


@dataclass(frozen=True)
class Found:
    """A plugin with those of its parts that were asked for."""

    report: Report
    components: Sequence[type[Component]]
    commands: Sequence[click.Command] = ()


def look_up(name: str, kind: str | None = None) -> list[Found]:
    """What `name` stands for: a plugin, the plugins of a distribution, or else a part, which may be of several kinds.

    Only plugins that are asked for are imported, but where a name is neither a plugin's nor a standard part's.

    Raises:
        PluginError: nobody is called `name`, several are, or it is left out.
        UsageError: there are no parts of the kind `kind`.
    """
    if kind is not None and kind not in (*KINDS, COMMAND):
        meant = nearest(kind, [*KINDS, COMMAND])
        hint = f" (did you mean {meant!r}?)" if meant else ""
        raise UsageError(f"--kind: expected {one_of([*KINDS, COMMAND])}, received {kind!r}{hint}")
    if name == STANDARD:
        return [of_plugin(standard_provider("layer"), kind)]
    plugins = _plugins_called(name)
    if plugins:
        return [of_plugin(provider, kind) for provider in plugins]
    components = _components_called(name, kind)
    if not components:
        raise PluginError(_unknown(name))
    return _by_plugin(components)


def _plugins_called(name: str) -> list[Provider]:
    """The plugins that `name` is the name of, or the name of the distribution of."""
    plugins = registry.plugins
    found = [offer for offers in plugins.offers().values() for offer in offers if offer.is_called(name)]
    for provider in found:
        if provider.name in plugins.clashing():
            raise PluginError(describe_clash(provider.name, plugins.clashing()[provider.name]))
    if not found and any(offer.is_called(name) for offers in plugins.blocked().values() for offer in offers):
        raise PluginError(f"the plugin {name!r} is left out on request")
    return found


def of_plugin(provider: Provider, kind: str | None = None) -> Found:
    """What a plugin that takes part provides, all of it or what is of one kind."""
    plugins, report = registry.plugins, report_on(provider)
    if provider.name == STANDARD:
        components = [registry.get(one, name) for one in KINDS for name in registry.standard_names(one)]
        return Found(report, _only(kind, components))
    commands = plugins.commands(provider.name) if kind in (None, COMMAND) else ()
    return Found(report, _only(kind, plugins.components(provider.name)), commands)


def _only(kind: str | None, components: Sequence[type[Component]]) -> list[type[Component]]:
    return sorted((part for part in components if kind in (None, part.kind)), key=lambda part: KINDS.index(part.kind))


def _components_called(name: str, kind: str | None) -> list[type[Component]]:
    plugin = name.rpartition(".")[0]
    if plugin not in ("", STANDARD, LOCAL) and not _plugins_called(plugin):
        return []
    kinds = [one for one in KINDS if kind in (None, one)]
    standard = [registry.get(one, name) for one in kinds if name in registry.standard_names(one)]
    return standard or [part for one in kinds if (part := registry.find(one, name, (), [])) is not None]


def _by_plugin(components: Sequence[type[Component]]) -> list[Found]:
    parts: dict[str, list[type[Component]]] = {}
    for component in components:
        parts.setdefault(registry.provider(component).name, []).append(component)
    return [Found(report_on(registry.provider(group[0])), group) for group in parts.values()]


def _unknown(name: str) -> str:
    plugins = registry.plugins
    known = {called for offers in plugins.offers().values() for offer in offers for called in offer.names}
    references = {reference for kind in KINDS for reference in registry.names(kind)}
    plain = {reference.rpartition(".")[2] for reference in references}
    meant = nearest(name, sorted({STANDARD} | known | references | plain))
    hint = f" (did you mean {meant!r}?)" if meant else ""
    silent = registry.silent()
    left_out = f"; a plugin that is left out may provide it: {shorten(silent)}" if silent else ""
    return f"no plugin, distribution or part is called {name!r}{hint}{left_out}"
