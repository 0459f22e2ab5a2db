"""Reading model files: what is promised of them is checked before anything is made of them."""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from microframe.arrays import Array
from microframe.errors import ModelFileError, UsageError
from microframe.storage.codes import Code, Refused
from microframe.storage.hdf5 import NAME, Structure, groups_of
from microframe.storage.manifest import MOST_BYTES, Tensor, check_fields, decode
from microframe.storage.writing import FORMAT, LAYOUT, STORED_AS
from microframe.values import describe_value

_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_OPENING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_PIECE = 2**20
"""Bytes that are hashed and looked at while they are in the processor's cache."""
_MOST_READ = 2**26
"""Bytes that are read at once where nobody looks at them."""
_WINDOW = 2**14
"""Bytes that are read at once where few are wanted: metadata lie side by side."""
_MOST_PADDING = 2**16
"""Bytes between two parts of a file: what an alignment takes, or the HDF5 library at once."""
_READERS = 2
"""Threads that read and check large tensors; hashing leaves Python's lock to others."""
_LARGE = 2**18
"""Bytes of a tensor that is worth handing to a thread."""


class ModelFile:
    """An open model file, to read from.

    Its structure, its manifest and the table of tensors have been checked when it is there; a tensor's content is
    checked when it is read.

    Args:
        path: the file.
        sha256: what its own digest must be, 64 hexadecimal digits; checked before anything else is read.
        check: whether the digests of the tensors are checked, and that weights are finite.
        allow_nonfinite: whether weights may be NaN or infinite.
        isolate: whether a process of its own reads and checks the whole file first; see `isolation`.

    Attributes:
        manifest: everything in the file but the tensors, as plain JSON values.
        sha256: the digest of the manifest, which names the model whatever the HDF5 bytes around it are.

    Raises:
        ModelFileError: it is not a model file, or one that is refused; `code` says why.
        UsageError: `sha256` is no digest.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sha256: str | None = None,
        check: bool = True,
        allow_nonfinite: bool = False,
        isolate: bool = False,
    ) -> None:
        if sha256 is not None and not (isinstance(sha256, str) and _DIGEST.fullmatch(sha256)):
            raise UsageError(f"sha256: expected 64 hexadecimal digits, received {describe_value(sha256, 100)}")
        if isolate:
            from microframe.storage.isolation import read_in_isolation

            sha256 = read_in_isolation(path, sha256=sha256, allow_nonfinite=allow_nonfinite)
        self.path = Path(path)
        self._check = check
        self.allow_nonfinite = allow_nonfinite
        self._memory: Array | None = None
        self._window, self._window_start = b"", 0
        self._seeking = threading.Lock()
        with self.naming():
            self._file = _open(self.path)
            try:
                self._state = os.fstat(self._file.fileno())
                if sha256 is not None:
                    self._check_own_digest(sha256)
                self._structure = Structure(self._pread, self._state.st_size, _check_attributes)
                self.manifest, self.sha256 = self._read_manifest()
                self._tensors = self._check_table()
                self._check_padding()
                self._check_unchanged()
            except BaseException:
                self._file.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def fields(self, kind: type[Any]) -> Any:
        """The manifest as `kind`, a msgspec structure.

        Raises:
            ModelFileError: a field is missing, unknown, or not of its type.
        """
        with self.naming():
            return check_fields(self.manifest, kind)

    def paths(self, group: str) -> list[str]:
        """The tensors below `group`, by their paths relative to it."""
        prefix = f"{group}/"
        return [path.removeprefix(prefix) for path in self._tensors if path.startswith(prefix)]

    def shape(self, path: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self._entry(path).shape

    def read(self, path: str) -> Array:
        """A tensor, with the dtype that it had when it was written."""
        entry = self._entry(path)
        with self.naming():
            array = np.empty(entry.shape, entry.original or entry.dtype)
            if array.dtype == entry.dtype:
                self._fill(path, array)
            else:
                self._fill_converted(path, array)
            self._check_unchanged()
        return array

    def read_into(self, arrays: Mapping[str, Array]) -> None:
        """Read tensors, by path, each into an array of its shape and dtype."""
        with self.naming():
            for path, array in arrays.items():
                self._match(path, array.shape, array.dtype)
            self._fill_all(arrays)
            self._check_unchanged()

    def map(self, path: str) -> Array:
        """A tensor as a view of the file, read-only, and checked, where `check` is set, through the file.

        Saving over the file leaves the view as it is. A program that changes the file in place changes the view as
        well, and one that cuts it short ends this process (SIGBUS), as is so with every mapped file.
        """
        entry, stored = self._entry(path), self._structure.datasets[path]
        if self._check:
            with self.naming():
                self._look_through(path)
                self._check_unchanged()
        if not stored.size:
            return np.empty(entry.shape, entry.dtype)
        if self._memory is None:
            # a plain array of the map: each operation on a numpy.memmap would take a detour through its methods
            with self.naming():
                self._memory = np.frombuffer(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
        return self._memory[stored.offset : stored.offset + stored.size].view(entry.dtype).reshape(entry.shape)

    def verify(self) -> None:
        """Check the content of every tensor, also where `check` is not set."""
        with self.naming():
            for path in self._tensors:
                self._look_through(path)
            self._check_unchanged()

    def own_sha256(self) -> str:
        """The digest of the file's bytes, in hexadecimal."""
        digest = hashlib.sha256()
        with self.naming():
            for offset in range(0, self._state.st_size, 4 * _PIECE):
                digest.update(self._pread(offset, 4 * _PIECE))
        return digest.hexdigest()

    def _check_own_digest(self, expected: str) -> None:
        received = self.own_sha256()
        if received != expected.lower():
            raise Refused(Code.FILE_DIGEST, "the whole file", f"the SHA-256 {received}, not {expected.lower()}")

    def _read_manifest(self) -> tuple[dict[str, Any], str]:
        datasets = self._structure.datasets
        stored = datasets.get("manifest")
        if stored is None or stored.dtype != "|u1" or len(stored.shape) != 1:
            raise Refused(Code.MISSING, "/manifest", "no list of bytes" if stored else "nothing")
        if stored.size > MOST_BYTES:
            raise Refused(Code.MANIFEST_SIZE, "/manifest", f"{stored.size} bytes of at most {MOST_BYTES}")
        data = self._pread(stored.offset, stored.size)
        received = hashlib.sha256(data).hexdigest()
        if received.encode() != self._structure.attributes["manifest_sha256"]:
            raise Refused(Code.MANIFEST_DIGEST, "/manifest", "a text whose digest is not the one in the file")
        return decode(data), received

    def _check_table(self) -> dict[str, Tensor]:
        """The table of tensors, which must be that of the datasets."""
        tensors: dict[str, Tensor] = check_fields(self.manifest.get("tensors", {}), dict[str, Tensor])
        for path in tensors:
            if not all(map(NAME.fullmatch, path.split("/"))):
                raise Refused(Code.NAME, "/manifest", f"a tensor called {path[:80]!r}")
        stored = {path: dataset for path, dataset in self._structure.datasets.items() if path != "manifest"}
        for path, dataset in stored.items():
            entry = tensors.get(path)
            if entry is None:
                raise Refused(Code.UNLISTED, f"/{path}", "a dataset that the manifest doesn't list")
            if entry.dtype != dataset.dtype:
                raise Refused(Code.TYPE, f"/{path}", f"{dataset.dtype}, where the manifest says {entry.dtype}")
            if entry.shape != dataset.shape:
                raise Refused(Code.SHAPE, f"/{path}", f"{dataset.shape}, where the manifest says {entry.shape}")
            stored_as = np.dtype(entry.dtype).name
            if entry.original is not None and (
                entry.original == stored_as or STORED_AS.get(entry.original) != stored_as
            ):
                raise Refused(Code.TYPE, f"/{path}", f"{entry.dtype}, which no {entry.original[:40]} is stored as")
        for path in sorted(tensors.keys() - stored.keys()):
            raise Refused(Code.MISSING, f"/{path}", "nothing, where the manifest lists a tensor")
        for group in sorted(self._structure.groups - groups_of(stored)):
            raise Refused(Code.UNLISTED, f"/{group}", "a group without any tensor")
        return tensors

    def _check_padding(self) -> None:
        """Check that there is nothing between the parts of the file, nor in what is marked as empty."""
        for path in self._structure.hidden:
            raise Refused(Code.HIDDEN_BYTES, path, "something in what is marked as empty")
        for begin, end, path in self._structure.gaps():
            if end - begin > _MOST_PADDING or self._pread(begin, end - begin).strip(b"\0"):
                raise Refused(Code.HIDDEN_BYTES, path, f"{end - begin} bytes before it that are of nothing")

    def _entry(self, path: str) -> Tensor:
        if path not in self._tensors:
            raise ModelFileError(self.path, Code.TENSORS, f"/{path}", "nothing, where the model has an array")
        return self._tensors[path]

    def expect(self, described: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], group: str) -> None:
        """Refuse the file unless the tensors below `group` are those described: shapes and dtypes by path."""
        with self.naming():
            for path in sorted({f"{group}/{name}" for name in self.paths(group)} ^ described.keys()):
                there, wanted = ("a tensor", "none") if path in self._tensors else ("nothing", "one")
                raise Refused(Code.TENSORS, f"/{path}", f"{there}, where the configured layers have {wanted}")
            for path, (shape, dtype) in described.items():
                self._match(path, tuple(shape), dtype)

    def _match(self, path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        entry = self._entry(path)
        if (entry.dtype, entry.shape) != (dtype.str, shape):
            found = f"{entry.dtype} of shape {entry.shape}, where the layers have {dtype.str} of shape {shape}"
            raise Refused(Code.TENSORS, f"/{path}", found)
        if entry.original is not None:
            raise Refused(Code.TENSORS, f"/{path}", f"what was {entry.original}, where the layers have {dtype}")

    def _fill_all(self, arrays: Mapping[str, Array]) -> None:
        """Read tensors, several large ones that are to be checked by threads; it is the first bad one that is told."""
        large = [path for path, array in arrays.items() if self._check and array.nbytes >= _LARGE]
        awaited: dict[str, Future[None]] = {}
        pool = ThreadPoolExecutor(_READERS)
        try:
            if len(large) > 1:
                with contextlib.suppress(RuntimeError):  # a process that may not start a thread, or is about to end
                    for path in large:
                        awaited[path] = pool.submit(self._fill, path, arrays[path])
            for path, array in arrays.items():
                if path in awaited:
                    awaited[path].result()
                else:
                    self._fill(path, array)
        finally:
            pool.shutdown(cancel_futures=True)

    def _fill(self, path: str, array: Array) -> None:
        """Read a tensor into `array`."""
        for _ in self._pieces(path, array.reshape(-1).view(np.uint8).data, check=self._check):
            pass

    def _fill_converted(self, path: str, array: Array) -> None:
        """Read a tensor into `array`, whose dtype is another one."""
        values, at = array.reshape(-1), 0
        for piece in self._pieces(path, None, check=self._check):
            converted = self._converted(path, piece)
            values[at : at + len(converted)] = converted
            at += len(converted)

    def _converted(self, path: str, piece: memoryview) -> Array:
        """A piece of a tensor in the dtype that it had when it was written, in which it must be the same."""
        entry = self._tensors[path]
        stored = np.frombuffer(piece, entry.dtype)
        with np.errstate(all="ignore"):
            converted = stored.astype(entry.original or entry.dtype)
            if not np.array_equal(converted.astype(entry.dtype), stored, equal_nan=True):
                raise Refused(Code.TYPE, f"/{path}", f"a value that no {entry.original} has")
        return converted

    def _look_through(self, path: str) -> None:
        """Check a tensor."""
        is_converted = self._tensors[path].original is not None
        for piece in self._pieces(path, None, check=True):
            if is_converted:
                self._converted(path, piece)

    def _pieces(self, path: str, target: memoryview | None, *, check: bool) -> Iterator[memoryview]:
        """A tensor's bytes, read into `target` or else into a place that the next ones take; checked when all are read.

        A piece that is checked fits into the processor's cache.
        """
        stored, entry = self._structure.datasets[path], self._tensors[path]
        most = _PIECE if check or target is None else _MOST_READ
        place = memoryview(bytearray(min(most, stored.size))) if target is None else target
        digest, is_finite = hashlib.sha256(), True
        looks = check and not self.allow_nonfinite and path.startswith("weights/") and "f" in entry.dtype
        for start in range(0, stored.size, most):
            size = min(most, stored.size - start)
            piece = place[:size] if target is None else place[start : start + size]
            self._read_at(stored.offset + start, piece, path)
            if check:
                digest.update(piece)
            if looks and is_finite:
                is_finite = bool(np.isfinite(np.frombuffer(piece, entry.dtype)).all())
            yield piece
        if check and digest.hexdigest() != entry.sha256:
            raise Refused(Code.DIGEST, f"/{path}", "bytes whose digest is not the one in the manifest")
        if not is_finite:
            advice = "allow_nonfinite=True, or --allow-nonfinite, loads it"
            raise Refused(Code.NONFINITE, f"/{path}", f"NaN or infinity; {advice}")

    def _read_at(self, offset: int, piece: memoryview, path: str) -> None:
        """Fill `piece` with the bytes from `offset`."""
        if hasattr(os, "preadv"):
            count = os.preadv(self._file.fileno(), [piece], offset)
        else:
            with self._seeking:
                self._file.seek(offset)
                count = self._file.readinto(piece) or 0
        if count != piece.nbytes:
            raise Refused(Code.CHANGED, f"/{path}", "fewer bytes than there were")

    def _pread(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`."""
        if size >= _WINDOW:
            self._file.seek(offset)
            return self._file.read(size)
        start = offset - self._window_start
        if not 0 <= start <= len(self._window) - size:
            self._file.seek(offset)
            self._window, self._window_start, start = self._file.read(_WINDOW), offset, 0
        return self._window[start : start + size]

    def _check_unchanged(self) -> None:
        now, before = os.fstat(self._file.fileno()), self._state
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise Refused(Code.CHANGED, "the whole file", "another size or time than when it was opened")

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Give what is refused the path of the file."""
        try:
            yield
        except Refused as refused:
            raise ModelFileError(self.path, refused.code, refused.where, refused.found) from refused
        except MemoryError as error:
            found = "more than there is memory for"
            raise ModelFileError(self.path, Code.MEMORY, "the whole file", found) from error
        except OSError as error:
            raise ModelFileError(self.path, Code.UNREADABLE, "the path", error.strerror or str(error)) from error


def _open(path: Path) -> io.FileIO:
    """The file, opened so that neither a pipe nor a device can make anybody wait."""
    try:
        _check_kind(path.stat())  # as opening a device may already do something to it
        descriptor = os.open(path, _OPENING)
    except FileNotFoundError as error:
        raise Refused(Code.NOT_FOUND, "the path", "no such file") from error
    except ValueError as error:
        raise Refused(Code.NOT_FOUND, "the path", f"no name that a file can have ({error})") from error
    try:
        _check_kind(os.fstat(descriptor))
        return io.FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Refused(Code.NOT_A_FILE, "the path", "a directory, a pipe, a socket or a device")


def _check_attributes(attributes: Mapping[str, bytes | int]) -> None:
    """Refuse a file that is none of microframe's, or of a layout that isn't known here."""
    if attributes.get("format") != FORMAT.encode():
        raise Refused(Code.FORMAT, "/", "an HDF5 file, but no model of microframe")
    layout = attributes.get("layout")
    if layout != LAYOUT:
        found = f"layout version {layout!r}; this version of microframe reads version {LAYOUT}"
        raise Refused(Code.LAYOUT if isinstance(layout, int) else Code.ATTRIBUTE, "/", found)
    is_text = isinstance(attributes.get("manifest_sha256"), bytes)
    if attributes.keys() != {"format", "layout", "manifest_sha256"} or not is_text:
        raise Refused(Code.ATTRIBUTE, "/", f"the attributes {', '.join(sorted(attributes))}")
