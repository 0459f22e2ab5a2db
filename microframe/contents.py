"""What is in a model file, told without its plugins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from microframe.model import Model
from microframe.packing import Manifest, StoredLayer, read_manifest
from microframe.storage import ModelFile, Tensor
from microframe.stored_configuration import name_and_fields
from microframe.summary import Row, Summary, format_origin


class Contents:
    """A model file that has been read and checked as a whole, every tensor of it.

    Attributes:
        path: the file.
        sha256: the digest of its bytes.
        manifest_sha256: the digest of its manifest, which names the model whatever the bytes around it are.
        manifest: the manifest.
        configuration: the configuration, and who provided its components.
        summary: the layers of the network, with the components as the file has recorded them.
        history: the record of training.
        results: loss and metrics by part, from the end of training.

    Args:
        path: the file.
        sha256, allow_nonfinite, isolate: as for `Model.load`.

    Raises:
        ModelFileError: it is refused; `ModelFileError.code` says why.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sha256: str | None = None,
        allow_nonfinite: bool = False,
        isolate: bool = False,
    ) -> None:
        self.path = Path(path)
        if isolate:
            from microframe.storage.isolation import read_in_isolation

            sha256 = read_in_isolation(path, sha256=sha256, allow_nonfinite=allow_nonfinite)
        with ModelFile(path, sha256=sha256, allow_nonfinite=allow_nonfinite) as file:
            self.sha256 = file.own_sha256() if sha256 is None else sha256.lower()
            self.manifest_sha256 = file.sha256
            self.manifest: Manifest = read_manifest(file)
            file.verify()
        self.configuration = self.manifest.configuration(self.path)
        self.summary = _summarize(self.manifest)
        self.history = self.manifest.record_of_training()
        self.results = self.manifest.last_results()

    def check_network(self) -> None:
        """Check that the configured layers have just these tensors, of which `__init__` has checked the content.

        Raises:
            ModelFileError: they have others, or the file has changed.
            ModelPluginError: a plugin that provides one of them is missing, broken or too old.
        """
        missing = self.configuration.missing(training=False)
        if missing is not None:
            raise missing
        Model.load(self.path, mmap=True, sha256=self.sha256)


def _summarize(manifest: Manifest) -> Summary:
    arrays = manifest.arrays()
    rows = (
        _row(manifest, values, layer, arrays[layer.name])
        for values, layer in zip(manifest.config["layers"], manifest.layers, strict=True)
    )
    return Summary(manifest.input_shape, tuple(rows))


def _row(manifest: Manifest, values: Any, layer: StoredLayer, arrays: dict[str, Tensor]) -> Row:
    reference, _ = name_and_fields(values)
    record = manifest.providers.get(f"layer:{reference}")
    parameters = sum(arrays[name].size for name in layer.trained)
    return Row(
        name=layer.name,
        type=str(reference).rpartition(".")[2],
        inputs=layer.inputs,
        output_shape=layer.output_shape,
        arrays={name: tensor.shape for name, tensor in arrays.items()},
        parameters=parameters,
        state=sum(tensor.size for tensor in arrays.values()) - parameters,
        bytes=sum(tensor.nbytes for tensor in arrays.values()),
        provider=f"{record.plugin} ({record.origin})" if record else "",
        origin=format_origin(record.plugin, record.distribution, record.distribution_version) if record else "",
    )
