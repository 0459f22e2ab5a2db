from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import h5py
import pytest

from microframe import load

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no process groups here")

NET = """\
[data]
source = "digits"
validation = 0.1

[[layers]]
type = "dense"
units = 16
activation = "relu"

[[layers]]
type = "batch_norm"

[[layers]]
type = "dropout"
rate = 0.3

[[layers]]
type = "dense"
units = 10
activation = "softmax"

[training]
loss = "cross_entropy"
metrics = ["accuracy"]
epochs = 1000000
"""

HANG = """
import time
from microframe import hookimpl
print("plugin at work", flush=True)
time.sleep(60)
"""


HANG_IN_BATCH = """
import time
from microframe import Callback, hookimpl

class Hang(Callback):
    def batch_end(self, run, memory):
        print("batch at work", flush=True)
        while run.stopping is None:
            time.sleep(0.01)
        print("noticed", flush=True)
        time.sleep(60)

@hookimpl
def microframe_components():
    return [Hang]
"""


@pytest.fixture
def start(tmp_path):
    """Starts a command in a process group of its own."""
    started = []

    def run(*words):
        # Where the tests run in the background, Ctrl-C is ignored, and a process would take that over.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "microframe", *map(str, words)],
                cwd=tmp_path,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def press_ctrl_c(process):
    os.killpg(process.pid, signal.SIGINT)


def weights(path):
    """The bytes of every dataset below /weights, by name."""
    found = {}
    with h5py.File(path) as file:
        file["weights"].visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def test_ctrl_c_saves_what_there_is_and_resume_goes_on_as_if_nothing_had_happened(start, microframe, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    process = start("train", "net.toml", "--json")
    assert process.stderr.readline().startswith("epoch 1/1000000 ")
    press_ctrl_c(process)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert '"stopped": "interrupted"' in stdout
    assert "Traceback" not in stderr

    done = load(tmp_path / "net.h5").history.epochs
    assert done >= 1
    epochs = ["--epochs", done + 2]
    resumed = microframe("run", "net.h5", "--resume", *epochs)
    assert resumed.code == 0
    assert microframe("run", "net.toml", "-o", "uninterrupted.h5", *epochs).code == 0
    assert weights(tmp_path / "net.h5") == weights(tmp_path / "uninterrupted.h5")
    histories = [load(tmp_path / name).history.to_dict() for name in ("net.h5", "uninterrupted.h5")]
    assert histories[0] == histories[1]


def test_ctrl_c_says_where_training_stopped_and_what_was_saved(start, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    process = start("run", "net.toml", "-o", "model.h5")
    process.stderr.readline()
    press_ctrl_c(process)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    *_, stopped, saved = stderr.splitlines()
    epoch = load(tmp_path / "model.h5").history.epochs
    assert re.fullmatch(rf"stopped after epoch {epoch}(, batch \d+/\d+)?: interrupted", stopped)
    assert saved == "saved model.h5"


def test_a_second_ctrl_c_does_not_wait_for_the_batch(start, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    (tmp_path / "hang.py").write_text(HANG_IN_BATCH)
    process = start("train", "net.toml", "--plugin", "hang.py", "--set", "callbacks=['hang']")
    assert process.stdout.readline() == "batch at work\n"
    press_ctrl_c(process)
    assert process.stdout.readline() == "noticed\n"
    press_ctrl_c(process)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr.strip()) == (130, "", "interrupted")
    assert not (tmp_path / "net.h5").exists()


def test_ctrl_c_before_training_ends_quietly_and_writes_nothing(start, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    (tmp_path / "hang.py").write_text(HANG)
    process = start("train", "net.toml", "--plugin", "hang.py")
    assert process.stderr.readline() == "plugin at work\n"
    press_ctrl_c(process)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr.strip()) == (130, "", "interrupted")
    assert not (tmp_path / "net.h5").exists()


def end_with(process, name):
    process.send_signal(getattr(signal, name))
    return process.communicate(timeout=60)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_signals_to_end_are_answered_like_ctrl_c(name, start, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    process = start("train", "net.toml")
    first = process.stderr.readline()
    _, stderr = end_with(process, name)
    assert process.returncode == 130
    *_, shown, stopped, saved = [first.strip(), *stderr.splitlines()]
    epoch = load(tmp_path / "net.h5").history.epochs
    assert shown.startswith(f"epoch {epoch}/1000000 ")
    assert re.fullmatch(rf"stopped after epoch {epoch}(, batch \d+/\d+)?: interrupted", stopped)
    assert saved == "saved net.h5"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_repeated_signal_still_waits_for_the_batch_but_ctrl_c_does_not(name, start, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    (tmp_path / "hang.py").write_text(HANG_IN_BATCH)
    process = start("train", "net.toml", "--plugin", "hang.py", "--set", "callbacks=['hang']")
    assert process.stdout.readline() == "batch at work\n"
    process.send_signal(getattr(signal, name))
    assert process.stdout.readline() == "noticed\n"
    process.send_signal(getattr(signal, name))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    press_ctrl_c(process)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_a_signal_that_is_ignored_from_outside_stays_ignored(start, tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does
    try:
        process = start("train", "net.toml")
    finally:
        signal.signal(signal.SIGHUP, before)
    process.stderr.readline()
    process.send_signal(signal.SIGHUP)
    process.stderr.readline()
    _, stderr = end_with(process, "SIGTERM")
    assert process.returncode == 130
    assert "epoch " in stderr
