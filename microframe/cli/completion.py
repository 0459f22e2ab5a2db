"""``microframe completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from microframe.errors import UsageError

_ADVICE = {
    "bash": 'eval "$(microframe completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(microframe completion zsh)"   in ~/.zshrc',
    "fish": "microframe completion fish > ~/.config/fish/completions/microframe.fish",
}


@click.command("completion", epilog="\b\n" + "\n".join(_ADVICE.values()))
@click.argument("shell", type=click.Choice(list(_ADVICE)))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete microframe's commands and options."""
    from microframe.cli.commands import group

    completion = get_completion_class(shell)
    if completion is None:
        raise UsageError(f"completion for {shell} is not to be had")
    click.echo(completion(group, {}, "microframe", "_MICROFRAME_COMPLETE").source())
