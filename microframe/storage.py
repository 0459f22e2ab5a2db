"""The model file: an HDF5 file with a manifest and tensors.

Layout, version 1:

- Attributes of the root, all of fixed length: ``format`` (``microframe``), ``layout`` (the version, int64) and
  ``manifest_sha256`` (the digest of the manifest's bytes, in hexadecimal).
- ``/manifest``: canonical JSON as a dataset of uint8. Its key ``tensors`` lists every other dataset with dtype, shape
  and digest.
- Every other dataset is contiguous and little-endian, of float32, float64, uint8 or int64; an array of another dtype is
  stored as one of these, and ``tensors`` has the dtype it had as ``original``. There are ``/weights/<layer>/<array>``,
  ``/records/<name>`` and ``/splits/<part>``, and what only a continued training reads: ``/optimizer/slots/<name>``;
  ``/optimizer/parameters`` and ``/optimizer/state/<layer>/<array>``, where those being trained are not those that
  predict; ``/callbacks/<number>/<name>``; ``/progress/outputs``; and ``/random/<purpose>``, the state of a generator as
  JSON in uint8.

Nothing is compressed, linked, pickled or of variable length: each is a way to hang, crash or fool a reader.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from microframe.arrays import Array
from microframe.errors import ModelFileError, UsageError
from microframe.values import describe_value

FORMAT = "microframe"
LAYOUT = 1

_DTYPES = ("<f4", "<f8", "|u1", "<i8")
_STORED_AS = {
    **dict.fromkeys(("float16", "float32"), "float32"),
    **dict.fromkeys(("bool", "uint8"), "uint8"),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"), "int64"),
    "float64": "float64",
}
"""The dtype in a file of each dtype that arrays may have; back and forth no bit is lost (uint64 wraps around)."""

_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)

NUMBER_KEY = "$float"
"""The only key of an object that stands for a number that JSON has no word for: ``{"$float": "inf"}``."""
DAMAGE = (OSError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, RuntimeError)
"""What reading a damaged file may raise: the HDF5 library's errors, and those of values that are not as expected."""


