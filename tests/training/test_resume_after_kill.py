"""A process that is killed in the middle of an epoch loses nothing but time: its file alone is enough to go on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from microframe import Model, load
from microframe.storage import ModelFile

pytestmark = pytest.mark.skipif(os.name != "posix", reason="nothing kills a process like SIGKILL here")

NET = """\
[data]
source = "digits"
test = 0.1
validation = 0.1

[[layers]]
type = "standardize"

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
optimizer = { type = "adam", learning_rate = 1e-3, average = 0.99, clip_norm = 1.0, weight_decay = 1e-4 }
metrics = ["accuracy"]
epochs = 1000000
seed = 3
callbacks = [
  { type = "checkpoint", last = "net.h5", batches = 7, every = 1000000 },
  { type = "reduce_on_plateau", patience = 1 },
  { type = "weight_recorder" },
  { type = "metrics_log", path = "log.csv" },
]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.toml").write_text(NET)
    return tmp_path


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "microframe", "train", *map(str, words)]


def run(folder: Path, *words: object) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command(*words), cwd=folder, env=environment, check=True, capture_output=True, timeout=60)


def progress_of(path: Path) -> dict[str, int]:
    """Where the training stands that a file is of, a whole one whenever one looks; zeros where there is none."""
    if not path.exists():
        return {"epoch": 0, "batch": 0, "step": 0}
    with ModelFile(path) as file:
        file.verify()
        return file.manifest["progress"]


def kill_after(folder: Path, steps: int, *words: object) -> dict[str, int]:
    """Train, and kill the process as soon as it is seen to have done so many more steps; gives what is left."""
    path = folder / "net.h5"
    wanted = progress_of(path)["step"] + steps
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(command(*words), cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while progress_of(path)["step"] < wanted:
            assert process.poll() is None
            assert time.monotonic() < deadline
    finally:
        process.kill()
        process.wait()
    return progress_of(path)


def test_training_that_is_killed_again_and_again_ends_with_the_same_bits(folder, everything):
    left = [
        kill_after(folder, 60, "net.toml", "-q"),
        kill_after(folder, 30, "net.toml", "-q", "--resume"),
        kill_after(folder, 30, "net.h5", "-q", "--resume"),
    ]
    assert any(progress["batch"] > 0 for progress in left)
    epochs = left[-1]["epoch"] + 2
    run(folder, "net.toml", "-q", "--resume", "--epochs", epochs)
    log = (folder / "log.csv").read_bytes()
    names = ["log.csv", "net.h5", "net.toml"]
    assert sorted(os.listdir(folder)) == names  # also what killed saves left behind is gone

    resumed = load(folder / "net.h5")
    (folder / "net.h5").unlink()
    (folder / "log.csv").unlink()
    run(folder, "net.toml", "-q", "--epochs", epochs)
    uninterrupted = load(folder / "net.h5")
    assert everything(resumed) == everything(uninterrupted)
    assert resumed.results == uninterrupted.results
    assert log == (folder / "log.csv").read_bytes()


def test_the_file_alone_is_enough(folder, tmp_path_factory, everything):
    left = kill_after(folder, 40, "net.toml", "-q")
    alone = tmp_path_factory.mktemp("alone")
    (folder / "net.h5").rename(alone / "net.h5")
    epochs = left["epoch"] + 1
    run(alone, "net.h5", "-q", "--resume", "--epochs", epochs)
    (folder / "log.csv").unlink()
    run(folder, "net.toml", "-q", "--epochs", epochs)
    assert everything(load(alone / "net.h5")) == everything(load(folder / "net.h5"))
    assert (alone / "net.h5").read_bytes() == (folder / "net.h5").read_bytes()


def test_the_interrupted_file_predicts_and_says_how_far_it_is(folder):
    left = kill_after(folder, 60, "net.toml", "-q")
    model = Model.load(folder / "net.h5")
    assert model.history.epochs == left["epoch"]
    assert left["step"] == left["epoch"] * 45 + left["batch"]
    assert set(model.predict([[0.0] * 64])) <= set(range(10))
