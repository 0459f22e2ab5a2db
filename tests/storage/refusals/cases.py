"""What a case is: a valid file, and what makes it one that is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from h5py import h5d

from microframe.storage import Code

GROUP, KERNEL, BIAS = "weights/dense_1", "weights/dense_1/kernel", "weights/dense_1/bias"
DATASPACE, LINK_INFO, DATATYPE, LINK, LAYOUT, ATTRIBUTE = 1, 2, 3, 6, 8, 12

CASES: list[Any] = []
BEFORE_THE_MANIFEST: list[Any] = []


class Valid:
    """A valid file, and the tools to make it another one; whatever is changed, the digests are right again."""

    def __init__(self, path: Path, request: pytest.FixtureRequest) -> None:
        self.path, self.folder = path, path.parent
        self._tool = request.getfixturevalue

    def bytes(self) -> Any:
        return self._tool("bytes_of")(self.path)

    def reopened(self) -> Any:
        return self._tool("reopened")(self.path)

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the values of the manifest."""
        self._tool("with_manifest")(self.path, change)

    def put_text(self, text: bytes) -> None:
        """Put other bytes in the place of the manifest."""
        self._tool("with_text")(self.path, text)

    def list(self, name: str, **fields: Any) -> None:
        """Make the manifest's entry of a tensor that of the dataset, as far as there can be one."""
        with h5py.File(self.path) as file:
            dataset = h5d.open(file.id, name.encode())
            offset, size, shape = dataset.get_offset(), dataset.get_storage_size(), list(dataset.shape)
        content = self.path.read_bytes()[offset : offset + size] if offset else b""
        entry = {"dtype": "<f4", "shape": shape, "sha256": hashlib.sha256(content).hexdigest(), **fields}
        self.edit(lambda manifest: manifest["tensors"].update({name: entry}))


def refuses(code: Code, name: str, build: Callable[..., Path | None], *arguments: Any, structure: bool = True) -> None:
    """Note a case: `build` makes a valid file one that is refused by `code`, and gives its path if that is another."""
    entry = pytest.param(code, lambda valid: build(valid, *arguments) or valid.path, id=f"{code}-{name}")
    (BEFORE_THE_MANIFEST if structure else CASES).append(entry)
