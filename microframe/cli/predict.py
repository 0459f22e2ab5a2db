"""``microframe predict``: from a model file and samples to predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microframe.cli.options import common_options, delimiter_option, json_option, model_file_options, output_options
from microframe.cli.output import check_output, format_cell, print_json, print_table, writing
from microframe.errors import UsageError

if TYPE_CHECKING:
    from microframe.arrays import Array
    from microframe.model import Model
    from microframe.tables import Delimiter

FORMATS = (".csv", ".json", ".npz", ".h5")


def predict_options(command: Any) -> Any:
    """The options of a prediction."""
    command = click.option(
        "--batch-size", type=click.IntRange(min=1), default=1024, show_default=True, help="Samples worked on at once."
    )(command)
    command = delimiter_option(command)
    return click.option("--proba", is_flag=True, help="Also give the probability of each class.")(command)


@click.command("predict")
@click.argument("file", type=click.Path())
@click.argument("samples", type=click.Path(allow_dash=True))
@predict_options
@model_file_options
@output_options
@json_option
@common_options
def command(file: str, samples: str, **options: Any) -> int:
    """Predict SAMPLES with the trained model in FILE.

    SAMPLES is a csv file, or - for standard input, and is read like the table that the model was trained on. With a
    header, its columns are matched to the model's by name; without one, by position. Target columns may be there and
    are ignored. Predictions are printed as a table, or written to --output, whose ending chooses the form: .csv,
    .json, .npz or .h5.
    """
    return predict(Path(file), samples, **options)


def predict(
    file: Path,
    samples: str,
    *,
    proba: bool,
    batch_size: int,
    delimiter: Delimiter | None,
    output: str | None,
    overwrite: bool,
    as_json: bool,
    **loading: Any,
) -> int:
    """Predict and report; gives the exit code. `loading` is what `Model.load` takes."""
    from microframe.cli.samples import read_samples
    from microframe.model import Model

    if output is not None:
        _check_format(Path(output))
        check_output(Path(output), overwrite=overwrite)
    model = Model.load(file, **loading)
    inputs, _ = read_samples(model, samples, targets=False, delimiter=delimiter)
    outputs = model.outputs(inputs, batch_size=batch_size)
    columns = _columns(model, outputs, proba=proba)
    if output is not None:
        with writing(Path(output)):
            _write(Path(output), columns)
        click.echo(f"saved {output} ({len(outputs)} predictions)", err=True)
    if as_json:
        print_json(_records(columns))
    elif output is None:
        names = 1 if model.classes is not None else 0
        formats = [str if number < names else format_cell for number in range(len(columns))]
        cells = [map(form, column.tolist()) for form, column in zip(formats, columns.values(), strict=True)]
        print_table(["row", *columns], zip(map(str, range(1, len(outputs) + 1)), *cells, strict=True))
    return 0


def _columns(model: Model, outputs: Array, *, proba: bool) -> dict[str, Array]:
    """The predictions column by column, each named."""
    decided = model.decide(outputs).reshape(len(outputs), -1)
    names = model.target_names if model.target_names and len(model.target_names) == decided.shape[1] else None
    if names is None:
        count = decided.shape[1]
        names = ("prediction",) if count == 1 else tuple(f"prediction_{number}" for number in range(count))
    columns = {name: decided[:, number] for number, name in enumerate(names)}
    if proba:
        probabilities = model.probabilities(outputs).reshape(len(outputs), -1)
        classes = model.classes if model.classes is not None else range(probabilities.shape[1])
        columns |= {f"probability_{name}": column for name, column in zip(classes, probabilities.T, strict=True)}
    return columns


def _records(columns: dict[str, Array]) -> list[dict[str, Any]]:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _check_format(path: Path) -> None:
    if path.suffix not in FORMATS:
        raise UsageError(f"{path}: predictions can be written as {', '.join(FORMATS)}, not as {path.suffix!r}")


def _write(path: Path, columns: dict[str, Array]) -> None:
    """Write predictions in the form that the ending of `path` asks for."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    elif path.suffix == ".json":
        path.write_text(json.dumps(_records(columns), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    elif path.suffix == ".npz":
        _write_npz(path, columns)
    else:
        _write_hdf5(path, columns)


def _write_npz(path: Path, columns: dict[str, Array]) -> None:
    """As numpy.savez, which cannot write an array that is called like one of its own arguments."""
    import zipfile

    from numpy.lib import format as npy

    with zipfile.ZipFile(path, "w") as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w") as stream:
                npy.write_array(stream, column, allow_pickle=False)


def _write_hdf5(path: Path, columns: dict[str, Array]) -> None:
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            is_text = column.dtype.kind == "U"
            file.create_dataset(name.replace("/", "_"), data=np.char.encode(column, "utf-8") if is_text else column)
