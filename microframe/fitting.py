"""The beginning of a training run: from a model and the data it is given to samples and a `Run`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from microframe.arrays import Array
from microframe.checkpoint import copy_network, restore_network
from microframe.checks import DataDigests, check_finite, check_probabilities
from microframe.configuration import Configuration, Data, Training
from microframe.errors import ConfigError, DataError, Problem, UsageError
from microframe.frames import column_names, in_order
from microframe.history import History
from microframe.interfaces import Dataset, Loss
from microframe.interfaces.callback import Listener
from microframe.preparation import (
    ClassNames,
    Parts,
    check_classes,
    check_count,
    column_means,
    divide,
    number_classes,
    prepare,
    widen_classes,
)
from microframe.samples import Samples, Split, as_array, as_rows
from microframe.training import Run
from microframe.values import check_leaf, describe_value

if TYPE_CHECKING:
    from microframe.model import Model


@dataclass(frozen=True)
class GivenData:
    """What `fit` was given to train on.

    Attributes:
        dataset: inputs and targets, all rows.
        test: the share of the rows to hold out for a test.
        validation: the share of the rows to hold out for validation.
        split: how rows are held out.
        weight: a weight for each row, or None.
        validation_data: validation samples given apart: inputs, targets, and weights or None.
    """

    dataset: Dataset
    test: float = 0.0
    validation: float = 0.0
    split: Split = "auto"
    weight: Any = None
    validation_data: tuple[Any, Any, Any] | None = None


def given_data(dataset: Dataset, validation: Any, split: Split, weight: Any) -> GivenData:
    """Arrays given in Python; `validation` is a share, a tuple of arrays, or None."""
    problems: list[Problem] = []
    check_leaf(split, Split, ("split",), problems)
    if problems:
        raise UsageError(str(problems[0]))
    if isinstance(validation, tuple):
        if len(validation) not in {2, 3}:
            raise UsageError(f"validation: expected (x, y) or (x, y, sample_weight), received {len(validation)} values")
        x, y, *rest = validation
        return GivenData(dataset, split=split, weight=weight, validation_data=(x, y, rest[0] if rest else None))
    try:
        share = 0.0 if validation is None else float(validation)
    except (TypeError, ValueError):
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(
            f"validation: expected a share from 0 to less than 1, or (x, y), received {describe_value(validation)}"
        )
    return GivenData(dataset, validation=share, split=split, weight=weight)


def choose_data(
    configuration: Configuration, x: Any, y: Any, validation: Any, split: Split | None, weight: Any
) -> GivenData:
    """The data given in Python, or else the configuration's, with `validation` and `split` in place of its own.

    Raises:
        UsageError: there is neither, or only a part of the former.
    """
    if x is not None:
        return given_data(Dataset(as_rows(x), y, column_names(x)), validation, split or "auto", weight)
    if y is not None or weight is not None:
        raise UsageError("y and sample_weight go with x, which is not given")
    if configuration.data is None:
        raise UsageError("no data is given: pass x and y, or configure [data]")
    section = configuration.data
    data = configured_data(section if split is None else dataclasses.replace(section, split=split))
    if validation is None:
        return data
    given = given_data(data.dataset, validation, data.split, None)
    return dataclasses.replace(data, validation=given.validation, validation_data=given.validation_data)


def configured_data(data: Data) -> GivenData:
    """The data that a configuration names."""
    return GivenData(data.source.load(), data.test, data.validation, data.split)


def begin(
    model: Model, training: Training, data: GivenData, *, resume: bool = False, listeners: Sequence[Listener] = ()
) -> Run:
    """A run that is ready for its first batch.

    An unbuilt model is built, its preprocessing fitted on the training part; a built one keeps its weights, and
    with `resume` continues the run that its checkpoint is of. Where that fails, the model stays as it was.
    """
    undo = _undo(model)
    try:
        run = _begin(model, training, data, resume, listeners)
    except BaseException:
        undo()
        raise
    run.undo = undo
    return run


def _undo(model: Model) -> Callable[[], None]:
    """A function that makes the model again what it is now."""
    before = dict(vars(model))
    arrays = copy_network(model.network) if model.is_built else None

    def undo() -> None:
        vars(model).update(before)
        if arrays is not None:
            restore_network(model.network, arrays)

    return undo


def _begin(model: Model, training: Training, data: GivenData, resume: bool, listeners: Sequence[Listener]) -> Run:
    dataset = data.dataset
    if dataset.target is None:
        raise DataError("there is no target to train on; name its column, dataset or array")
    check_finite(dataset)
    if resume:
        check_continues(model, dataset)
        model.results = {}  # they are of the end of a training
    model.set_training(training)
    labels, model.classes = number_labels(training.loss, dataset.target, model.classes)
    count = int(dataset.inputs.shape[0])
    check_count(count, labels)
    parts = model.parts if resume and model.parts else _new_parts(model, training, data, labels)
    model.parts = parts
    labels = _meet(model, training.loss, dataset, labels)
    inputs = as_rows(dataset.inputs, model.network.input_dtype)

    def samples(rows: Array) -> Samples | None:
        if not len(rows):
            return None
        chosen = None if len(rows) == count else rows
        return prepare(model.network, training.loss, inputs, labels, data.weight, chosen, model.fill)

    train, validation, test = samples(parts.train), samples(parts.validation), samples(parts.test)
    assert train is not None
    if data.validation_data is not None:
        validation = labelled_samples(model, training.loss, *data.validation_data)
    if not model.is_fitted:
        fit_preprocessing(model, train)
    run = Run(model, training, train, validation, test, listeners)
    if resume and model.checkpoint is not None:
        run.restore(model.checkpoint)
    return run


def _meet(model: Model, loss: Loss, dataset: Dataset, labels: Array) -> Array:
    """Build the model for the data, if it isn't built, and check that its outputs fit; gives the class numbers."""
    assert model.parts is not None
    assert model.configuration.training is not None
    if not model.is_built:
        model.build(dataset.inputs.shape[1:], seed=model.configuration.training.seed)
    if not model.is_fitted:
        _note_columns(model, dataset, model.parts)
    output_shape = model.network.output_shape
    if output_shape:
        labels, model.classes = widen_classes(labels, model.classes, output_shape[-1])
    check_classes(model.classes, output_shape)
    check_probabilities(model.layers, loss, output_shape)
    model.is_single_value = np.asarray(dataset.target).ndim == 1 and output_shape == (1,)
    model.data_digests = DataDigests.of(dataset)
    return labels


