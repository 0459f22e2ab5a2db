"""A file for the HDF5 library to write to that never tells it of an error."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from microframe.arrays import Array

_SYNCED = 2**23
"""Bytes after which the disk is set to work, while the next are written and hashed."""


class Stream(io.RawIOBase):
    """A file for the HDF5 library to write to, which crashes the process if it is told of an error.

    The first error is kept, everything after it is let pass, and `finish` raises it.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._file = os.fdopen(descriptor, "w+b", buffering=0)
        self._error: BaseException | None = None
        self._syncing = ThreadPoolExecutor(1)
        self._synced: list[Future[None]] = []
        self._unsynced = 0

    def put(self, array: Array, offset: int | None) -> None:
        """Write `array` at `offset`, unless that is None; an error is raised at once."""
        if offset is not None:
            self.seek(offset)
            self.write(array.reshape(-1).view(np.uint8))
            self._sync_early(array.nbytes)
        if self._error is not None:
            raise self._error

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self._error is None:
                rest = rest[self._file.write(rest) or 0 :]
        except BaseException as error:  # a key that is pressed must not reach the library either
            self._error = error
        return size

    def readinto(self, data: Any) -> int:
        size = len(data)
        return size if self._error is not None else self._guarded(size, self._file.readinto, data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._guarded(offset, self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._guarded(0, self._file.tell)

    def truncate(self, size: int | None = None) -> int:
        otherwise = size or 0
        return otherwise if self._error is not None else self._guarded(otherwise, self._file.truncate, size)

    def flush(self) -> None:
        """Nothing is kept back that is to be written."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def finish(self) -> None:
        """Raise what went wrong, or else make the content durable."""
        if self._error is not None:
            raise self._error
        for synced in self._synced:
            synced.result()  # the system tells of a failed write once, maybe to that call
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._syncing.shutdown(cancel_futures=True)
        self._file.close()
        super().close()

    def _guarded(self, otherwise: int, work: Callable[..., int | None], *arguments: Any) -> int:
        """What `work` gives, or `otherwise` where it fails, of which the first error is kept."""
        try:
            return work(*arguments) or 0
        except BaseException as error:
            self._error = self._error or error
        return otherwise

    def _sync_early(self, size: int) -> None:
        """Set the disk to work on what is written so far, so that little is left for `finish` to wait for."""
        self._unsynced += size
        if self._unsynced >= _SYNCED and all(synced.done() for synced in self._synced):
            with contextlib.suppress(RuntimeError):  # a process that may not start a thread, or is about to end
                self._synced.append(self._syncing.submit(_sync_content, self._file.fileno()))
            self._unsynced = 0


def _sync_content(descriptor: int) -> None:
    getattr(os, "fdatasync", os.fsync)(descriptor)
