"""``microframe plugins``: what is installed."""

from __future__ import annotations

from typing import Any

import click

from microframe.cli.options import common_options, json_option
from microframe.cli.output import print_json, print_table


@click.group("plugins")
def command() -> None:
    """Show which plugins there are."""


@command.command("list")
@json_option
@common_options
def list_plugins(as_json: bool) -> None:
    """List the plugins with their state and what they provide."""
    rows = _rows()
    if as_json:
        print_json(rows)
        return
    head = ["plugin", "distribution", "version", "state", "provides"]
    print_table(
        head, [[row["name"], row["distribution"], row["version"], row["state"], _provided(row)] for row in rows]
    )


def _provided(row: dict[str, Any]) -> str:
    from microframe.plugins import plural

    return ", ".join(
        f"{len(names)} {plural(kind)}" if len(names) > 4 else f"{kind} {' '.join(names)}"
        for kind, names in row["provides"].items()
    )


def _rows() -> list[dict[str, Any]]:
    from microframe.plugins import STANDARD, standard_provider
    from microframe.registry import KINDS, registry

    plugins = registry.plugins
    standard = {kind: registry.standard_names(kind) for kind in KINDS}
    rows = [_row(standard_provider("layer"), "ok", standard, name=STANDARD)]
    for name, provider in sorted(plugins.available().items()):
        provides: dict[str, list[str]] = {}
        for component in plugins.components(name):
            provides.setdefault(component.kind, []).append(component.type)
        for extra in plugins.commands(name):
            provides.setdefault("command", []).append(extra.name or "")
        rows.append(_row(provider, f"broken: {plugins.broken[name]}" if name in plugins.broken else "ok", provides))
    for offers in plugins.clashing().values():
        rows += [_row(offer, "clashing: another distribution has this name", {}) for offer in offers]
    rows += [_row(provider, "left out", {}) for provider in plugins.blocked().values()]
    return rows


def _row(provider: Any, state: str, provides: dict[str, list[str]], name: str | None = None) -> dict[str, Any]:
    return {
        "name": name or provider.name,
        "distribution": provider.distribution,
        "version": provider.version,
        "module": provider.module,
        "state": state,
        "provides": {kind: sorted(names) for kind, names in provides.items()},
    }
