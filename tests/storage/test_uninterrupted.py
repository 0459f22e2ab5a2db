from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

from microframe.storage import write_model_file
from microframe.storage.uninterrupted import uninterrupted

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals at will")


@pytest.fixture(autouse=True)
def _interruptible():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)  # in which the main thread is told of it


def tensors(number):
    return {f"weights/layer_{index}/kernel": np.full(50, number, np.float32) for index in range(5)}


def test_what_work_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        uninterrupted(lambda: 1 / 0)


def test_work_is_done_to_its_end_before_an_interrupt_is_told_of():
    done = []
    with pytest.raises(KeyboardInterrupt):
        uninterrupted(lambda: (press(), time.sleep(0.05), done.append(threading.current_thread())))
    assert done != [threading.main_thread()]
    assert len(done) == 1


def test_threads_that_are_not_the_main_one_work_themselves():
    done = []
    thread = threading.Thread(target=lambda: uninterrupted(lambda: done.append(threading.current_thread())))
    thread.start()
    thread.join()
    assert done == [thread]


@pytest.mark.parametrize("method", ["write", "seek"])
@pytest.mark.parametrize("at", [1, 2, 5, 12])
def test_an_interrupt_does_not_reach_the_library_that_writes(tmp_path, monkeypatch, method, at):
    write_model_file(tmp_path / "other.h5", {}, tensors(1))
    calls, descriptors = [], os.listdir("/dev/fd")

    class Pressed(io.FileIO):
        pass

    def pressed(self, *arguments):
        calls.append(arguments)
        if len(calls) == at:
            press()
        return getattr(io.FileIO, method)(self, *arguments)

    setattr(Pressed, method, pressed)
    monkeypatch.setattr(os, "fdopen", lambda descriptor, *arguments, **options: Pressed(descriptor, "w+b"))
    with pytest.raises(KeyboardInterrupt):
        write_model_file(tmp_path / "model.h5", {}, tensors(1))
    assert (tmp_path / "model.h5").read_bytes() == (tmp_path / "other.h5").read_bytes(), "it was saved first"
    assert sorted(os.listdir(tmp_path)) == ["model.h5", "other.h5"]
    assert os.listdir("/dev/fd") == descriptors


def test_interrupts_at_any_moment_leave_one_whole_file_and_nothing_else(tmp_path):
    path, whole = tmp_path / "model.h5", set()
    for number in range(2):
        write_model_file(path, {}, tensors(number))
        whole.add(path.read_bytes())
    rng, descriptors = random.Random(0), os.listdir("/dev/fd")
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for trial in range(60):
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 0.006))
                write_model_file(path, {}, tensors(trial % 2))
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert path.read_bytes() in whole
            assert os.listdir(tmp_path) == [path.name]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert os.listdir("/dev/fd") == descriptors
