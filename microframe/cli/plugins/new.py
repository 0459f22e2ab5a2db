"""``microframe plugins new``: a package to start from."""

from __future__ import annotations

import os
import shlex
import subprocess

import click

from microframe.cli.options import common_options

KINDS = (
    "layer",
    "fitted_layer",
    "activation",
    "loss",
    "optimizer",
    "initializer",
    "schedule",
    "metric",
    "callback",
    "source",
    "command",
)


@click.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="layer", show_default=True, help="What it provides.")
@click.option(
    "--directory",
    type=click.Path(),
    help="The folder to write, new or empty; microframe-NAME in the current one unless given.",
)
@common_options
def command(name: str, kind: str, directory: str | None) -> None:
    """Write a package to make a new plugin from.

    It has a module with a part that works, tests of its numbers, and what makes it installable. NAME is what the part
    is to be called, such as swish or "leaky swish".
    """
    from microframe.scaffold import names_of, package_files, write_package

    names = names_of(name, kind)
    folder = directory or names.distribution
    content = package_files(names, kind)
    write_package(folder, content)
    click.echo("wrote")
    for path in content:
        click.echo(f"  {os.path.join(folder, path)}")
    click.echo("next")
    click.echo(f'  cd {_quoted(folder)} && pip install -e ".[test]"')
    click.echo("  pytest")
    click.echo(f"  microframe plugins check {names.plugin}")


def _quoted(path: str) -> str:
    """`path` as the shell takes it for one word."""
    return subprocess.list2cmdline([path]) if os.name == "nt" else shlex.quote(path)
