"""The manifest of a model: what stands in it, and what must hold of that before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from microframe.arrays import MOST_AXES, MOST_ELEMENTS
from microframe.checks import DataDigests
from microframe.graph import INPUT, LAYER_NAME
from microframe.history import History
from microframe.network import Network
from microframe.providers import Record
from microframe.storage import Code, ModelFile, Refused, Tensor, check_fields, finite, restored
from microframe.stored_configuration import StoredConfiguration, name_and_fields
from microframe.values import NonNegativeInteger, PositiveInteger

MOST_SETTINGS = 2**17
"""What a configuration in a file may consist of, as looking at each takes time: those of some ten thousand layers."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of something; as a float it is the same."""
Extent = Annotated[int, msgspec.Meta(ge=0, le=MOST_ELEMENTS)]
SampleShape = Annotated[tuple[Extent, ...], msgspec.Meta(max_length=MOST_AXES)]


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
    output_shape: SampleShape
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

    epoch: Count
    batch: Count
    step: Count
    loss_sum: float
    samples: Count
    batch_size: PositiveInteger
    learning_rate_factor: float
    callbacks: list[str]
    memories: list[dict[str, Any]]
    measured: list[str]
    finished: Count | None


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
    input_shape: SampleShape
    layers: list[StoredLayer]
    classes: list[str | bool | int | float] | None
    feature_names: list[str] | None
    target_names: list[str] | None
    threshold: float
    fitted: bool
    target_columns: list[NonNegativeInteger]
    delimiter: Literal[",", ";", "\t"] | None
    single_value: bool
    data_digests: DataDigests | None
    fill: list[Any] | None
    history: list[tuple[str, list[Any]]]
    results: dict[Literal["train", "validation", "test"], list[tuple[str, list[Any]]]]
    microframe: str
    providers: dict[str, Record]
    progress: dict[str, Any] | None
    tensors: dict[str, Tensor]

    def configuration(self, path: Path) -> StoredConfiguration:
        """The configuration, of the file at `path`."""
        return StoredConfiguration(path, self.config, self.providers, [layer.name for layer in self.layers])

    def record_of_training(self) -> History:
        """The history."""
        return history_of(self.history)

    def last_results(self) -> dict[str, dict[str, Any]]:
        """Loss and metrics by part."""
        return {part: history_of(columns).last() for part, columns in self.results.items()}

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
        if has_more_values(manifest.config, MOST_SETTINGS):
            raise Refused(Code.CONFIG, "/manifest", f"a configuration of more than {MOST_SETTINGS} values")
        _check_layers(manifest)
        if manifest.progress is not None:
            check_fields(restored(manifest.progress), Progress)
        _check_numbers(manifest.fill or [], "fill")
        _check_columns(manifest.history, "history")
        for part, columns in manifest.results.items():
            _check_columns(columns, part, rows=1)
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
    for layer in manifest.layers:
        if layer.name == INPUT or not LAYER_NAME.fullmatch(layer.name):
            raise Refused(Code.CONFIG, "/manifest", f"a layer called {layer.name[:80]!r}")
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


def _check_columns(columns: list[tuple[str, list[Any]]], place: str, rows: int | None = None) -> None:
    """Check columns of which each has that many rows, or as many as the others."""
    names, lengths = [name for name, _ in columns], {len(column) for _, column in columns}
    if len(set(names)) < len(names) or not lengths <= {min(lengths, default=0) if rows is None else rows}:
        raise Refused(Code.MANIFEST_FIELD, "/manifest", f"{place!r} with a name twice, or a column of another length")
    for name, column in columns:
        values = restored(column)
        _check_numbers(values, place)
        try:
            np.asarray(values, np.float64)
        except (ValueError, OverflowError) as error:
            raise Refused(Code.MANIFEST_FIELD, "/manifest", f"{name[:80]!r} in {place!r}: {error}") from error


def _check_numbers(value: Any, place: str) -> None:
    """Check that there is nothing in lists of lists but numbers."""
    if isinstance(value, list):
        for element in value:
            _check_numbers(element, place)
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Code.MANIFEST_FIELD, "/manifest", f"{value!r:.80} in {place!r} where a number should be")


def columns_of(history: History) -> list[tuple[str, list[Any]]]:
    """The columns of a history in their order, which the sorted keys of canonical JSON would lose."""
    return [(name, finite(column.tolist())) for name, column in history.items()]


def history_of(pairs: list[tuple[str, list[Any]]]) -> History:
    return History({name: restored(column) for name, column in pairs})
