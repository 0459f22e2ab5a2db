"""Groups of commands that import a command when it is used."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from typing import Any

import click


class LazyGroup(click.Group):
    """A group with one module a command, whose ``command`` it is.

    Args:
        package: the package of the modules.
        names: those of the commands, and of their modules, in the order of ``--help``.
    """

    def __init__(self, *arguments: Any, package: str, names: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._package = package
        self._names = names

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._names]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._names:
            return None
        command: click.Command = importlib.import_module(f"{self._package}.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(f"There is no command {args[0]!r}.{self.hint(args[0])}", ctx) from error

    def hint(self, name: str) -> str:
        """What to try instead of `name`, which is no command; begins with a space where there is something."""
        meant = difflib.get_close_matches(name, self._names, n=1)
        return f" Did you mean {meant[0]!r}?" if meant else ""
