"""What every source must do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.configuration import Training
from microframe.errors import DataError, list_names
from microframe.fitting import GivenData, begin
from microframe.interfaces import Dataset, Source
from microframe.model import Model
from microframe.samples import Samples, as_rows
from microframe.testing.checks.guards import assert_same, drawing_from_no_global_generator, keeping_nothing
from microframe.testing.conformance import Skipped

_BATCH = 4


def dataset(example: Example) -> None:
    """It gives a `Dataset` of at least one row, with a target for each row and a name of its own for each column."""
    data = _loaded(example)
    for attribute in ("shape", "dtype", "__getitem__"):
        assert hasattr(data.inputs, attribute), (
            f"expected inputs with {attribute}, received {type(data.inputs).__name__}"
        )
    rows = data.inputs.shape[0] if data.inputs.shape else 0
    assert rows >= 1, f"expected inputs of at least one row, received shape {data.inputs.shape}"
    first = np.asarray(data.inputs[0:1])
    expected = (1, *data.inputs.shape[1:])
    assert first.shape == expected, f"expected inputs[0:1] to have the shape {expected}, received {first.shape}"
    target_shape: tuple[int, ...] | None = None
    if data.target is not None:
        assert isinstance(data.target, np.ndarray), (
            f"expected an array of targets, received {type(data.target).__name__}"
        )
        target_shape = data.target.shape
        assert target_shape[:1] == (rows,), f"expected {rows} targets, one a row, received shape {target_shape}"
    assert data.missing in {"error", "mean"}, f"expected missing to be 'error' or 'mean', received {data.missing!r}"
    _assert_names("feature_names", data.feature_names, data.inputs.shape)
    _assert_names("target_names", data.target_names, target_shape)


def deterministic(example: Example) -> None:
    """Loading twice gives the same, bit for bit."""
    once, again = _loaded(example), _loaded(example)
    assert_same(_inputs(again), _inputs(once), "the same inputs when they are loaded again")
    assert (once.target is None) == (again.target is None), "expected targets each time or never"
    if once.target is not None and again.target is not None:
        assert_same(_plain(again.target), _plain(once.target), "the same targets when they are loaded again")
    assert once.feature_names == again.feature_names, "expected the same names of columns, received others"
    assert once.target_names == again.target_names, "expected the same names of targets, received others"


def dtype(example: Example) -> None:
    """Inputs are numbers: integers, truth values, or floats of 32 or 64 bits."""
    inputs = _loaded(example).inputs
    is_plain = inputs.dtype.kind in "biu" or (inputs.dtype.kind == "f" and inputs.dtype.itemsize in {4, 8})
    assert is_plain, f"expected inputs of integers, float32 or float64, received {inputs.dtype}"
    values = _inputs(_loaded(example)).dtype
    assert values == inputs.dtype, f"expected rows of {inputs.dtype}, as the inputs say, received {values}"


def no_global_random_state(example: Example) -> None:
    """Random numbers come from a generator of the source's own, which a field seeds."""
    with drawing_from_no_global_generator():
        _inputs(_loaded(example))


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the source or its class."""
    with keeping_nothing(example.component):
        _inputs(_loaded(example))


def missing_file(example: Example) -> None:
    """Files that are not there lead to a DataError that names one of them, or their folder; a part of them may do."""
    if not example.files:
        raise Skipped("no example has files")
    names = list(example.files)
    assert _refuses_without(example, names), (
        f"expected a DataError when {list_names(names)} {'are' if len(names) > 1 else 'is'} not there, but it was "
        f"loaded without"
    )
    for name in names if len(names) > 1 else ():
        _refuses_without(example, [name])


def trainable(example: Example) -> None:
    """A small model can be trained on it, or reads a batch of it where there is no target."""
    data = _loaded(example)
    if data.target is None:
        shape = tuple(data.inputs.shape[1:])
        model = Model(_layers(1, "linear")).build(shape)
        samples = Samples(as_rows(data.inputs, model.network.input_dtype))
        batch = next(samples.batches(_BATCH, model.network.input_dtype))
        model(batch.inputs)
        return
    loss, layers = _task(data.target)
    run = begin(Model(layers), Training(loss=loss, batch_size=_BATCH), GivenData(data))
    run.rehearse()


CHECKS: tuple[Callable[[Example], None], ...] = (
    keeps_nothing,  # before the others could fill a cache
    dataset,
    deterministic,
    dtype,
    no_global_random_state,
    missing_file,
    trainable,
)


def _source(example: Example) -> Source:
    assert isinstance(example.component, Source)
    return example.component


def _loaded(example: Example) -> Dataset:
    data = _source(example).load()
    assert isinstance(data, Dataset), f"expected load to return a microframe.Dataset, received {type(data).__name__}"
    return data


def _refuses_without(example: Example, names: Sequence[str]) -> bool:
    """Whether loading fails without files of the example; as it should, if it does."""
    what = list_names(names)
    for name in names:
        Path(name).unlink()
    try:
        _source(example).load()
    except DataError as error:
        message = str(error)
    except Exception as error:
        received = f"{type(error).__name__}: {error}"
        raise AssertionError(f"expected a DataError when there is no {what}, received {received}") from error
    else:
        return False
    finally:
        for name in names:
            Path(name).write_bytes(example.files[name])
    folders = {folder.as_posix() for name in names for folder in Path(name).parents} - {"."}
    words = {Path(name).name for name in names} | folders
    is_named = any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message) for word in words)
    assert is_named, f"expected a DataError that names {what}, received: {message}"
    return True


def _inputs(data: Dataset) -> Array:
    """All inputs, in memory."""
    return np.asarray(data.inputs[0 : data.inputs.shape[0]])


def _plain(target: Array) -> Array:
    """Targets as an array whose bytes can be compared: Python objects as the text that shows them."""
    return target if target.dtype.kind != "O" else np.array([repr(value) for value in target.ravel().tolist()])


def _assert_names(what: str, names: Any, shape: tuple[int, ...] | None) -> None:
    """Assert that there is a name of its own for each column of an array of `shape`, if there are names at all."""
    if names is None:
        return
    columns = None if shape is None or len(shape) > 2 else (shape[1] if len(shape) == 2 else 1)
    is_listed = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    assert is_listed, f"expected {what} to be a tuple of strings, received {names!r}"
    assert len(names) == columns, f"expected {columns or 'no'} {what}, one a column, received {len(names)}: {names}"
    assert len(set(names)) == len(names), f"expected {what} that differ from each other, received {names}"


def _task(target: Array) -> tuple[str, tuple[dict[str, Any], ...]]:
    """The loss and the layers of a model that can be trained on `target`."""
    if target.ndim > 1 or target.dtype.kind == "f":
        return "mean_squared_error", _layers(int(np.prod(target.shape[1:])), "linear")
    return "cross_entropy", _layers(max(len(set(target.tolist())), 2), "softmax")


def _layers(units: int, activation: str) -> tuple[dict[str, Any], ...]:
    return {"type": "flatten"}, {"type": "dense", "units": units, "activation": activation}
