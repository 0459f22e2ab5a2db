"""Writing model files, whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.errors import ModelFileError, UsageError
from microframe.storage.codes import Code, Refused
from microframe.storage.hdf5 import ALIGNMENT, MOST_AXES, MOST_LEVELS, NAME, groups_of
from microframe.storage.manifest import MOST_BYTES, MOST_VALUES, count_values, decode, encode
from microframe.storage.stream import Stream
from microframe.storage.uninterrupted import uninterrupted
from microframe.values import describe_value

FORMAT = "microframe"
LAYOUT = 1

STORED_AS = {
    **dict.fromkeys(("float16", "float32"), "float32"),
    **dict.fromkeys(("bool", "uint8"), "uint8"),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"), "int64"),
    "float64": "float64",
}
"""The dtype in a file of each dtype that arrays may have; back and forth no bit is lost (uint64 wraps around)."""

MOST_TENSORS = 2**16
"""How many tensors a file may have, so that their metadata are not more than is read again."""
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_HASHERS = 2
"""Threads that compute digests while the file is written; hashing leaves Python's lock to others."""
_LARGE = 2**18
"""Bytes of a tensor whose digest is worth handing to a thread."""
_LONG_NAME = 200
"""Bytes of a name to which no more can be added, as most file systems take 255."""


