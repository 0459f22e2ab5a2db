"""``microframe plugins list``: every plugin with its state and what it provides."""

from __future__ import annotations

import click

from microframe.cli.options import common_options, json_option
from microframe.cli.output import print_json


@click.command("list")
@click.option("--names", "names_only", is_flag=True, help="Print the names alone, for which no plugin is imported.")
@json_option
@common_options
def command(names_only: bool, as_json: bool) -> None:
    """List the plugins with their state, what they provide, and how long their import took."""
    if names_only:
        _print_names(as_json)
        return
    from microframe.cli.plugins.report import every_report, print_reports

    reports = every_report()
    if as_json:
        print_json([report.to_json() for report in reports])
        return
    print_reports(reports)


def _print_names(as_json: bool) -> None:
    from microframe.plugins import STANDARD
    from microframe.registry import registry

    names = [STANDARD, *registry.plugins.names()]
    if as_json:
        print_json(names)
    else:
        click.echo("\n".join(names))
