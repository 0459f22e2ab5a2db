"""What of a model goes into its file, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from microframe.arrays import Array, Shape
from microframe.checkpoint import Checkpoint
from microframe.errors import DataError, ModelFileError, UsageError
from microframe.history import History
from microframe.interfaces.optimizer import ParameterSlice
from microframe.manifest import MOST_SETTINGS, Manifest, columns_of, describe_layers, has_more_values
from microframe.network import Description, Network
from microframe.preparation import Parts, check_classes
from microframe.providers import to_json
from microframe.randomness import generator, set_state
from microframe.storage import Code, ModelFile, Refused, check_tensors, finite, restored
from microframe.storage.manifest import MOST_LEVELS, count_levels
from microframe.version import __version__

if TYPE_CHECKING:
    from microframe.model import Model

_PARTS = ("train", "validation", "test")
_RANDOM = ("shuffle", "noise")
_MOST_STATE = 2**16
"""Bytes of the state of a random generator; it has some 200."""


def pack(model: Model, checkpoint: Checkpoint | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """The manifest and the tensors of a model's file; see `microframe.storage`."""
    network = model.network
    try:
        _check_names(model, network)
    except (DataError, ValueError) as error:
        raise UsageError(f"a model file: {error}") from error
    configuration, records = model.stored_configuration()
    if has_more_values(configuration, MOST_SETTINGS):
        raise UsageError(f"a model file holds a configuration of at most {MOST_SETTINGS} values; this one has more")
    manifest = {
        "config": configuration,
        "input_shape": list(network.input_shape),
        "layers": msgspec.to_builtins(describe_layers(network)),
        "classes": _listed(model.classes),
        "feature_names": _listed(model.feature_names),
        "target_names": _listed(model.target_names),
        "threshold": float(model.threshold),
        "fitted": model.is_fitted,
        "target_columns": list(model.target_columns),
        "delimiter": model.delimiter,
        "single_value": model.is_single_value,
        "data_digests": None if model.data_digests is None else msgspec.to_builtins(model.data_digests),
        "fill": None if model.fill is None else model.fill.tolist(),
        "history": columns_of(model.history),
        "results": {part: columns_of(History.of(values)) for part, values in model.results.items()},
        "microframe": __version__,
        "providers": to_json(records),
        "progress": None,
    }
    tensors = {f"weights/{path}": array for path, array in weights(network).items()}
    check_tensors(model.records, "records")
    tensors |= {f"records/{name}": array for name, array in model.records.items()}
    if model.parts is not None:
        tensors |= {f"splits/{part}": getattr(model.parts, part).astype(np.int64) for part in _PARTS}
    if checkpoint is not None:
        manifest["progress"] = finite({name: value for name, value in checkpoint.progress.items() if name != "random"})
        tensors |= _checkpoint_tensors(network, checkpoint)
    return manifest, tensors


def _checkpoint_tensors(network: Network, checkpoint: Checkpoint) -> dict[str, Array]:
    """The arrays and random states of a checkpoint, less the arrays that are those of the network itself."""
    own = _own_arrays(weights(network), network.layout)
    arrays = {
        path: array
        for path, array in checkpoint.arrays.items()
        if path not in own or array.tobytes() != own[path].tobytes()
    }
    states = checkpoint.progress["random"].items()
    return arrays | {f"random/{purpose}": _as_bytes(state) for purpose, state in states}


