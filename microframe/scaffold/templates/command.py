"""A command for microframe: how many weights of a model are next to nothing."""

from __future__ import annotations

import click

import microframe


@click.command("part-name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--threshold",
    type=click.FloatRange(min=0),
    default=1e-3,
    show_default=True,
    help="The largest absolute value that is next to nothing.",
)
def command(file: str, threshold: float) -> None:
    """Print the share of the weights in the model FILE that are next to nothing."""
    for layer, arrays in microframe.load(file).weights.items():
        for name, array in arrays.items():
            small = int((abs(array) <= threshold).sum())
            click.echo(f"{layer}.{name}: {small} of {array.size} ({small / array.size:.0%})")


@microframe.hookimpl
def microframe_commands() -> list[click.Command]:
    return [command]