def write_model_file(path: str | os.PathLike[str], manifest: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    """Write a model file, replacing what is at `path` whole or not at all.

    Args:
        path: where; a symbolic link is followed, and the mode of a file that is there is kept.
        manifest: plain JSON values with finite numbers; see `microframe.storage.manifest.finite` for others.
        tensors: arrays of truth values, of integers, or of floats of up to 64 bits, by path.

    Raises:
        ModelFileError: the folder isn't there, cannot be written to, or is full; what was at `path` still is. Or all is
            written, but the system cannot promise to remember the name; the message says so.
        UsageError: there are too many arrays, or one is of another dtype, has a name that no file takes, or is one of
            two that a file cannot take together; or the manifest goes beyond what is read again.
    """
    if len(tensors) > MOST_TENSORS:
        raise UsageError(f"a model file: expected at most {MOST_TENSORS} tensors, received {len(tensors)}")
    check_tensors(tensors, "a model file")
    _check_places(tensors)
    _check_manifest(manifest)
    target = _target(path)
    stored = {name: _as_stored(array) for name, array in sorted(tensors.items())}
    originals = {name: _name(array.dtype) for name, array in tensors.items()}

    def save() -> None:
        with _replacing(target) as stream:
            _write(stream, manifest, stored, originals)

    try:
        uninterrupted(save)
    except OSError as error:
        raise ModelFileError(path, Code.WRITE, "the path", error.strerror or str(error)) from error


def _target(path: str | os.PathLike[str]) -> Path:
    """The file that `path` leads to, which may be written or replaced.

    Raises:
        ModelFileError: it is a folder, a pipe, a device, or no name that a file can have.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            found = "a symbolic link that leads to itself"
        elif target.exists() and not target.is_file():
            found = "a folder, a pipe or a device"
        else:
            return target
    except (OSError, ValueError) as error:
        raise ModelFileError(path, Code.WRITE, "the path", str(error)) from error
    raise ModelFileError(path, Code.WRITE, "the path", f"{found}, which is not replaced")


def check_tensors(tensors: Mapping[str, Any], place: str) -> None:
    """Check that a file can hold `tensors`, of which the message of an error speaks as ``place['name']``.

    Raises:
        UsageError: one is no array, is of a dtype or has more axes than a file holds, or has a name that cannot be part
            of a path.
    """
    for name, array in tensors.items():
        dtype = _name(array.dtype) if isinstance(array, np.ndarray | np.generic) else None
        if dtype not in STORED_AS:
            received = describe_value(array) if dtype is None else f"one of {dtype}"
            raise UsageError(f"{place}[{name!r}]: expected an array of {', '.join(STORED_AS)}, received {received}")
        if not isinstance(name, str) or not all(map(NAME.fullmatch, name.split("/"))):
            raise UsageError(f"{place}: expected names of letters, digits, '_', '-' and '.', received {name!r}")
        if array.ndim > MOST_AXES:
            raise UsageError(f"{place}[{name!r}]: expected at most {MOST_AXES} axes, received {array.ndim}")


def _check_places(tensors: Mapping[str, Array]) -> None:
    """Check that no tensor lies where another one, its group or the manifest does, nor deeper than is read again."""
    groups = groups_of(tensors)
    for name in tensors:
        if name.count("/") >= MOST_LEVELS:
            raise UsageError(f"a model file: expected names of at most {MOST_LEVELS} parts, received {name!r}")
        if name in groups or name.partition("/")[0] == "manifest":
            raise UsageError(f"a model file: expected a place for {name!r} that is not another one's")


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    """Check that all of the manifest but the table of tensors will be read again."""
    try:
        decode(encode(manifest))
    except Refused as refused:
        raise UsageError(f"a model file: {refused.where}: {refused.found}") from refused


def _write(
    stream: Stream, manifest: Mapping[str, Any], tensors: Mapping[str, Array], originals: Mapping[str, str]
) -> None:
    """Write the HDF5 file.

    The library makes the structure; the content of the datasets is put into the places that it chose. The manifest,
    which holds the digests, comes last.
    """
    with _new_file(stream) as file:
        datasets = _Datasets(file)
        offsets = {path: datasets.create(path, array) for path, array in tensors.items()}
        digests = _store(stream, tensors, offsets)
        entries = {path: _describe(array, originals[path], digests[path]) for path, array in tensors.items()}
        data = encode({**manifest, "tensors": entries})
        if len(data) > MOST_BYTES:
            raise UsageError(f"a model file: expected a manifest of at most {MOST_BYTES} bytes, received {len(data)}")
        if count_values(data) > MOST_VALUES:
            raise UsageError(f"a model file: expected a manifest of at most {MOST_VALUES} values, received more")
        text = np.frombuffer(data, np.uint8)
        stream.put(text, datasets.create("manifest", text))
        file.attrs.create("format", np.bytes_(FORMAT))
        file.attrs.create("layout", np.int64(LAYOUT))
        file.attrs.create("manifest_sha256", np.bytes_(hashlib.sha256(data).hexdigest()))


def _new_file(stream: Stream) -> Any:
    """An empty HDF5 file, made so that neither the time nor h5py's version or settings make a difference."""
    import h5py
    from h5py import h5f, h5fd, h5p

    access, creation = h5p.create(h5p.FILE_ACCESS), h5p.create(h5p.FILE_CREATE)
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    access.set_alignment(1, ALIGNMENT)
    access.set_fileobj_driver(h5fd.fileobj_driver, stream)
    creation.set_obj_track_times(False)
    return h5py.File(h5f.create(b"model", h5f.ACC_TRUNC, fcpl=creation, fapl=access))


def _store(stream: Stream, tensors: Mapping[str, Array], offsets: Mapping[str, int | None]) -> dict[str, str]:
    """Write the tensors to their places; gives their digests, those of large ones from threads."""
    pool = ThreadPoolExecutor(_HASHERS)
    awaited: dict[str, Future[str]] = {}
    try:
        for path, array in tensors.items():
            stream.put(array, offsets[path])
            if array.nbytes >= _LARGE:
                with contextlib.suppress(RuntimeError):  # a process that may not start a thread, or is about to end
                    awaited[path] = pool.submit(_digest, array)
        return {path: awaited[path].result() if path in awaited else _digest(array) for path, array in tensors.items()}
    finally:
        pool.shutdown(cancel_futures=True)


class _Datasets:
    """Makes datasets, by the functions below h5py's own, which take several times as long."""

    def __init__(self, file: Any) -> None:
        from h5py import h5d, h5p

        self._groups: dict[str, Any] = {"": file.id}
        self._types: dict[np.dtype[Any], Any] = {}
        self._spaces: dict[tuple[int, ...], Any] = {}
        # no time is noted, and the place of a dataset is taken at once and not filled
        self._group_creation, self._creation = h5p.create(h5p.GROUP_CREATE), h5p.create(h5p.DATASET_CREATE)
        self._group_creation.set_obj_track_times(False)
        self._creation.set_obj_track_times(False)
        self._creation.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        self._creation.set_fill_time(h5d.FILL_TIME_NEVER)

    def create(self, path: str, array: Array) -> int | None:
        """Make a dataset for `array`; gives where in the file its content belongs, or None if it has none."""
        from h5py import h5d, h5s, h5t

        if array.dtype not in self._types:
            self._types[array.dtype] = h5t.py_create(array.dtype)
        if array.shape not in self._spaces:
            self._spaces[array.shape] = h5s.create_simple(array.shape) if array.ndim else h5s.create(h5s.SCALAR)
        group, _, name = path.rpartition("/")
        kind, space = self._types[array.dtype], self._spaces[array.shape]
        dataset = h5d.create(self._group(group), name.encode(), kind, space, self._creation)
        offset: int | None = dataset.get_offset() if array.size else None
        return offset

    def _group(self, path: str) -> Any:
        if path not in self._groups:
            from h5py import h5g

            outer, _, name = path.rpartition("/")
            self._groups[path] = h5g.create(self._group(outer), name.encode(), gcpl=self._group_creation)
        return self._groups[path]


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Stream]:
    """A stream into a new file beside `target`, which takes its place when all is written."""
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    _remove_stale(target)
    temporary, descriptor = _create_beside(target, 0o666 if mode is None else 0o600)
    try:
        with contextlib.closing(Stream(descriptor)) as stream:
            if mode is not None:
                temporary.chmod(mode)
            yield stream
            stream.finish()
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    try:
        _sync_folder(target.parent)
    except OSError as error:
        raise OSError(error.errno, f"the new file is there, but may be lost with power: {error.strerror}") from error