def unpack(file: ModelFile, manifest: Manifest, model: Model, *, mmap: bool = False) -> Network:
    """Fill `model`, which has its configuration, from `file`; gives the network with its weights.

    Raises:
        ModelFileError: the tensors are not those that the configuration asks for, or are damaged.
    """
    paths = file.paths("weights")

    def choose(described: Mapping[str, Description]) -> dict[str, Array] | None:
        file.expect({f"weights/{path}": description for path, description in described.items()}, "weights")
        return {path: file.map(f"weights/{path}") for path in paths} if mmap else None

    network = Network(model.layers, manifest.input_shape, model.dtype, choose=choose)
    with file.naming():
        for here, stored in zip(describe_layers(network), manifest.layers, strict=True):
            if here != stored:
                raise Refused(Code.CONFIG, "/manifest", f"another layer than {stored}, which the table has: {here}")
    if not mmap:
        file.read_into({f"weights/{path}": array for path, array in weights(network).items()})
    model.classes = _tuple(manifest.classes)
    model.feature_names, model.target_names = _tuple(manifest.feature_names), _tuple(manifest.target_names)
    model.threshold = manifest.threshold
    model.target_columns = tuple(manifest.target_columns)
    model.delimiter = manifest.delimiter
    model.is_single_value, model.data_digests = manifest.single_value, manifest.data_digests
    model.fill = _read_fill(manifest.fill, network.input_shape)
    model.history = manifest.record_of_training()
    model.results = manifest.last_results()
    model.records = {name: file.read(f"records/{name}") for name in file.paths("records")}
    if file.paths("splits"):
        model.parts = _read_parts(file)
    model.is_fitted = manifest.fitted
    _check_names(model, network)
    if manifest.progress is not None:
        _check_position(manifest.progress, model.parts)
        _expect_checkpoint(file, network, manifest.progress)
        again = partial(ModelFile, file.path.absolute(), allow_nonfinite=file.allow_nonfinite)
        model.checkpoint = partial(_read_checkpoint, again, file.sha256, network.layout)
    return network


def _check_names(model: Model, network: Network) -> None:
    """Raise DataError or ValueError unless there are as many names as the network has inputs and outputs."""
    check_classes(model.classes, network.output_shape)
    names = model.feature_names
    if names is not None and network.input_shape != (len(names),):
        raise ValueError(f"expected names for inputs of the shape {network.input_shape}, received {len(names)} names")


def _read_parts(file: ModelFile) -> Parts:
    paths = [f"splits/{part}" for part in _PARTS]
    _expect_vectors(file, paths, "splits", np.dtype(np.int64))
    parts = Parts(*(file.read(path).astype(np.intp, copy=False) for path in paths))
    is_there = np.zeros(parts.count, bool)
    for rows in (parts.train, parts.validation, parts.test):
        if len(rows) and (rows.min() < 0 or rows.max() >= parts.count):
            raise ValueError(
                f"expected numbers of {parts.count} rows in 'splits', received {rows.min()} to {rows.max()}"
            )
        is_there[rows] = True
    if not is_there.all():
        raise ValueError("expected every row of the data in one of 'splits', and in one alone")
    return parts


