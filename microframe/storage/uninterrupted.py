"""Work that no key that is pressed can stop between two of its steps."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable


def uninterrupted(work: Callable[[], None]) -> None:
    """Do `work` in a thread of its own, and wait for its end also where a key is pressed meanwhile.

    Python tells the main thread alone of that, between any two of its steps. There it would leave open files behind,
    and could reach the HDF5 library, which crashes the process. What is raised for it is raised when the work is done.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return
    task = _Task(work)
    try:
        try:
            # not a threading.Thread, which is in disorder when it is interrupted while it starts
            _thread.start_new_thread(task.run, ())
        except RuntimeError:  # a process that may not start a thread, or is about to end
            task.run()
        task.wait()
    except BaseException:
        if task.has_begun():
            task.wait()
        raise
    task.raise_error()


class _Task:
    """Work that is done once, or never when somebody has asked whether it has begun before it has."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._begun, self._running = threading.Lock(), threading.Lock()
        self._running.acquire()
        self._is_done = False
        self._error: BaseException | None = None

    def run(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._work()
        except BaseException as error:
            self._error = error
        self._is_done = True
        self._running.release()

    def wait(self) -> None:
        while not self._is_done:
            self._running.acquire(timeout=1)

    def has_begun(self) -> bool:
        return not self._begun.acquire(blocking=False)

    def raise_error(self) -> None:
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # which holds this frame, and would hold all that the work had
