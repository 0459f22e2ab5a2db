"""What is in a model file, told without its plugins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from microframe.manifest import Manifest, StoredLayer, read_manifest
from microframe.model import Model
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
        self._allow_nonfinite = allow_nonfinite
        with ModelFile(path, sha256=sha256, allow_nonfinite=allow_nonfinite, isolate=isolate) as file:
            self.sha256 = file.own_sha256()
            self.manifest_sha256 = file.sha256
            self.manifest: Manifest = read_manifest(file)
            file.verify()
        self.configuration = self.manifest.configuration(self.path)
        self.summary = _summarize(self.manifest)
        self.history = self.manifest.record_of_training()
        self.results = self.manifest.last_results()

    def check_model(self) -> None:
        """Check what takes the classes of the components: their fields, the network's arrays, the checkpoint.

        Raises:
            ModelFileError: something of it is not valid, or the file has changed.
            ModelPluginError: a plugin that provides a component is missing, broken or too old; what does not take it
                has been checked.
        """
        if (missing := self.configuration.missing(training=False)) is not None:
            raise missing
        model = Model.load(self.path, mmap=True, sha256=self.sha256, allow_nonfinite=self._allow_nonfinite)
        model.checkpoint  # noqa: B018  # which is read when it is asked for
        if (missing := self.configuration.missing()) is not None:
            raise missing
        model.configuration  # noqa: B018  # which is parsed when it is asked for


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
    provider = f"{record.plugin} ({record.origin})" if record else ""
    origin = format_origin(record.plugin, record.distribution, record.distribution_version) if record else ""
    return Row.of(layer, str(reference).rpartition(".")[2], arrays, provider, origin)