def _check_position(progress: dict[str, Any], parts: Parts | None) -> None:
    """Raise ValueError unless a training on the rows of `parts` can be where `progress` says."""
    samples, batch_size = progress["samples"], progress["batch_size"]
    if parts is None or samples != len(parts.train):
        raise ValueError(f"expected progress with as many samples as 'splits/train' has, received {samples}")
    if len(progress["memories"]) != len(progress["callbacks"]):
        raise ValueError(f"expected progress with a memory for each of {len(progress['callbacks'])} callbacks")
    if batch_size > samples or progress["batch"] >= -(-samples // batch_size):
        raise ValueError(f"expected progress within an epoch of {samples} samples, received {progress!r:.200}")


def _read_fill(values: list[Any] | None, input_shape: Shape) -> Array | None:
    """What replaces missing values: a number for each that an input has, as any other shape would spread over them."""
    if values is None:
        return None
    fill = np.asarray(values, np.float64)
    if fill.shape != input_shape or not np.isfinite(fill).all():
        raise ValueError(f"expected finite values to fill in of the shape {input_shape}, received {values!r:.80}")
    return fill


def _expect_checkpoint(file: ModelFile, network: Network, progress: dict[str, Any]) -> None:
    """Refuse the file if the arrays of its checkpoint aren't of the shapes that the network's training has."""
    outputs = ((progress["samples"], *network.output_shape), network.dtype)
    file.expect({f"progress/{name}": outputs for name in file.paths("progress") if name == "outputs"}, "progress")
    vector = ((network.parameter_count,), network.dtype)
    described = {
        f"optimizer/state/{layer}/{name}": (array.shape, array.dtype)
        for layer, arrays in network.state.items()
        for name, array in arrays.items()
    }
    paths = [f"optimizer/{path}" for path in file.paths("optimizer")]
    is_vector = ("optimizer/parameters", "optimizer/slots/")
    expected = {path: vector if path.startswith(is_vector) else described.get(path) for path in paths}
    file.expect({path: description for path, description in expected.items() if description}, "optimizer")
    _check_memories(file, progress["memories"])
    states = [f"random/{purpose}" for purpose in _RANDOM]
    _expect_vectors(file, states, "random", np.dtype(np.uint8))
    for path in states:
        (size,) = file.shape(path)
        if size > _MOST_STATE:
            found = f"{size} bytes, where the state of a generator has at most {_MOST_STATE}"
            raise ModelFileError(file.path, Code.RANDOM_STATE, f"/{path}", found)


def _check_memories(file: ModelFile, memories: list[dict[str, Any]]) -> None:
    """Refuse the file if an array is remembered by no callback, or under a name that another thing is remembered by."""
    by_number = {str(number): memory for number, memory in enumerate(memories)}
    for path in file.paths("callbacks"):
        number, _, name = path.partition("/")
        if number not in by_number or not name or name in by_number[number]:
            found = "an array that no callback remembers, or that has the name of something else"
            raise ModelFileError(file.path, Code.TENSORS, f"/callbacks/{path}", found)


def _expect_vectors(file: ModelFile, paths: list[str], group: str, dtype: np.dtype[Any]) -> None:
    file.expect({path: ((math.prod(file.shape(path)),), dtype) for path in paths}, group)


def _read_checkpoint(again: Callable[[], ModelFile], sha256: str, layout: Sequence[ParameterSlice]) -> Checkpoint:
    """The checkpoint in the file, which must still be the one with the manifest of the digest `sha256`."""
    with again() as file:
        if file.sha256 != sha256:
            found = (
                "another file than the model was loaded from, whose checkpoint was still to be read; "
                "save(..., resumable=False) does without it"
            )
            raise ModelFileError(file.path, Code.CHANGED, "the whole file", found)
        arrays = _own_arrays({name: file.read(f"weights/{name}") for name in file.paths("weights")}, layout)
        for group in ("optimizer", "callbacks", "progress"):
            arrays |= {f"{group}/{name}": file.read(f"{group}/{name}") for name in file.paths(group)}
        states = {purpose: _read_state(file, f"random/{purpose}") for purpose in _RANDOM}
        progress = restored(file.manifest["progress"])
    return Checkpoint(progress | {"random": states}, arrays)


def _own_arrays(arrays: Mapping[str, Array], layout: Sequence[ParameterSlice]) -> dict[str, Array]:
    """The network's arrays as a checkpoint has them that holds no others."""
    trained = [piece.name for piece in layout]
    parameters = [arrays[name].reshape(-1) for name in trained]
    return {
        "optimizer/parameters": np.concatenate(parameters) if parameters else np.zeros(0),
        **{f"optimizer/state/{name}": arrays[name] for name in arrays.keys() - set(trained)},
    }


def _read_state(file: ModelFile, path: str) -> dict[str, Any]:
    """The state of a random generator, tried out on one."""
    text = file.read(path).tobytes()
    try:
        if count_levels(text) > MOST_LEVELS:
            raise ValueError("nested very deeply")
        state: dict[str, Any] = json.loads(text)
        set_state(generator(0, "noise"), state)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ModelFileError(file.path, Code.RANDOM_STATE, f"/{path}", f"no state of a generator: {error}") from error
    return state


def _as_bytes(state: dict[str, Any]) -> Array:
    return np.frombuffer(json.dumps(state, sort_keys=True).encode(), np.uint8)


def weights(network: Network) -> dict[str, Array]:
    """Every array of the network, trained or not, by ``layer/array``: views."""
    return {
        f"{layer}/{name}": array
        for views in (network.weights, network.state)
        for layer, arrays in views.items()
        for name, array in arrays.items()
    }


def _listed(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
