"""What tests of the model file share: a trained model's file, and tools that change files and leave all else right."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import microframe
from microframe import ModelFileError
from microframe.standard.layers import Dense, Standardize

_ALIGNED: dict[str, Any] = {"libver": ("v110", "v110"), "alignment_threshold": 1, "alignment_interval": 64}
_MASK = 2**32 - 1
_blank = runpy.run_path(str(Path(__file__).parent / "mutations" / "blank.py"))["blank"]
_CONTINUATION = 16
_DOINGS = ("os.", "shutil.", "socket.", "subprocess.", "tempfile.", "pickle.", "ctypes.", "glob.", "mmap.")


@contextmanager
def _reopened(path: Path) -> Iterator[h5py.File]:
    with h5py.File(path, "r+", **_ALIGNED) as file:
        yield file
    data = bytearray(path.read_bytes())
    _blank(data)
    path.write_bytes(data)


@pytest.fixture(scope="session")
def reopened() -> Callable[[Path], Any]:
    """Opens a model file to be changed, as the writer opens it."""
    return _reopened


def _canonical(values: Any) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _put_text(file: h5py.File, text: bytes) -> None:
    if "manifest" in file:
        del file["manifest"]
    file.create_dataset("manifest", data=np.frombuffer(text, np.uint8))
    file.attrs["manifest_sha256"] = np.bytes_(hashlib.sha256(text).hexdigest())


def _with_text(path: Path, text: bytes) -> Path:
    with _reopened(path) as file:
        _put_text(file, text)
    return path


def _with_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    with _reopened(path) as file:
        values = json.loads(file["manifest"][...].tobytes())
        change(values)
        _put_text(file, _canonical(values))
    return path


@pytest.fixture(scope="session")
def with_text() -> Callable[[Path, bytes], Path]:
    """Puts other bytes in the place of a file's manifest, and the digest that belongs to them."""
    return _with_text


@pytest.fixture(scope="session")
def with_manifest() -> Callable[[Path, Callable[[dict[str, Any]], object]], Path]:
    """Changes the values of a file's manifest; its text stays canonical and its digest right."""
    return _with_manifest


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _MASK


def _lookup3(data: bytes) -> int:
    """Bob Jenkins' hashlittle, one step after the other as in lookup3.c of May 2006, with an initial value of 0."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    while len(data) > 12:
        x, y, z = struct.unpack_from("<3I", data)
        a, b, c, data = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK, data[12:]
        a = (a - c) & _MASK ^ _rotated(c, 4)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotated(a, 6)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _rotated(b, 8)
        b = (b + a) & _MASK
        a = (a - c) & _MASK ^ _rotated(c, 16)
        c = (c + b) & _MASK
        b = (b - a) & _MASK ^ _rotated(a, 19)
        a = (a + c) & _MASK
        c = (c - b) & _MASK ^ _rotated(b, 4)
        b = (b + a) & _MASK
    if not data:
        return c
    x, y, z = struct.unpack("<3I", data.ljust(12, b"\0"))
    a, b, c = (a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK
    c = ((c ^ b) - _rotated(b, 14)) & _MASK
    a = ((a ^ c) - _rotated(c, 11)) & _MASK
    b = ((b ^ a) - _rotated(a, 25)) & _MASK
    c = ((c ^ b) - _rotated(b, 16)) & _MASK
    a = ((a ^ c) - _rotated(c, 4)) & _MASK
    b = ((b ^ a) - _rotated(a, 14)) & _MASK
    return ((c ^ b) - _rotated(b, 24)) & _MASK


@pytest.fixture(scope="session")
def lookup3_by_hand() -> Callable[[bytes], int]:
    """The checksum of HDF5's metadata, of one block, in plain Python."""
    return _lookup3