class ModelFile:
    """An open model file, to read from.

    Attributes:
        manifest: everything in the file but the tensors, as plain JSON values.

    Raises:
        ModelFileError: it is not a model file, is of an unknown layout version, or is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = h5py.File(self.path, "r")
        except FileNotFoundError:
            raise ModelFileError(f"{self.path}: there is no such file") from None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else error
            raise ModelFileError(f"{self.path}: not an HDF5 file, or a damaged one ({reason})") from error
        try:
            with self._naming_damage():
                self.manifest = self._read_manifest()
            self._tensors: dict[str, dict[str, Any]] = self.manifest["tensors"]
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def paths(self, group: str) -> list[str]:
        """The tensors below `group`, by their paths relative to it."""
        prefix = f"{group}/"
        return [path.removeprefix(prefix) for path in self._tensors if path.startswith(prefix)]

    def shape(self, path: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self._entry(path)["shape"])

    def read(self, path: str) -> Array:
        """A tensor, checked against its digest, with the dtype that it had when it was written."""
        with self._naming_damage():
            dataset, original = self._dataset(path), self._entry(path).get("original")
            array = self.read_into(path, np.empty(dataset.shape, dataset.dtype))
            if original is None:
                return array
            if _STORED_AS[original] != array.dtype.name:
                raise ModelFileError(f"{self.path}: /{path} is {array.dtype}, which no {original} is stored as")
            with np.errstate(all="ignore"):
                return array.astype(original)

    def read_into(self, path: str, out: Array) -> Array:
        """Read a tensor into `out`, which must have its shape and dtype, and check its digest."""
        with self._naming_damage():
            entry, dataset = self._entry(path), self._dataset(path)
            stored, expected = (dataset.shape, dataset.dtype.str), (tuple(entry["shape"]), entry["dtype"])
            if stored != expected or expected != (out.shape, out.dtype.str):
                raise ModelFileError(
                    f"{self.path}: /{path} is {stored[1]} of shape {stored[0]}, the manifest says {expected[1]} of "
                    f"shape {expected[0]}, and the network wants {out.dtype.str} of shape {out.shape}"
                )
            if out.size:
                dataset.read_direct(out)
            if _digest(out) != entry["sha256"]:
                raise ModelFileError(f"{self.path}: /{path} is damaged: its digest is not the one in the manifest")
        return out

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise ModelFileError(f"{self.path}: damaged: {error}") from error

    def _dataset(self, path: str) -> Any:
        """A dataset that lies in this file as it is: not filtered, linked, or left for the library to make up."""
        place: Any = self._file
        for name in path.split("/"):
            if not (isinstance(place, h5py.Group) and isinstance(place.get(name, getlink=True), h5py.HardLink)):
                raise ModelFileError(f"{self.path}: /{path} is not there")
            place = place[name]
        is_plain = isinstance(place, h5py.Dataset) and place.dtype.str in _DTYPES
        if not is_plain or (place.size and place.id.get_offset() is None):
            raise ModelFileError(f"{self.path}: /{path} is not a plain contiguous dataset")
        return place

    def _entry(self, path: str) -> dict[str, Any]:
        if path not in self._tensors:
            raise ModelFileError(f"{self.path}: expected a tensor /{path}, which the manifest does not list")
        return self._tensors[path]

    def _read_manifest(self) -> dict[str, Any]:
        attributes = dict(self._file.attrs)
        if not _equal(attributes.get("format"), FORMAT.encode()):
            raise ModelFileError(f"{self.path}: an HDF5 file, but not a microframe model")
        layout = attributes.get("layout")
        if not _equal(layout, LAYOUT):
            raise ModelFileError(
                f"{self.path}: layout version {layout}; this version of microframe reads version {LAYOUT}"
            )
        data = self._dataset("manifest")[...].tobytes()
        if not _equal(attributes.get("manifest_sha256"), hashlib.sha256(data).hexdigest().encode()):
            raise ModelFileError(f"{self.path}: /manifest is damaged: its digest is not the one in the file")
        manifest = json.loads(data)
        if not isinstance(manifest, dict) or not isinstance(manifest.get("tensors"), dict):
            raise ModelFileError(f"{self.path}: /manifest is not that of a model")
        return manifest


def write_model_file(path: str | os.PathLike[str], manifest: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    """Write a model file, replacing what is at `path` whole or not at all.

    Args:
        path: where; a symbolic link is followed.
        manifest: plain JSON values with finite numbers; see `finite` for others.
        tensors: arrays of truth values, of integers, or of floats of up to 64 bits, by path.

    Raises:
        ModelFileError: the folder isn't there or cannot be written to.
        UsageError: an array is of another dtype.
    """
    check_tensors(tensors, "a model file")
    target = Path(os.path.realpath(path))
    stored = {name: _as_stored(array) for name, array in sorted(tensors.items())}
    entries = {name: _describe(array, tensors[name].dtype.name) for name, array in stored.items()}
    data = _canonical_json({**manifest, "tensors": entries})
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        temporary = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
        descriptor = os.open(temporary, _NEW_FILE, 0o666 if mode is None else 0o600)
        try:
            with os.fdopen(descriptor, "w+b") as stream:
                if mode is not None:
                    temporary.chmod(mode)
                _write(stream, data, stored)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be written: {error.strerror or error}") from error


def check_tensors(tensors: Mapping[str, Any], place: str) -> None:
    """Check that a file can hold `tensors`, of which the message of an error speaks as ``place['name']``.

    Raises:
        UsageError: one is no array, is of a dtype that no file holds, or has a name that cannot be part of a path.
    """
    for name, array in tensors.items():
        dtype = array.dtype.name if isinstance(array, np.ndarray | np.generic) else None
        if dtype not in _STORED_AS:
            received = describe_value(array) if dtype is None else f"one of {dtype}"
            raise UsageError(f"{place}[{name!r}]: expected an array of {', '.join(_STORED_AS)}, received {received}")
        if not isinstance(name, str) or "\0" in name or not {"", "."}.isdisjoint(name.split("/")):
            raise UsageError(f"{place}: expected names that can be a path in a file, received {name!r}")


def finite(value: Any) -> Any:
    """`value`, of JSON values, with an object in place of each number that is not finite; see `NUMBER_KEY`."""
    if isinstance(value, dict):
        return {name: finite(element) for name, element in value.items()}
    if isinstance(value, list):
        return [finite(element) for element in value]
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return {NUMBER_KEY: str(float(value))} if is_odd else value


def restored(value: Any) -> Any:
    """What `finite` was given."""
    if isinstance(value, dict):
        if value.keys() == {NUMBER_KEY}:
            return float(value[NUMBER_KEY])
        return {name: restored(element) for name, element in value.items()}
    return [restored(element) for element in value] if isinstance(value, list) else value


def _write(stream: Any, manifest: bytes, tensors: Mapping[str, Array]) -> None:
    with h5py.File(stream, "w", libver=("v110", "v110"), alignment_threshold=1, alignment_interval=64) as file:
        file.attrs.create("format", np.bytes_(FORMAT))
        file.attrs.create("layout", np.int64(LAYOUT))
        file.attrs.create("manifest_sha256", np.bytes_(hashlib.sha256(manifest).hexdigest()))
        file.create_dataset("manifest", data=np.frombuffer(manifest, np.uint8))
        for path, array in tensors.items():
            file.create_dataset(path, data=array)


def _equal(attribute: Any, expected: bytes | int) -> bool:
    """Whether an attribute, of which the file's author decided the type, has the value expected."""
    return np.shape(attribute) == () and bool(attribute == expected)


def _as_stored(array: Array) -> Array:
    dtype = np.dtype(_STORED_AS[array.dtype.name]).newbyteorder("<")
    return np.asarray(array.astype(dtype, copy=False), order="C")


def _describe(array: Array, original: str) -> dict[str, Any]:
    entry = {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": _digest(array)}
    return entry if original == array.dtype.name else entry | {"original": original}


def _digest(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _canonical_json(values: Mapping[str, Any]) -> bytes:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")  # text from file names may hold what UTF-8 has no place for


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
