"""What every click command that a plugin adds must do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import click
from click.testing import CliRunner

from microframe.cli.commands import COMMANDS
from microframe.testing.conformance import Outcome, Result


def name_legal(command: click.Command) -> None:
    """The name is of lower-case words with hyphens or underscores between them."""
    name = command.name or ""
    is_legal = re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name)
    assert is_legal, f"expected a name of lower-case words with hyphens between them, received {command.name!r}"


def name_free(command: click.Command) -> None:
    """No built-in command has the name."""
    assert command.name not in COMMANDS, f"expected a name of its own, but there is a built-in command {command.name!r}"


def help(command: click.Command) -> None:  # noqa: A001  # what the check is called
    """``--help`` says what the command does, and each of its commands, if it is a group."""
    for words, one in _with_commands(command, command.name or ""):
        result = CliRunner().invoke(one, ["--help"], prog_name=words)
        shown = f"exit code {result.exit_code} and {result.output.strip()[-200:]!r}"
        assert result.exit_code == 0, (
            f"expected '{words} --help' to exit with 0, received {result.exception or shown!r}"
        )
        text = (one.help or one.short_help or "").strip()
        assert text, f"expected '{words} --help' to say what the command does, received no docstring"


CHECKS: tuple[Callable[[click.Command], None], ...] = (name_legal, name_free, help)


def check_command(command: click.Command) -> list[Result]:
    """The result of every check of a command."""
    return [_result(command, check) for check in CHECKS]


def _result(command: click.Command, check: Callable[[click.Command], None]) -> Result:
    outcome: Outcome = "passed"
    reason = ""
    try:
        check(command)
    except Exception as error:
        outcome = "failed"
        reason = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return Result("command", command.name or "", check.__name__, outcome, reason)


def _with_commands(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """The command, and if it is a group all below it, each with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _with_commands(inner, f"{words} {name}")
