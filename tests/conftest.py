"""What tests of several parts share: plugins on disk, model files, a small classification, runs of optimizers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from microframe import Callback, Model, Optimizer
from microframe.interfaces.optimizer import ParameterSlice
from microframe.optimization import OptimizerState
from microframe.standard.layers import Dense, Standardize
from microframe.storage import ModelFile, write_model_file

SWISH = """
    import numpy as np
    import microframe

    class {name}(microframe.Activation):
        needs_input = True
        beta: float = 1.0

        def forward(self, x, out):
            np.divide(x, 1 + np.exp(-self.beta * x), out=out)

        def backward(self, dy, x, y, out):
            s = 1 / (1 + np.exp(-self.beta * x))
            np.multiply(dy, s + self.beta * y * (1 - s), out=out)

    @microframe.hookimpl
    def microframe_components():
        return [{name}]
"""


@pytest.fixture(scope="session")
def swish() -> Callable[..., str]:
    """Gives the source of a plugin with one activation."""
    return lambda name="Swish": SWISH.format(name=name)


@pytest.fixture(scope="session")
def marker() -> str:
    """The source that leaves a file ``<module>.imported`` beside the module that begins with it."""
    return """
    from pathlib import Path
    Path(__file__).with_suffix(".imported").touch()
"""


@pytest.fixture(scope="session")
def write_distribution() -> Callable[..., None]:
    """Writes what an installer leaves on disk: the modules, and a folder of metadata."""

    def write(
        site: Path, distribution: str, entry_points: dict[str, str], modules: dict[str, str], version: str = "1.0"
    ) -> None:
        metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {module}" for name, module in entry_points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[microframe]", *lines, ""]))
        for name, source in modules.items():
            (site / f"{name}.py").write_text(textwrap.dedent(source))

    return write


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs code in a fresh process; where a folder `site` is given, in it and with it on the path."""

    def run(code: str, *arguments: object, site: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        if site is not None:
            environment["PYTHONPATH"] = str(site)
        command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
        return subprocess.run(
            command, env=environment, cwd=site, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def saved_manifest() -> dict[str, object]:
    """What `model_file` holds besides tensors; not to be changed."""
    return {"text": "größe \u2028 \udcff", "list": [1, 2.5, None, True], "table": {"b": 1, "a": []}}


@pytest.fixture(scope="session")
def saved_tensors() -> dict[str, np.ndarray]:
    """The tensors of `model_file`, of every dtype that is stored as it is; not to be changed."""
    return {
        "weights/dense_1/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
        "weights/dense_1/bias": np.zeros(3, np.float64),
        "weights/scalar": np.float32(3).reshape(()),
        "weights/empty": np.empty((0, 4), np.float32),
        "records/w": np.arange(5, dtype=np.int64),
        "records/bytes": np.arange(5, dtype=np.uint8),
    }


@pytest.fixture
def model_file(tmp_path, saved_manifest, saved_tensors) -> Path:
    """A file of that content."""
    path = tmp_path / "model.h5"
    write_model_file(path, saved_manifest, saved_tensors)
    return path


@pytest.fixture(scope="session")
def read_all(saved_tensors) -> Callable[[Path], tuple[dict[str, object], dict[str, np.ndarray]]]:
    """Reads the manifest and all tensors of such a file."""

    def read(path: Path) -> tuple[dict[str, object], dict[str, np.ndarray]]:
        with ModelFile(path) as file:
            return file.manifest, {name: file.read(name) for name in saved_tensors}

    return read


@pytest.fixture
def inputs() -> np.ndarray:
    """Forty samples of three features."""
    return np.random.default_rng(0).normal(size=(40, 3))


@pytest.fixture
def labels(inputs) -> np.ndarray:
    """The name of one of two classes for each of the inputs, which a network can learn."""
    return np.array(["no", "yes"])[(inputs[:, 0] > 0).astype(int)]


@pytest.fixture
def untrained() -> Callable[..., Model]:
    return lambda: Model([Dense(4, "relu"), Dense(2, "softmax")])


@pytest.fixture
def trained(inputs, labels) -> Callable[..., Model]:
    """Trains a classifier on the inputs and labels."""

    def trained(**settings: object) -> Model:
        model = Model([Standardize(), Dense(4, "relu"), Dense(2, "softmax")])
        model.fit(inputs, labels, **{"loss": "cross_entropy", "epochs": 3, "batch_size": 8, **settings})
        return model

    return trained


class OptimizerRun:
    """An optimizer that is fed given gradients: of a kernel of shape (5, 3), which may decay, and a bias of 8."""

    layout = (ParameterSlice("kernel", (5, 3), 0, 15, decay=True), ParameterSlice("bias", (8,), 15, 23, decay=False))

    def __init__(self, optimizer: Optimizer, dtype: type = np.float64, **options: int) -> None:
        self.parameters = np.random.default_rng(0).standard_normal(23).astype(dtype)
        self.gradients = np.zeros_like(self.parameters)
        self.state = OptimizerState(optimizer, self.parameters, self.gradients, self.layout, **options)

    def follow(self, gradients: Sequence[np.ndarray] | np.ndarray, factor: float = 1.0) -> OptimizerRun:
        for gradient in gradients:
            self.gradients[...] = gradient
            self.state.step(factor)
        return self


@pytest.fixture(scope="session")
def optimizer_run() -> type[OptimizerRun]:
    return OptimizerRun


@pytest.fixture(scope="session")
def random_gradients() -> Callable[..., np.ndarray]:
    """Gives gradients for so many steps of an `optimizer_run`; one parameter never has any."""

    def draw(steps: int = 20) -> np.ndarray:
        gradients = np.random.default_rng(1).standard_normal((steps, 23))
        gradients[:, 3] = 0.0
        return gradients

    return draw


class StopAt(Callback):
    """Ends training after one batch of one epoch, both from 1."""

    epoch: int
    batch: int

    def batch_end(self, run, memory):
        if (run.epoch + 1, run.batch) == (self.epoch, self.batch):
            run.stop("the test wants it")


class Disturb(Callback):
    """Changes the factor on the learning rate after one batch of one epoch, both from 1."""

    epoch: int
    batch: int
    factor: float

    def batch_end(self, run, memory):
        if (run.epoch + 1, run.batch) == (self.epoch, self.batch):
            run.learning_rate_factor = self.factor


@pytest.fixture(scope="session")
def stop_at() -> type[Callback]:
    return StopAt


@pytest.fixture(scope="session")
def disturb() -> type[Callback]:
    return Disturb


@pytest.fixture(scope="session")
def everything() -> Callable[[Model], dict[str, object]]:
    """Gives all that training leaves behind, in a form that compares bit for bit."""

    def everything(model: Model) -> dict[str, object]:
        assert model.checkpoint is not None
        arrays = {"predicting": model.network.parameters, **model.records, **model.checkpoint.arrays}
        for layer, states in model.network.state.items():
            arrays |= {f"{layer}/{name}": array for name, array in states.items()}
        return {
            "arrays": {name: (array.shape, array.dtype.str, array.tobytes()) for name, array in arrays.items()},
            "progress": json.dumps(model.checkpoint.progress, sort_keys=True),
            "history": json.dumps(model.history.to_dict(), sort_keys=True),
        }

    return everything
