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


def _single(_ctx: click.Context, _parameter: click.Parameter, kinds: tuple[str, ...]) -> str:
    if len(kinds) > 1:
        raise click.BadParameter(
            f"expected one kind, received {' and '.join(kinds)}: begin with a package for one, and add to its module"
        )
    return kinds[0]


@click.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    multiple=True,  # to see that there are several, of which click would take the last
    default=["layer"],
    show_default=True,
    callback=_single,
    help="What it provides.",
)
@click.option(
    "--directory",
    type=click.Path(),
    help="The folder to write, new or empty; microframe-NAME in the current one unless given.",
)
@common_options
def command(name: str, kind: str, directory: str | None) -> None:
    """Write a package to make a new plugin from.

    It has a module with a part that works, tests of its numbers, and what makes it installable. NAME is what the part
    is to be called, such as swish or "leaky swish"; none that an installed plugin has.
    """
    from microframe.scaffold import check_free, names_of, package_files, write_package

    names = names_of(name, kind)
    check_free(names, kind)
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
