"""What of a model goes into its file, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from microframe.arrays import Array, Shape
from microframe.checkpoint import Checkpoint
from microframe.errors import ModelFileError, UsageError
from microframe.graph import INPUT
from microframe.history import History
from microframe.interfaces.optimizer import ParameterSlice
from microframe.network import Description, Network
from microframe.preparation import Parts
from microframe.providers import Record, to_json
from microframe.randomness import generator, set_state
from microframe.storage import Code, ModelFile, Refused, Tensor, check_fields, check_tensors, finite, restored
from microframe.stored_configuration import StoredConfiguration, name_and_fields
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
        "layers": msgspec.to_builtins(describe_layers(network)),
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


class StoredLayer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a manifest has of a layer for those who don't have its class.

    Attributes:
        name: its name in the network.
        inputs: the names of the layers that it reads.
        output_shape: of one sample.
        trained: those of its arrays that training changes, in the order of the flat vector.
    """

    name: str
    inputs: tuple[str, ...]
    output_shape: tuple[NonNegativeInteger, ...]
    trained: tuple[str, ...]


def describe_layers(network: Network) -> list[StoredLayer]:
    """The layers of `network` as its manifest has them."""
    names = [INPUT, *(node.name for node in network.nodes)]
    trained: dict[str, list[str]] = {node.name: [] for node in network.nodes}
    for piece in network.layout:
        layer, _, array = piece.name.partition("/")
        trained[layer].append(array)
    return [
        StoredLayer(node.name, tuple(names[source] for source in node.sources), shape, tuple(trained[node.name]))
        for node, shape in zip(network.nodes, network.shapes[1:], strict=True)
    ]


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
        layers: what the configured layers are for those who don't have their classes.
        microframe: the version that wrote the file.
        providers: who provided each component, by kind and name.
        progress: where the training stands that the file is a checkpoint of.
        tensors: the table of tensors.
    """

    config: dict[str, Any]
    input_shape: Annotated[tuple[NonNegativeInteger, ...], msgspec.Meta(max_length=63)]  # and an axis for the batch
    layers: list[StoredLayer]
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

    def configuration(self, path: Path) -> StoredConfiguration:
        """The configuration, of the file at `path`."""
        return StoredConfiguration(path, self.config, self.providers, [layer.name for layer in self.layers])

    def record_of_training(self) -> History:
        """The history."""
        return _restored_columns(self.history)

    def last_results(self) -> dict[str, dict[str, Any]]:
        """Loss and metrics by part."""
        return {part: _restored_columns(columns).last() for part, columns in self.results.items()}

    def arrays(self) -> dict[str, dict[str, Tensor]]:
        """The weights, trained or not, by layer and name."""
        arrays: dict[str, dict[str, Tensor]] = {layer.name: {} for layer in self.layers}
        for path, tensor in self.tensors.items():
            group, _, rest = path.partition("/")
            if group == "weights":
                layer, _, name = rest.partition("/")
                if layer not in arrays or not name or "/" in name:
                    raise Refused(Code.TENSORS, f"/{path}", "a tensor, where the configured layers have none")
                arrays[layer][name] = tensor
        return arrays


def read_manifest(file: ModelFile) -> Manifest:
    """The manifest of a model.

    Raises:
        ModelFileError: a field is missing, unknown, or not of its type.
    """
    manifest: Manifest = file.fields(Manifest)
    with file.naming():
        if has_more_values(manifest.config, MOST_VALUES):
            raise Refused(Code.CONFIG, "/manifest", f"a configuration of more than {MOST_VALUES} values")
        _check_layers(manifest)
        if manifest.progress is not None:
            check_fields(restored(manifest.progress), Progress)
        _check_numbers(manifest.fill or [], "fill")
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


def _check_layers(manifest: Manifest) -> None:
    """Check all of the table of layers that can be checked without their classes."""
    configured = manifest.config.get("layers")
    if not isinstance(configured, list) or len(configured) != len(manifest.layers):
        raise Refused(Code.CONFIG, "/manifest", f"not the {len(manifest.layers)} layers that the table has")
    arrays = manifest.arrays()
    if len(arrays) < len(manifest.layers):
        raise Refused(Code.CONFIG, "/manifest", "two layers of one name")
    known = {INPUT}
    for values, layer in zip(configured, manifest.layers, strict=True):
        if not _is_configured(layer, values) or not known.issuperset(layer.inputs):
            raise Refused(Code.CONFIG, "/manifest", f"another layer than {layer.name[:80]!r}, which the table has")
        for name in layer.trained:
            if name not in arrays[layer.name]:
                raise Refused(Code.TENSORS, f"/weights/{layer.name}/{name}", "nothing, where the layer has an array")
        known.add(layer.name)


def _is_configured(layer: StoredLayer, values: Any) -> bool:
    """Whether `values` may be the configuration of `layer`, as far as can be told without its class."""
    reference, fields = name_and_fields(values)
    inputs = fields.get("inputs") or list(layer.inputs)
    return reference is not None and fields.get("name") in (None, layer.name) and inputs == list(layer.inputs)


def _check_columns(columns: list[tuple[str, list[Any]]], place: str) -> None:
    names, values = [name for name, _ in columns], [column for _, column in columns]
    if len(set(names)) < len(names) or len({len(column) for column in values}) > 1:
        raise Refused(Code.MANIFEST_FIELD, "/manifest", f"{place[:80]!r} with a name twice, or columns of two lengths")
    _check_numbers(restored(values), place)


def _check_numbers(value: Any, place: str) -> None:
    """Check that there is nothing in lists of lists but numbers."""
    if isinstance(value, list):
        for element in value:
            _check_numbers(element, place)
    elif isinstance(value, bool) or not isinstance(value, int | float):
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
    model.is_single_value, model.data_digest = manifest.single_value, manifest.data_digest
    model.fill = _read_fill(manifest.fill, network.input_shape)
    model.history = manifest.record_of_training()
    model.results = manifest.last_results()
    model.records = {name: file.read(f"records/{name}") for name in file.paths("records")}
    if file.paths("splits"):
        paths = [f"splits/{part}" for part in _PARTS]
        _expect_vectors(file, paths, "splits", np.dtype(np.int64))
        model.parts = Parts(*(file.read(path).astype(np.intp) for path in paths))
    model.is_fitted = manifest.fitted
    if manifest.progress is not None:
        _expect_checkpoint(file, network, manifest.progress["samples"])
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


def _expect_checkpoint(file: ModelFile, network: Network, samples: int) -> None:
    """Refuse the file if the arrays of its checkpoint aren't of the shapes that the network's training has."""
    outputs = ((samples, *network.output_shape), network.dtype)
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
    return [(name, finite(column.tolist())) for name, column in history.items()]


def _restored_columns(pairs: list[tuple[str, list[Any]]]) -> History:
    return History({name: restored(column) for name, column in pairs})


def _listed(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)


def _tuple(values: list[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
