"""``microframe inspect``: what is in a configuration or in a model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microframe.cli.options import common_options, json_option
from microframe.cli.output import format_cell, print_json, print_table
from microframe.errors import DataError, UsageError
from microframe.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from microframe.arrays import Shape
    from microframe.history import History
    from microframe.model import Model
    from microframe.providers import Record
    from microframe.summary import Summary


def _parse_shape(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> Shape | None:
    if text is None:
        return None
    extents = [extent.strip() for extent in text.split(",")]
    if not all(extent.isdecimal() and int(extent) for extent in extents):
        raise click.BadParameter(f"expected whole numbers of at least 1 with commas between, received {text!r}")
    return tuple(map(int, extents))


@click.command("inspect")
@click.argument("file", type=click.Path())
@click.option(
    "--input-shape",
    metavar="N,N,...",
    callback=_parse_shape,
    help="The shape of one sample, where the data isn't at hand.",
)
@json_option
@common_options
def command(file: str, input_shape: Shape | None, as_json: bool) -> int:
    """Show the layers, shapes and sizes of the network in FILE, and where each part comes from.

    FILE is a configuration or a model file; of a model file the training history is shown in brief as well.
    """
    from microframe.configuration import located_in
    from microframe.model import Model

    path = Path(file)
    model = Model.load(path) if path.suffix == ".h5" else Model.from_config(path)
    if model.is_built and input_shape is not None:
        raise UsageError(f"{file} is a trained model, whose input shape is known: leave out --input-shape")
    with located_in(path):
        summary, reason = _summary(model, input_shape)
    if as_json:
        print_json(_report(path, model, summary))
        return 0
    click.echo(path)
    if summary is not None:
        head, *rows = summary.cells()
        print_table(head, rows)
        click.echo(summary.total())
    else:
        from microframe.summary import origin_of

        rows = [(layer.name or "", layer.type, origin_of(layer)) for layer in model.layers]
        print_table(["layer", "type", "from"], rows)
        click.echo(f"shapes are not known: {reason}; --input-shape gives them")
    _print_model(model)
    return 0


def _summary(model: Model, shape: Shape | None) -> tuple[Summary | None, str]:
    """The layers with their shapes; None, and why, where the shape of the input cannot be known."""
    if model.is_built:
        return model.summary(), ""
    if shape is None:
        if model.configuration.data is None:
            return None, "the configuration has no [data]"
        try:
            shape = tuple(model.configuration.data.source.load().inputs.shape[1:])
        except DataError as error:
            return None, str(error)
    return model.summary(shape), ""


def _report(path: Path, model: Model, summary: Summary | None) -> dict[str, Any]:
    config, current = model.stored_configuration()
    layers = [
        {
            "name": row.name,
            "type": row.type,
            "inputs": row.inputs,
            "output_shape": row.output_shape,
            "parameters": row.parameters,
            "state": row.state,
            "provider": row.provider,
        }
        for row in (summary.rows if summary else ())
    ]
    return {
        "file": str(path),
        "input_shape": summary.input_shape if summary else None,
        "layers": layers,
        "parameters": summary.parameters if summary else None,
        "bytes": summary.bytes if summary else None,
        "providers": _provider_report(model.recorded_providers or current),
        "classes": model.classes,
        "feature_names": model.feature_names,
        "target_names": model.target_names,
        "history": model.history.to_dict(),
        "results": model.results,
        "config": config,
    }


def _print_model(model: Model) -> None:
    from microframe.values import printable

    if model.classes is not None:
        click.echo(f"classes: {', '.join(printable(str(name)) for name in model.classes)}")
    others = _other_parts(model)
    if others:
        click.echo()
        print_table(["kind", "name", "from"], others, title="other parts that are not standard")
    providers = _providers(model)
    if providers:
        click.echo()
        print_table(["provider", "recorded", "installed"], providers, title="versions of the providers")
    if model.history.epochs:
        click.echo()
        print_table(["epoch", *model.history], _history_rows(model.history))
    for part, values in model.results.items():
        click.echo()
        print_table(["metric", "value"], values.items(), title=part)


def _other_parts(model: Model) -> list[tuple[str, str, str]]:
    """Kind, name and origin of each part that is neither standard nor a layer."""
    from microframe.plugins import STANDARD
    from microframe.summary import format_origin

    _, records = model.stored_configuration()
    parts = []
    for part, record in sorted(records.items()):
        kind, _, reference = part.partition(":")
        if kind != "layer" and record.plugin != STANDARD:
            origin = format_origin(record.plugin, record.distribution, record.distribution_version)
            parts.append((kind, reference.rpartition(".")[2], origin))
    return parts


def _provider_report(records: Mapping[str, Record]) -> dict[str, dict[str, Any]]:
    """The records, with the version of each distribution that is installed here."""
    from microframe.providers import installed_version, to_json

    return {
        part: {**values, "installed_version": values["distribution"] and installed_version(values["distribution"])}
        for part, values in to_json(records).items()
    }


def _providers(model: Model) -> list[tuple[str, str, str]]:
    """Each provider that the model's file records: what it is, in which version, and which one is installed here.

    None if all of it is microframe's own, in the version that is running.
    """
    from microframe.providers import installed_version

    rows = set()
    for record in model.recorded_providers.values():
        installed = installed_version(record.distribution) or "not installed" if record.distribution else ""
        rows.add((record.distribution or record.origin, record.distribution_version or "", installed))
    return [] if rows <= {("microframe", __version__, __version__)} else sorted(rows)


def _history_rows(history: History, most: int = 6) -> list[list[str]]:
    """The first and last epoch and some between."""
    count = history.epochs
    chosen = sorted({round(index * (count - 1) / max(most - 1, 1)) for index in range(min(most, count))} | {count - 1})
    return [[str(epoch + 1), *(format_cell(history[name][epoch]) for name in history)] for epoch in chosen]
