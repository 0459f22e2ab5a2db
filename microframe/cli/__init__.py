"""The command line: one file a command, each imported when it is used."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import click

from microframe.errors import MicroframeError
from microframe.version import __version__

COMMANDS = ("run", "train", "predict", "evaluate", "inspect", "config", "plugins", "completion")

INTERRUPTED = 130


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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code, and shows a traceback only with ``--debug``."""
    state = State()
    try:
        code = group.main(arguments, prog_name="microframe", standalone_mode=False, obj=state)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except MicroframeError as error:
        _report(error, str(error), state)
        return error.exit_code
    except BrokenPipeError:
        # whoever read the output had enough; keep Python from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        _report(error, f"{type(error).__name__}: {error} (this is a bug; --debug shows where)", state)
        return 1
    return code if isinstance(code, int) else 0


def _report(error: Exception, message: str, state: State) -> None:
    if state.debug:
        traceback.print_exception(error)
    click.echo(f"error: {message}", err=True)