def _create_beside(target: Path, mode: int) -> tuple[Path, int]:
    """A new file in the folder of `target`, locked for as long as it is open."""
    while True:
        temporary = target.with_name(f"{_stem(target)}.{os.urandom(8).hex()}.tmp")
        descriptor = os.open(temporary, _NEW_FILE, mode)
        is_own = False
        try:
            is_own = _lock(descriptor) is not False and temporary.exists()  # nobody took it for a stale one before
        finally:
            if not is_own:
                os.close(descriptor)
        if is_own:
            return temporary, descriptor


def _stem(target: Path) -> str:
    """What the names of new files for `target` begin with, so that they are no longer than names may be."""
    name = os.fsencode(target.name)
    return f".{target.name}" if len(name) <= _LONG_NAME else f".{hashlib.sha256(name).hexdigest()}"


def _remove_stale(target: Path) -> None:
    """Remove what processes that were killed left beside `target`: files like theirs that nobody has locked."""
    pattern = re.compile(rf"{re.escape(_stem(target))}\.[0-9a-f]{{16}}\.tmp")
    for name in filter(pattern.fullmatch, os.listdir(target.parent)):
        with contextlib.suppress(OSError):
            descriptor = os.open(target.with_name(name), os.O_RDWR)
            try:
                if _lock(descriptor):
                    target.with_name(name).unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock an open file; False where another process has, None where the system knows no such locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_stored(array: Array) -> Array:
    return np.asarray(array.astype(_stored_dtype(array.dtype), copy=False), order="C")


@functools.lru_cache
def _stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(STORED_AS[dtype.name]).newbyteorder("<")


@functools.lru_cache
def _name(dtype: np.dtype[Any]) -> str:
    """The name of `dtype`, which NumPy puts together anew each time."""
    return dtype.name


def _describe(array: Array, original: str, digest: str) -> dict[str, Any]:
    entry = {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": digest}
    return entry if original == _name(array.dtype) else entry | {"original": original}


def _digest(array: Array) -> str:
    return hashlib.sha256(array.reshape(-1).view(np.uint8).data).hexdigest()