class Bytes:
    """The bytes of a model file, to be changed below what the HDF5 library lets happen; `save` mends the checksums."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = bytearray(path.read_bytes())
        self._touched = {0: (0, 44)}

    def header(self, name: str) -> int:
        """Where the object header of `name` begins."""
        with h5py.File(self.path) as file:
            return int(h5py.h5o.get_info(file[name].id).addr)

    def messages(self, name: str) -> list[tuple[int, int, int]]:
        """Kind, place of the content and its size for each message in the header of `name`."""
        address = self.header(name)
        begin, end, order = self._extent(address)
        self._touched[address] = (address, end)
        found, parts = [], [(begin, end)]
        for start, last in parts:
            at = start
            while at + 4 + order <= last:
                kind, size = struct.unpack_from("<BH", self.data, at)
                content = at + 4 + order
                if kind == _CONTINUATION:
                    more, length = struct.unpack_from("<2Q", self.data, content)
                    self._touched[more] = (more, more + length - 4)
                    parts.append((more + 4, more + length - 4))
                found.append((kind, content, size))
                at = content + size
        return found

    def message(self, name: str, kind: int, number: int = 0) -> int:
        """Where the content of a message of `kind` begins in the header of `name`."""
        return [at for found, at, _ in self.messages(name) if found == kind][number]

    def put(self, at: int, layout: str, *values: int) -> None:
        struct.pack_into(layout, self.data, at, *values)

    def save(self) -> Path:
        for start, end in self._touched.values():
            self.put(end, "<I", _lookup3(bytes(self.data[start:end])))
        self.path.write_bytes(self.data)
        return self.path

    def _extent(self, address: int) -> tuple[int, int, int]:
        """Where the messages of a header begin and end, and the bytes of a creation order in each."""
        assert self.data[address : address + 5] == b"OHDR\x02"
        flags = self.data[address + 5]
        start = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(self.data[start : start + width], "little")
        return start + width, start + width + size, 2 if flags & 4 else 0


@pytest.fixture(scope="session")
def bytes_of() -> type[Bytes]:
    return Bytes


@pytest.fixture(scope="session")
def trained_bytes(tmp_path_factory) -> bytes:
    """The content of the file of a small classifier, with a checkpoint."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 3)), np.array(["no", "yes"] * 12)
    model = microframe.Model([Standardize(), Dense(4, "relu"), Dense(2, "softmax")])
    model.fit(x, y, loss="cross_entropy", epochs=2, batch_size=8, validation=0.25)
    path = tmp_path_factory.mktemp("trained") / "model.h5"
    model.save(path)
    return path.read_bytes()


@pytest.fixture
def trained_file(tmp_path, trained_bytes) -> Path:
    """A file of that content, to be changed."""
    path = tmp_path / "trained.h5"
    path.write_bytes(trained_bytes)
    return path


class Watch:
    """What a process does to files other than those of what is installed, through Python's audit events."""

    def __init__(self) -> None:
        self.active = self._installed = False
        self.seen: list[tuple[str, str]] = []
        self._own = tuple({str(Path(place).resolve()) for place in (*sys.path, sys.prefix, sys.base_prefix) if place})

    def install(self) -> None:
        """Begin; nothing takes an audit hook away again."""
        if not self._installed:
            sys.addaudithook(self)
        self._installed = True

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.active and (event == "open" or event.startswith(_DOINGS)):
            place = arguments[0] if arguments else ""
            # a number is a file that has been opened before
            if not isinstance(place, int) and not str(place).startswith(self._own):
                self.seen.append((event, str(place)))

    @contextmanager
    def watching(self) -> Iterator[list[tuple[str, str]]]:
        self.seen, self.active = [], True
        try:
            yield self.seen
        finally:
            self.active = False


_WATCH = Watch()


@pytest.fixture(scope="session")
def watched(trained_bytes, tmp_path_factory) -> Callable[[], Any]:
    """Notes what is done to files while it is entered; what a first use of microframe imports is imported before."""
    path = tmp_path_factory.mktemp("watched") / "model.h5"
    path.write_bytes(trained_bytes)
    microframe.load(path).checkpoint  # noqa: B018
    _WATCH.install()
    return _WATCH.watching


@pytest.fixture
def refused(watched, monkeypatch) -> Callable[..., ModelFileError]:
    """Gives the error with which a path is refused, by `read` or by `microframe.load`.

    Nothing may be left open, no other file be touched, and the HDF5 library not be asked.
    """

    def nobody(*_: object, **__: object) -> None:
        pytest.fail("the HDF5 library was asked")

    def refused(path: Path, read: Callable[[Path], object] = microframe.load) -> ModelFileError:
        folder = path.parent if path.parent.is_dir() else path.parent.parent
        before, descriptors = _contents(folder), _descriptors()
        with monkeypatch.context() as patch:
            for module, name in ((h5py, "File"), (h5py.h5f, "open"), (h5py.h5d, "open"), (h5py.h5g, "open")):
                patch.setattr(module, name, nobody)
            with _WATCH.watching() as seen, pytest.raises(ModelFileError) as error:
                read(path)
        assert [place for event, place in seen if (event, place) != ("open", str(path))] == []
        assert _contents(folder) == before
        # those of models that nobody has any more may be closed meanwhile
        assert descriptors is None or set(_descriptors() or ()) <= set(descriptors)
        assert type(error.value) is ModelFileError
        assert error.value.path == path
        assert str(error.value) == f"{path}: {error.value.where}: {error.value.found} [{error.value.code}]"
        assert len(error.value.found) < 1000
        return error.value

    return refused


def _contents(folder: Path) -> dict[str, tuple[int, ...]]:
    """The names in a folder, each with what would change if it were written to."""
    names = {path.name: path.lstat() for path in folder.iterdir()}
    return {name: (state.st_mode, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in names.items()}


def _descriptors() -> list[str] | None:
    """The files that this process has open, where the system tells."""
    return sorted(os.listdir("/proc/self/fd")) if sys.platform == "linux" else None


@pytest.fixture
def in_time() -> Iterator[None]:
    """Lets a test fail that waits for ever."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError("this takes for ever")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