def _new_parts(model: Model, training: Training, data: GivenData, labels: Array) -> Parts:
    """Divide the rows for a training that starts, and forget what the model knows of an earlier one."""
    model.history, model.results, model.records = History(), {}, {}
    classes = labels if model.classes is not None else None
    return divide(len(labels), data.test, data.validation, data.split, classes, training.seed)


def check_continues(model: Model, dataset: Dataset) -> None:
    """Raise UsageError if the model has no checkpoint, and DataError if that is not of a training on `dataset`."""
    if model.checkpoint is None or model.parts is None:
        raise UsageError("there is nothing to resume: the model has no checkpoint of an earlier training")
    changed = data_differences(model, dataset)
    if changed:
        listed = "\n  ".join(changed)
        raise DataError(f"the data has changed since the training that is to be resumed:\n  {listed}")


def data_differences(model: Model, dataset: Dataset) -> list[str]:
    """How `dataset` differs from the data that a model was trained on, a line for each difference.

    Values are compared by their digests, those of inputs only where they are in memory.
    """
    count, shape = int(dataset.inputs.shape[0]), tuple(dataset.inputs.shape[1:])
    pairs: list[tuple[str, Any, Any]] = [
        ("samples", model.parts.count if model.parts is not None else None, count),
        ("shape of a sample", model.network.input_shape, shape),
        ("targets", model.target_names, dataset.target_names),
    ]
    changed = [
        f"data: {what}: {describe_value(before)} then, {describe_value(now)} now"
        for what, before, now in pairs
        if before is not None and now is not None and before != now
    ]
    before, now = model.feature_names, dataset.feature_names
    if before is not None and now is not None and len(before) == len(now):
        changed += [
            f"data: column {number} (from 0): {one!r} then, {other!r} now"
            for number, (one, other) in enumerate(zip(before, now, strict=True))
            if one != other
        ]
    return changed + [f"data: the values of the {what} are others now" for what in changed_values(model, dataset)]


def changed_values(model: Model, dataset: Dataset) -> list[str]:
    """Which values of `dataset` are not those that a model was trained on: ``"inputs"``, ``"targets"``."""
    if model.data_digests is None:
        return []
    before, now = map(msgspec.structs.asdict, (model.data_digests, DataDigests.of(dataset)))
    return [what for what in before if None not in (before[what], now[what]) and before[what] != now[what]]


def _note_columns(model: Model, dataset: Dataset, parts: Parts) -> None:
    """Note how the data's columns are called and filled."""
    model.feature_names, model.target_names = dataset.feature_names, dataset.target_names
    model.target_columns, model.delimiter = dataset.target_columns, dataset.delimiter
    model.fill = column_means(dataset, parts.train)


def begin_configured(model: Model, *, resume: bool = False, listeners: Sequence[Listener] = ()) -> Run:
    """As `begin`, with the data and the training of the model's configuration.

    Raises:
        ConfigError: the configuration lacks one of them.
    """
    configuration = model.configuration
    missing = [section for section in ("data", "training") if getattr(configuration, section) is None]
    if missing:
        raise ConfigError(
            [Problem((section,), f"a section [{section}], which training needs", "none") for section in missing]
        )
    assert configuration.data is not None
    assert configuration.training is not None
    return begin(model, configuration.training, configured_data(configuration.data), resume=resume, listeners=listeners)


def number_labels(loss: Loss, target: Any, classes: ClassNames | None) -> tuple[Array, ClassNames | None]:
    """Targets as numbers, and the classes that they number: `classes`, or where that is None those of the labels.

    The classes are None for targets that are values.
    """
    values = as_array(target, "targets")
    if loss.takes_labels(values):
        return number_classes(values, classes)
    if values.dtype.kind not in "buif":
        raise DataError(f"loss {loss.type!r}: expected numbers as targets, received dtype {values.dtype}")
    return values, None


def labelled_samples(model: Model, loss: Loss, x: Any, y: Any, weight: Any = None) -> Samples:
    """Samples to evaluate a built model on."""
    network = model.network
    x = in_order(x, model.feature_names)
    labels, _ = number_labels(loss, y, model.classes)
    return prepare(network, loss, x, labels, weight, fill=model.fill)


def fit_preprocessing(model: Model, train: Samples) -> None:
    """Fit the layers that learn from the data before training, on the training part alone."""
    network = model.network
    network.fit_preprocessing(lambda: (batch.inputs.copy() for batch in train.batches(1024, network.input_dtype)))
    model.is_fitted = True
