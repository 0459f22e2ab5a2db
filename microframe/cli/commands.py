"""The group of all commands, and how each is found."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass

import click

from microframe.version import __version__

COMMANDS = ("run", "train", "predict", "evaluate", "inspect", "config", "plugins", "completion")


@dataclass
class State:
    """What holds for a whole call of the command line."""

    debug: bool = False


class Commands(click.Group):
    """The built-in commands; any other name is looked for among the plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            command: click.Command = importlib.import_module(f"microframe.cli.{name}").command
            return command
        return None if ctx.resilient_parsing else _plugin_command(name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            meant = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {meant[0]!r}?" if meant else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx) from error


def _plugin_command(name: str) -> click.Command | None:
    from microframe.registry import registry

    commands = [command for plugin in registry.plugins.available() for command in registry.plugins.commands(plugin)]
    return next((command for command in commands if command.name == name), None)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="microframe")
def group() -> None:
    """Train small neural networks, and predict with them.

    \b
    microframe run net.toml              train the network that net.toml describes
    microframe run net.h5 samples.csv    predict with the trained network

    Plugins may add commands to those below.
    """
