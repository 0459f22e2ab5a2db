"""What of a model goes into its file, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from microframe.arrays import Array, Shape
from microframe.checkpoint import Checkpoint
from microframe.errors import ModelFileError, UsageError
from microframe.history import History
from microframe.interfaces.optimizer import ParameterSlice
from microframe.network import Description, Network
from microframe.preparation import Parts
from microframe.providers import Record, to_json
from microframe.randomness import generator, set_state
from microframe.storage import Code, ModelFile, Refused, Tensor, check_fields, check_tensors, finite, restored
from microframe.values import NonNegativeInteger, PositiveInteger
from microframe.version import __version__

if TYPE_CHECKING:
    from microframe.model import Model

MOST_VALUES = 2**17
"""What a configuration in a file may consist of, as looking at each takes time: those of some ten thousand layers."""
_PARTS = ("train", "validation", "test")
_RANDOM = ("shuffle", "noise")


def pack(model: Model, checkpoint: Checkpoint | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """The manifest and the tensors of a model's file; see `microframe.storage`."""
    network = model.network
    configuration, records = model.stored_configuration()
    if has_more_values(configuration, MOST_VALUES):
        raise UsageError(f"a model file holds a configuration of at most {MOST_VALUES} values; this one has more")
    manifest = {
        "config": configuration,
        "input_shape": list(network.input_shape),
        "classes": _listed(model.classes),
        "feature_names": _listed(model.feature_names),
        "target_names": _listed(model.target_names),
        "threshold": model.threshold,
        "fitted": model.is_fitted,
        "target_columns": list(model.target_columns),
        "delimiter": model.delimiter,
        "single_value": model.is_single_value,
        "data_digest": model.data_digest,
        "fill": None if model.fill is None else model.fill.tolist(),
        "history": _pairs(model.history),
        "results": {part: _pairs(History.of(values)) for part, values in model.results.items()},
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


class Progress(msgspec.Struct, forbid_unknown_fields=True):
    """Where the training stands that a file is a checkpoint of; see `microframe.training.Run`."""

    epoch: NonNegativeInteger
    batch: NonNegativeInteger
    step: NonNegativeInteger
    loss_sum: float
    samples: NonNegativeInteger
    batch_size: PositiveInteger
    learning_rate_factor: float
    callbacks: list[str]
    memories: list[dict[str, Any]]
    measured: list[str]
    finished: NonNegativeInteger | None


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What the manifest of a model has; see `microframe.model.Model` for most of it.

    Attributes:
        microframe: the version that wrote the file.
        providers: who provided each component, by kind and name.
        progress: where the training stands that the file is a checkpoint of.
        tensors: the table of tensors.
    """

    config: dict[str, Any]
    input_shape: Annotated[tuple[NonNegativeInteger, ...], msgspec.Meta(max_length=63)]  # and an axis for the batch
    classes: list[str | bool | int | float] | None
    feature_names: list[str] | None
    target_names: list[str] | None
    threshold: float
    fitted: bool
    target_columns: list[NonNegativeInteger]
    delimiter: Literal[",", ";", "\t"] | None
    single_value: bool
    data_digest: str | None
    fill: list[Any] | None
    history: list[tuple[str, list[Any]]]
    results: dict[str, list[tuple[str, list[Any]]]]
    microframe: str
    providers: dict[str, Record]
    progress: dict[str, Any] | None
    tensors: dict[str, Tensor]


def read_manifest(file: ModelFile) -> Manifest:
    """The manifest of a model.

    Raises:
        ModelFileError: a field is missing, unknown, or not of its type.
    """
    manifest: Manifest = file.fields(Manifest)
    with file.naming():
        if has_more_values(manifest.config, MOST_VALUES):
            raise Refused(Code.CONFIG, "/manifest", f"a configuration of more than {MOST_VALUES} values")
        if manifest.progress is not None:
            check_fields(restored(manifest.progress), Progress)
        _check_numbers(manifest.fill, "fill")
        for name, columns in {"history": manifest.history, **manifest.results}.items():
            _check_columns(columns, name)
    return manifest


def has_more_values(value: Any, most: int) -> bool:
    """Whether there are more than so many values in nested lists and objects, these counted too."""
    level = [value]
    count = 0
    while level and count <= most:
        count += len(level)
        containers = [element for element in level if isinstance(element, dict | list)]
        level = [inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)]
    return count > most


def _check_columns(columns: list[tuple[str, list[Any]]], place: str) -> None:
    names, values = [name for name, _ in columns], [column for _, column in columns]
    if len(set(names)) < len(names) or len({len(column) for column in values}) > 1:
        raise Refused(Code.MANIFEST_FIELD, "/manifest", f"{place[:80]!r} with a name twice, or columns of two lengths")
    _check_numbers(values, place)


def _check_numbers(value: Any, place: str) -> None:
    """Check that there is nothing in lists of lists but numbers, and null for those that aren't finite."""
    if isinstance(value, list):
        for element in value:
            _check_numbers(element, place)
    elif isinstance(value, bool) or not isinstance(value, int | float | None):
        raise Refused(Code.MANIFEST_FIELD, "/manifest", f"{value!r:.80} in {place[:80]!r} where a number should be")


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
    if not mmap:
        file.read_into({f"weights/{path}": array for path, array in weights(network).items()})
    model.classes = _tuple(manifest.classes)
    model.feature_names, model.target_names = _tuple(manifest.feature_names), _tuple(manifest.target_names)
    model.threshold = manifest.threshold
    model.target_columns = tuple(manifest.target_columns)
    model.delimiter = manifest.delimiter
    model.is_single_value, model.data_digest = manifest.single_value, manifest.data_digest
    model.fill = _read_fill(manifest.fill, network.input_shape)
    model.history = History(dict(manifest.history))
    model.results = {part: History(dict(values)).last() for part, values in manifest.results.items()}
    model.records = {name: file.read(f"records/{name}") for name in file.paths("records")}
    if file.paths("splits"):
        paths = [f"splits/{part}" for part in _PARTS]
        _expect_vectors(file, paths, "splits", np.dtype(np.int64))
        model.parts = Parts(*(file.read(path).astype(np.intp) for path in paths))
    model.is_fitted = manifest.fitted
    if manifest.progress is not None:
        _expect_checkpoint(file, network)
        again = partial(ModelFile, file.path.absolute(), allow_nonfinite=file.allow_nonfinite)
        model.checkpoint = partial(_read_checkpoint, again, file.sha256, network.layout)
    return network


def _read_fill(values: list[Any] | None, input_shape: Shape) -> Array | None:
    """What replaces missing values: a number for each that an input has, as any other shape would spread over them."""
    if values is None:
        return None
    fill = np.asarray(values, np.float64)
    if fill.shape != input_shape or not np.isfinite(fill).all():
        raise ValueError(f"expected finite values to fill in of the shape {input_shape}, received {values!r:.80}")
    return fill


def _expect_checkpoint(file: ModelFile, network: Network) -> None:
    """Refuse the file if the arrays of its checkpoint aren't of the shapes that the network's training has."""
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
    _expect_vectors(file, [f"random/{purpose}" for purpose in _RANDOM], "random", np.dtype(np.uint8))


def _expect_vectors(file: ModelFile, paths: list[str], group: str, dtype: np.dtype[Any]) -> None:
    file.expect({path: ((math.prod(file.shape(path)),), dtype) for path in paths}, group)


def _read_checkpoint(again: Callable[[], ModelFile], sha256: str, layout: Sequence[ParameterSlice]) -> Checkpoint:
    """The checkpoint in the file, which must still be the one with the manifest of the digest `sha256`."""
    with again() as file:
        if file.sha256 != sha256:
            raise ModelFileError(
                file.path, Code.CHANGED, "the whole file", "another file than the model was loaded from"
            )
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
    try:
        state: dict[str, Any] = json.loads(file.read(path).tobytes())
        set_state(generator(0, "noise"), state)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
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


def _pairs(history: History) -> list[tuple[str, list[Any]]]:
    """The columns of a history in their order, which the sorted keys of canonical JSON would lose."""
    return list(history.to_dict().items())


def _listed(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
