"""What of a model goes into its file, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microframe.arrays import Array
from microframe.checkpoint import Checkpoint, copy_network
from microframe.errors import ModelFileError
from microframe.history import History
from microframe.interfaces.optimizer import ParameterSlice
from microframe.network import Network
from microframe.preparation import Parts
from microframe.providers import to_json
from microframe.storage import ModelFile, check_tensors, finite, restored
from microframe.version import __version__

if TYPE_CHECKING:
    from microframe.model import Model

_PARTS = ("train", "validation", "test")


def pack(model: Model, checkpoint: Checkpoint | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """The manifest and the tensors of a model's file; see `microframe.storage`."""
    network = model.network
    configuration, records = model.stored_configuration()
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
    own = copy_network(network)
    arrays = {
        path: array
        for path, array in checkpoint.arrays.items()
        if path not in own or array.tobytes() != own[path].tobytes()
    }
    states = checkpoint.progress["random"].items()
    return arrays | {f"random/{purpose}": _as_bytes(state) for purpose, state in states}


def unpack(file: ModelFile, model: Model) -> Network:
    """Fill `model`, which has its configuration, from `file`; gives the network with its weights.

    Raises:
        ModelFileError: the tensors are not those that the configuration asks for.
    """
    manifest = file.manifest
    network = Network(model.layers, tuple(manifest["input_shape"]), model.dtype)
    expected, stored = weights(network), set(file.paths("weights"))
    if expected.keys() != stored:
        odd = ", ".join(sorted(expected.keys() ^ stored))
        raise ModelFileError(f"{file.path}: the weights are not those of the configured layers: {odd}")
    for path, array in expected.items():
        file.read_into(f"weights/{path}", array)
    model.classes = _tuple(manifest["classes"])
    model.feature_names, model.target_names = _tuple(manifest["feature_names"]), _tuple(manifest["target_names"])
    model.threshold = float(manifest["threshold"])
    model.target_columns = tuple(manifest["target_columns"])
    model.delimiter = manifest["delimiter"]
    model.is_single_value, model.data_digest = bool(manifest["single_value"]), manifest["data_digest"]
    model.fill = None if manifest["fill"] is None else np.asarray(manifest["fill"])
    model.history = History(dict(manifest["history"]))
    model.results = {part: History(dict(values)).last() for part, values in manifest["results"].items()}
    model.records = {name: file.read(f"records/{name}") for name in file.paths("records")}
    if file.paths("splits"):
        model.parts = Parts(*(file.read(f"splits/{part}").astype(np.intp) for part in _PARTS))
    model.is_fitted = bool(manifest["fitted"])
    if manifest["progress"] is not None:
        model.checkpoint = partial(_read_checkpoint, file.path.absolute(), manifest, network.layout)
    return network


def _read_checkpoint(path: Path, manifest: dict[str, Any], layout: Sequence[ParameterSlice]) -> Checkpoint:
    """The checkpoint in the file at `path`, which must still be the one that `manifest` was read from."""

    with ModelFile(path) as file:
        if file.manifest != manifest:
            raise ModelFileError(f"{path}: the file was replaced after the model was loaded from it")
        arrays = _own_arrays(file, layout)
        for group in ("optimizer", "callbacks", "progress"):
            arrays |= {f"{group}/{name}": file.read(f"{group}/{name}") for name in file.paths(group)}
        states = {purpose: json.loads(file.read(f"random/{purpose}").tobytes()) for purpose in file.paths("random")}
    return Checkpoint(restored(manifest["progress"]) | {"random": states}, arrays)


def _own_arrays(file: ModelFile, layout: Sequence[ParameterSlice]) -> dict[str, Array]:
    """The network's arrays in `file` as a checkpoint has them: where it holds no others, they are its own."""
    trained = [piece.name for piece in layout]
    parameters = [file.read(f"weights/{name}").reshape(-1) for name in trained]
    states = set(file.paths("weights")) - set(trained)
    return {
        "optimizer/parameters": np.concatenate(parameters) if parameters else np.zeros(0),
        **{f"optimizer/state/{name}": file.read(f"weights/{name}") for name in states},
    }


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
