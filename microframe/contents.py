"""What is in a model file, told without its plugins."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from microframe.errors import ModelFileError
from microframe.graph import INPUT
from microframe.history import History
from microframe.model import Model
from microframe.packing import Manifest, read_manifest
from microframe.providers import Record
from microframe.storage import Code, ModelFile, Tensor
from microframe.stored_configuration import StoredConfiguration


@dataclass(frozen=True)
class StoredLayer:
    """A layer as far as the file alone tells.

    Attributes:
        name: its name in the network.
        type: the name of its class.
        inputs: the names of the layers that it reads.
        record: who provided it, or None if nobody knows.
        arrays: the tensors that it has, trained or not, by name.
    """

    name: str
    type: str
    inputs: tuple[str, ...]
    record: Record | None
    arrays: Mapping[str, Tensor]

    @property
    def provider(self) -> str | None:
        """``"swish (microframe-swish 1.0)"``."""
        return f"{self.record.plugin} ({self.record.origin})" if self.record else None

    @property
    def values(self) -> int:
        """How many numbers its arrays have."""
        return sum(math.prod(tensor.shape) for tensor in self.arrays.values())

    @property
    def bytes(self) -> int:
        """What they take."""
        return sum(math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize for tensor in self.arrays.values())


class Contents:
    """A model file that has been read and checked as a whole, every tensor of it.

    Attributes:
        path: the file.
        sha256: the digest of its bytes.
        manifest_sha256: the digest of its manifest, which names the model whatever the bytes around it are.
        manifest: the manifest.
        configuration: the configuration, and who provided its components.
        layers: the layers of the network, in order.
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
        self._allow_nonfinite = allow_nonfinite
        with ModelFile(path, sha256=sha256, allow_nonfinite=allow_nonfinite) as file:
            self.sha256 = file.own_sha256() if sha256 is None else sha256.lower()
            self.manifest_sha256 = file.sha256
            self.manifest: Manifest = read_manifest(file)
            file.verify()
        self.configuration = StoredConfiguration(self.path, self.manifest.config, self.manifest.providers)
        try:
            self.layers = self._read_layers()
            self.history = History(dict(self.manifest.history))
            self.results = {part: History(dict(values)).last() for part, values in self.manifest.results.items()}
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(self.path, Code.CONFIG, "/manifest", f"not that of a model ({error})") from error

    @cached_property
    def model(self) -> Model:
        """The model, its weights mapped; where a plugin is missing that its network needs, none is imported.

        Raises:
            ModelFileError: the configured network is not the one in the file, or the file has changed.
            PluginError: a plugin is missing, broken or too old.
        """
        missing = self.configuration.missing(training=False)
        if missing is not None:
            raise missing
        return Model.load(self.path, mmap=True, sha256=self.sha256, allow_nonfinite=self._allow_nonfinite)

    def _read_layers(self) -> tuple[StoredLayer, ...]:
        arrays: dict[str, dict[str, Tensor]] = {name: {} for name in self.configuration.layer_names()}
        for path, tensor in self.manifest.tensors.items():
            group, *names = path.split("/")
            if group == "weights":
                if len(names) != 2 or names[0] not in arrays:
                    found = "a tensor, where the configured layers have none"
                    raise ModelFileError(self.path, Code.TENSORS, f"/{path}", found)
                arrays[names[0]][names[1]] = tensor
        above = INPUT
        layers = []
        for values, (name, own) in zip(self.manifest.config["layers"], arrays.items(), strict=True):
            fields: Mapping[str, Any] = {"type": values} if isinstance(values, str) else values
            reference = str(fields["type"])
            inputs = tuple(map(str, fields.get("inputs") or (above,)))
            record = self.manifest.providers.get(f"layer:{reference}")
            layers.append(StoredLayer(name, reference.rpartition(".")[2], inputs, record, own))
            above = name
        return tuple(layers)
