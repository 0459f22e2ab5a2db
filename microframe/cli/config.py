"""``microframe config``: configurations with every default, checked, or as a schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from microframe.cli.options import (
    common_options,
    is_model_file,
    json_option,
    model_file_options,
    output_options,
    refuse_model_file_options,
    set_option,
)
from microframe.cli.output import check_output, print_json, writing
from microframe.errors import ConfigError, DataError


@click.group("config")
def command() -> None:
    """Show, check or describe configurations."""


@command.command("show")
@click.argument("file", type=click.Path())
@set_option
@model_file_options
@json_option
@common_options
def show(file: str, overrides: Sequence[str], as_json: bool, **loading: Any) -> None:
    """Show FILE, a configuration or a model file, with every default filled in."""
    from microframe.configuration import override_configuration, read_configuration

    if is_model_file(file):
        from microframe.model import Model

        configuration = override_configuration(Model.load(file, **loading).configuration, overrides)
    else:
        refuse_model_file_options(file, loading)
        configuration = read_configuration(file, overrides)
    values = configuration.to_config()
    if as_json:
        print_json(values)
    else:
        import tomli_w

        click.echo(tomli_w.dumps(_without_none(values)), nl=False)


@command.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@json_option
@common_options
def validate(files: Sequence[str], as_json: bool) -> int:
    """Check configurations; every problem of every file is reported.

    The network is built for the shape of the data where that can be loaded, and its shapes are checked as well.
    """
    report: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        report[file] = []
        try:
            _check(file)
        except ConfigError as error:
            report[file] = [_problem(problem) for problem in error.problems] or [{"message": str(error)}]
            if not as_json:
                click.echo(str(error), err=True)
        else:
            if not as_json:
                click.echo(f"{file}: ok")
    if as_json:
        print_json(report)
    return ConfigError.exit_code if any(report.values()) else 0


@command.command("schema")
@output_options
@common_options
def schema(output: str | None, overwrite: bool) -> None:
    """Give the JSON Schema of configurations, with all parts that are installed, for editors to check and complete.

    It is printed, or written to --output.
    """
    from microframe.schema import configuration_schema

    text = json.dumps(configuration_schema(), indent=2)
    if output is None:
        click.echo(text)
        return
    check_output(Path(output), overwrite=overwrite)
    with writing(Path(output)):
        Path(output).write_text(text + "\n", encoding="utf-8")


def _check(file: str) -> None:
    """Raise ConfigError unless the configuration in `file` is valid and its network can be built for its data."""
    from microframe.configuration import located_in, read_configuration

    configuration = read_configuration(file)
    if configuration.data is None:
        return
    try:
        shape = tuple(configuration.data.source.load().inputs.shape[1:])
    except DataError as error:
        click.echo(f"note: {file}: the shapes are not checked, as the data cannot be loaded: {error}", err=True)
        return
    from microframe.model import Model

    with located_in(file):
        Model.from_config(configuration).build(shape)


def _problem(problem: Any) -> dict[str, Any]:
    from microframe.errors import format_path

    return {
        "message": str(problem),
        "path": format_path(problem.path),
        "line": problem.line,
        "expected": problem.expected,
        "received": problem.received,
        "suggestion": problem.suggestion,
    }


def _without_none(value: Any) -> Any:
    """TOML has no null; a field that is None is left out."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value
