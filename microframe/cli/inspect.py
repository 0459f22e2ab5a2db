"""``microframe inspect``: what is in a configuration or in a model file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microframe.cli.options import (
    common_options,
    is_model_file,
    json_option,
    model_file_options,
    refuse_model_file_options,
)
from microframe.cli.output import format_cell, missing_report, print_json, print_table
from microframe.errors import DataError, UsageError
from microframe.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from microframe.arrays import Shape
    from microframe.contents import Contents
    from microframe.history import History
    from microframe.model import Model
    from microframe.providers import Record
    from microframe.summary import Summary

_LAYER = ("name", "type", "inputs", "output_shape", "arrays", "parameters", "state", "provider")
_DIGESTS = {"sha256": "SHA-256 of the file", "manifest_sha256": "SHA-256 of the manifest, which names the model"}


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
@model_file_options
@json_option
@common_options
def command(file: str, input_shape: Shape | None, as_json: bool, **options: Any) -> int:
    """Show the layers, shapes and sizes of the network in FILE, and where each part comes from.

    FILE is a configuration or a model file. Of a model file the digests and the training history are shown as well, and
    its structure, all digests and its manifest are checked. Plugins that it needs are not imported, and may be missing;
    whether its tensors and its training are those of their components is what `microframe verify` checks.
    """
    path = Path(file)
    if is_model_file(path):
        if input_shape is not None:
            raise UsageError(f"{file} is a trained model, whose input shape is known: leave out --input-shape")
        from microframe.contents import Contents

        inspection = _of_contents(Contents(path, **options))
    else:
        refuse_model_file_options(file, options)
        inspection = _of_configuration(path, input_shape)
    if as_json:
        print_json({"file": file, **inspection.report})
    else:
        click.echo(path)
        inspection.print()
    return 0


@dataclass
class _Inspection:
    """What was found out.

    Attributes:
        report: it as JSON values.
        table: the layers, the head first.
        total: a line below them.
        records: who provides each part, by kind and name; as the file has it, if it is a model.
        history: the training so far; None of a configuration.
        lines: what else there is to tell.
    """

    report: dict[str, Any]
    table: Sequence[Sequence[str]]
    total: str
    records: Mapping[str, Record]
    history: History | None = None
    lines: list[str] = field(default_factory=list)

    def print(self) -> None:
        from microframe.printable import printable

        head, *rows = self.table
        print_table(head, rows)
        click.echo(self.total)
        for line in self.lines:
            click.echo(printable(line, most=None))
        _print_with_title("other parts that are not standard", ["kind", "name", "from"], _other_parts(self.records))
        if self.history is None:
            return
        columns = ["provider", "recorded", "installed"]
        _print_with_title("versions of the providers", columns, _providers(self.records))
        if self.history.epochs:
            click.echo()
            print_table(["epoch", *self.history], _history_rows(self.history))
        for part, values in self.report["results"].items():
            _print_with_title(part, ["metric", "value"], list(values.items()))


def _of_configuration(path: Path, shape: Shape | None) -> _Inspection:
    from microframe.configuration import located_in
    from microframe.model import Model
    from microframe.summary import origin_of

    model = Model.from_config(path)
    summary, reason = None, ""
    with located_in(path):
        try:
            summary = model.summary(shape or _shape_of_data(model))
        except DataError as error:
            reason = str(error)
    config, records = model.stored_configuration()
    empty: dict[str, Any] = {"classes": None, "feature_names": None, "target_names": None, "history": {}, "results": {}}
    report = {**_summarized(summary), "providers": _provider_report(records), **empty, "config": config}
    if summary is not None:
        return _Inspection(report, summary.cells(), summary.total(), records)
    rows = [(layer.name or "", layer.type, origin_of(layer)) for layer in model.layers]
    total = f"shapes are not known: {reason}; --input-shape gives them"
    return _Inspection(report, [("layer", "type", "from"), *rows], total, records)


def _shape_of_data(model: Model) -> Shape:
    """The shape of one sample.

    Raises:
        DataError: it cannot be known; the message says why.
    """
    if model.configuration.data is None:
        raise DataError("the configuration has no [data]")
    return tuple(model.configuration.data.source.load().inputs.shape[1:])


def _of_contents(contents: Contents) -> _Inspection:
    """A model file, of which no plugin is imported."""
    manifest, missing = contents.manifest, contents.configuration.missing()
    digests = {name: getattr(contents, name) for name in _DIGESTS}
    report = {
        **digests,
        **_summarized(contents.summary),
        "providers": _provider_report(manifest.providers),
        "classes": manifest.classes,
        "feature_names": manifest.feature_names,
        "target_names": manifest.target_names,
        "history": contents.history.to_dict(),
        "results": contents.results,
        "config": manifest.config,
        **missing_report(missing),
    }
    lines = [f"classes: {', '.join(map(str, manifest.classes))}"] if manifest.classes is not None else []
    lines += [f"{label}: {digests[name]}" for name, label in _DIGESTS.items()]
    if missing is not None:
        use = "predictions and training take" if contents.configuration.missing(training=False) else "training takes"
        lines += [f"{use} what is missing here:", *str(missing).splitlines()]
    summary = contents.summary
    return _Inspection(report, summary.cells(), summary.total(), manifest.providers, contents.history, lines)


def _summarized(summary: Summary | None) -> dict[str, Any]:
    """The layers and their sizes; null stands for what is not known."""
    return {
        "input_shape": summary.input_shape if summary else None,
        "layers": [{name: getattr(row, name) for name in _LAYER} for row in summary.rows] if summary else [],
        "parameters": summary.parameters if summary else None,
        "bytes": summary.bytes if summary else None,
    }


def _print_with_title(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table, if it has any rows, with an empty line above."""
    from microframe.summary import short

    if rows:
        click.echo()
        print_table(head, [[short(format_cell(cell)) for cell in row] for row in rows], title)


def _other_parts(records: Mapping[str, Record]) -> list[tuple[str, str, str]]:
    """Kind, name and origin of each part that is neither standard nor a layer."""
    from microframe.plugins import STANDARD
    from microframe.summary import format_origin

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


def _providers(records: Mapping[str, Record]) -> list[tuple[str, str, str]]:
    """Each provider that a model file records: what it is, in which version, and which one is installed here.

    None if all of it is microframe's own, in the version that is running.
    """
    from microframe.providers import installed_version

    rows = set()
    for record in records.values():
        installed = installed_version(record.distribution) or "not installed" if record.distribution else ""
        rows.add((record.distribution or record.origin, record.distribution_version or "", installed))
    return [] if rows <= {("microframe", __version__, __version__)} else sorted(rows)


def _history_rows(history: History, most: int = 6) -> list[list[str]]:
    """The first and last epoch and some between."""
    count = history.epochs
    chosen = sorted({round(index * (count - 1) / max(most - 1, 1)) for index in range(min(most, count))} | {count - 1})
    return [[str(epoch + 1), *(format_cell(history[name][epoch]) for name in history)] for epoch in chosen]
