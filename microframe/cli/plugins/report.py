"""What is known of each plugin, for the commands that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import click

from microframe.cli.commands import COMMANDS
from microframe.cli.output import print_table
from microframe.cli.wrapping import wrap_labelled
from microframe.discovery import list_origins
from microframe.plugins import STANDARD, Provider, plural, standard_provider
from microframe.registry import KINDS, registry

State = Literal["ok", "broken", "blocked", "clashing"]
Provided = dict[str, list[str]]
"""The names that a plugin provides, sorted, by kind; its commands under `COMMAND`."""

COMMAND = "command"
HEAD = ("plugin", "distribution", "version", "state", "load ms")


@dataclass(frozen=True)
class Report:
    """One plugin.

    Attributes:
        reason: why it is not ok.
        traceback: of the import or the hook that failed.
        milliseconds: how long its import took, if there was one.
        notes: what to know about the names that it provides.
    """

    provider: Provider
    state: State
    reason: str | None = None
    traceback: str | None = None
    milliseconds: float | None = None
    provides: Provided = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All of it but for the traceback."""
        return {
            "name": self.provider.name,
            "distribution": self.provider.distribution,
            "version": self.provider.version,
            "module": self.provider.module,
            "state": self.state,
            "reason": self.reason,
            "load_milliseconds": self.milliseconds,
            "provides": self.provides,
            "notes": self.notes,
        }

    def cells(self) -> list[Any]:
        """The row below `HEAD`."""
        provider = self.provider
        milliseconds = "" if self.milliseconds is None else f"{self.milliseconds:.1f}"
        return [provider.name, provider.distribution, provider.version, self.state, milliseconds]

    def details(self) -> list[str]:
        """Sentences that no table has room for: what the plugin provides, the notes, and the reason."""
        provides = ", ".join(
            f"{len(names)} {plural(kind)}" if len(names) > 4 else f"{kind} {' '.join(names)}"
            for kind, names in self.provides.items()
        )
        return [line for line in (provides, *self.notes, self.reason) if line]


def every_report() -> list[Report]:
    """A report on each plugin, the standard parts first; imports all that take part."""
    plugins = registry.plugins
    available = dict(sorted(plugins.available().items()))
    provided = {STANDARD: _standard(), **{name: _provided(name) for name in available}}
    reports = [_report(standard_provider("layer"), provided)]
    reports += [_report(provider, provided) for provider in available.values()]
    for name, offers in sorted(plugins.clashing().items()):
        for offer in offers:
            others = list_origins(other for other in offers if other != offer)
            reports.append(Report(offer, "clashing", f"the plugin name {name!r} is also claimed by {others}"))
    reports += [Report(offer, "blocked") for _, offers in sorted(plugins.blocked().items()) for offer in offers]
    return reports


def print_reports(reports: Sequence[Report]) -> None:
    """A table of `reports` on stdout, and below it what no table has room for."""
    print_table(HEAD, [report.cells() for report in reports])
    click.echo()
    click.echo(wrap_labelled([(report.provider.name, report.details()) for report in reports]))


def report_on(provider: Provider) -> Report:
    """A report on a plugin that takes part; imports it alone, and so knows nothing of what others provide."""
    if provider.name == STANDARD:
        return _report(provider, {STANDARD: _standard()})
    return _report(provider, {STANDARD: _standard(), provider.name: _provided(provider.name)})


def _report(provider: Provider, provided: dict[str, Provided]) -> Report:
    failure = registry.plugins.failures.get(provider.name)
    seconds = registry.plugins.seconds(provider.name)
    milliseconds = None if seconds is None else seconds * 1000
    if failure is not None:
        return Report(provider, "broken", failure.reason, failure.traceback, milliseconds)
    notes = () if provider.name == STANDARD else tuple(_notes(provider.name, provided))
    return Report(provider, "ok", None, None, milliseconds, provided[provider.name], notes)


def _standard() -> Provided:
    return {kind: registry.standard_names(kind) for kind in KINDS}


def _provided(name: str) -> Provided:
    found: Provided = {}
    for component in registry.plugins.components(name):
        found.setdefault(component.kind, []).append(component.type)
    for command in registry.plugins.commands(name):
        found.setdefault(COMMAND, []).append(command.name or "")
    return {kind: sorted(names) for kind, names in found.items()}


def _notes(plugin: str, provided: dict[str, Provided]) -> Iterator[str]:
    """Which of the plugin's names others have too, so that they stand for something else or for nothing alone."""
    for kind, names in provided[plugin].items():
        for name in names:
            rivals = [other for other in provided if other != plugin and name in provided[other].get(kind, ())]
            if kind == COMMAND and name in COMMANDS:
                rivals.append("microframe")
            if rivals:
                have = "have" if len(rivals) > 1 else "has"
                yield (
                    f"the {kind} {name!r} is reachable only as '{plugin}.{name}': {' and '.join(rivals)} {have} it too"
                )
