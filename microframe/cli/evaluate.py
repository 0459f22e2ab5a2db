"""``microframe evaluate``: how well a model predicts samples whose targets are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microframe.cli.options import common_options, delimiter_option, json_option, model_file_options
from microframe.cli.output import print_json, print_table
from microframe.errors import DataError, UsageError, expectation

if TYPE_CHECKING:
    from microframe.arrays import Array
    from microframe.model import Model
    from microframe.tables import Delimiter

MOST_CLASSES = 25
"""Up to how many classes a confusion matrix can be taken in at a glance."""


@click.command("evaluate")
@click.argument("file", type=click.Path())
@click.argument("samples", required=False, type=click.Path(allow_dash=True))
@delimiter_option
@model_file_options
@json_option
@common_options
def command(file: str, samples: str | None, delimiter: Delimiter | None, as_json: bool, **loading: Any) -> int:
    """Report loss, metrics and, for classes, the confusion matrix of the trained model in FILE.

    SAMPLES is a csv file with the target column, or - for standard input, and is read like the table that the model
    was trained on. Without it, the samples are those that were held out for a test when the model was trained, read
    again from the source that it was trained on.
    """
    from microframe.model import Model

    if samples is None and delimiter is not None:
        raise UsageError("--delimiter is for samples in a file, which are not given")
    model = Model.load(Path(file), **loading)
    inputs, targets = _held_out(model) if samples is None else _read(model, samples, delimiter)
    results = model.evaluate(inputs, targets)
    matrix = _confusion(model, inputs, targets)
    if as_json:
        report = {"samples": len(inputs), "results": results}
        print_json(report if matrix is None else {**report, "classes": model.classes, "confusion": matrix})
        return 0
    print_table(["metric", "value"], results.items(), title=f"{len(inputs)} samples")
    if matrix is not None and model.classes is not None:
        click.echo()
        _print_confusion([str(name) for name in model.classes], matrix)
    return 0


def _print_confusion(names: Sequence[str], matrix: Array) -> None:
    """The whole matrix, or of many classes the most frequent confusions."""
    if len(names) <= MOST_CLASSES:
        rows = [[name, *map(str, counts)] for name, counts in zip(names, matrix, strict=True)]
        print_table(["true \\ predicted", *names], rows)
        return
    confusions = [
        (-int(matrix[true, predicted]), true, predicted)
        for true, predicted in zip(*matrix.nonzero(), strict=True)
        if true != predicted
    ]
    if confusions:
        rows = [[names[true], names[predicted], str(-count)] for count, true, predicted in sorted(confusions)[:10]]
        print_table(["true", "predicted", "count"], rows, title="most frequent confusions")
    else:
        click.echo("no class is taken for another")
    click.echo(f"--json has the whole matrix of {len(names)} classes")


def _read(model: Model, samples: str, delimiter: Delimiter | None) -> tuple[Array, Array]:
    from microframe.cli.samples import read_samples

    inputs, targets = read_samples(model, samples, targets=True, delimiter=delimiter)
    if targets is None:
        names = ", ".join(model.target_names or ()) or "at the end"
        raise DataError(f"{samples}: the target column is missing ({names}), so there is nothing to compare with")
    return inputs, targets


def _held_out(model: Model) -> tuple[Any, Any]:
    """The test part of the data that the model was trained on."""
    import numpy as np

    from microframe.fitting import changed_values

    data = model.configuration.data
    if data is None or model.parts is None or not len(model.parts.test):
        raise UsageError("the model has no test samples of its own: name a csv file that has the target column")
    dataset = data.source.load()
    if dataset.target is None or changed_values(model, dataset):
        raise DataError("the data that the model was trained on has changed since, so its test samples cannot be told")
    rows = model.parts.test
    return np.asarray(dataset.inputs[rows]), np.asarray(dataset.target)[rows]


def _confusion(model: Model, inputs: Array, targets: Array) -> Any:
    from microframe.preparation import number_classes
    from microframe.standard.metrics import confusion_matrix

    if model.classes is None:
        return None
    true, _ = number_classes(targets, model.classes)
    try:
        return confusion_matrix(model.outputs(inputs), true, len(model.classes), model.threshold)
    except ValueError as error:
        raise DataError(f"confusion matrix: expected {expectation(error)}") from error
