"""``microframe plugins``: what is installed, in what state, and what it provides; one module a subcommand."""

from __future__ import annotations

import click

from microframe.cli.groups import LazyGroup

SUBCOMMANDS = (
    "list",
    "info",
    "check",
    "new",
)


@click.group("plugins", cls=LazyGroup, package=__name__, names=SUBCOMMANDS)
def command() -> None:
    """Show which plugins there are and what they provide."""
