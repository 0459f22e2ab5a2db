"""Makes the golden files of the layout that the installed microframe writes: python make.py FOLDER [NAME...].

Beside each file goes what is expected of it, as JSON. See README.md before running this.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import microframe
from microframe import Callback, Model
from microframe.storage import LAYOUT, ModelFile


class StopWithinAnEpoch(Callback):
    """Ends the training after the second batch of the third epoch."""

    type = "stop_within_an_epoch"

    def batch_end(self, run: Any, memory: Any) -> None:
        if (run.epoch, run.batch) == (2, 2):
            run.stop("the file is to be a checkpoint of the middle of an epoch")


def classifier() -> tuple[Model, Any, Any]:
    """Names, classes that are text, missing values, fitted layers, an averaging optimizer, callbacks that remember."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(36, 3)) * [1.0, 10.0, 0.1] + [0.0, 100.0, -3.0]
    y = np.array(["ash", "elm", "größe"])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 100)]
    layers = ["standardize", {"type": "dense", "units": 5, "activation": "relu", "name": "hidden"}, "batch_norm"]
    model = Model([*layers, {"type": "dropout", "rate": 0.1}, {"type": "dense", "units": 3, "activation": "softmax"}])
    model.fit(
        x,
        y,
        loss="cross_entropy",
        optimizer={"type": "adam", "learning_rate": 0.01, "average": 0.9},
        metrics=["accuracy", {"type": "recall", "average": "none"}],
        callbacks=[{"type": "early_stopping", "patience": 3}],
        epochs=5,
        batch_size=8,
        validation=0.25,
        seed=3,
        listeners=[StopWithinAnEpoch()],
    )
    model.feature_names, model.target_names = ("width", "height", "depth"), ("tree",)
    model.fill = np.array([0.5, 100.0, -3.0])
    return model, x, y


def regression() -> tuple[Model, Any, Any]:
    """float64, single values, and no checkpoint."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 4))
    y = x @ [1.0, -2.0, 0.5, 3.0] + 0.25
    model = Model(
        ["min_max", {"type": "dense", "units": 6, "activation": "tanh"}, "layer_norm", {"type": "dense", "units": 1}],
        dtype="float64",
    )
    model.fit(x, y, loss="mean_squared_error", optimizer={"type": "sgd", "momentum": 0.9}, epochs=4, batch_size=10)
    model.checkpoint = None
    return model, x, y


def branches() -> tuple[Model, Any, Any]:
    """Inputs that are whole numbers, branches, more layers than a small group holds, and records of every type."""
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 5, (20, 3)), rng.integers(0, 2, 20).astype(bool)
    layers: list[Any] = [{"type": "embedding", "categories": 5, "units": 2, "name": "words"}, "flatten"]
    layers += [
        {"type": "dense", "units": 3, "inputs": ["flatten_1"], "name": f"branch_{letter}"} for letter in "abcdefgh"
    ]
    layers += [{"type": "add", "inputs": [f"branch_{letter}" for letter in "abcdefgh"]}, {"type": "dense", "units": 1}]
    layers[-1] |= {"activation": "sigmoid"}
    model = Model(layers)
    model.fit(x, y, loss="binary_cross_entropy", optimizer="rmsprop", epochs=2, batch_size=7)
    for name in ("bool", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        model.records[f"types/{name}"] = np.array([0, 1, 100], name)
    model.records["types/float64"] = np.array([np.nan, np.inf, -0.0])
    model.records["scalar"], model.records["empty"] = np.array(0.5), np.zeros((0, 3), np.float32)
    return model, x, y


MODELS: dict[str, Callable[[], tuple[Model, Any, Any]]] = {
    "classifier": classifier,
    "regression": regression,
    "branches": branches,
}


def expected(path: Path, x: Any, y: Any) -> dict[str, Any]:
    """What is to be true of the file at `path` for ever."""
    model = microframe.load(path)
    with ModelFile(path) as file:
        arrays = {name: file.read(name) for name in file.manifest["tensors"]}
        digest = file.sha256
    return {
        "written_by": f"microframe {microframe.__version__}, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "manifest_sha256": digest,
        "arrays": {
            name: [array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
            for name, array in arrays.items()
        },
        "inputs": x.tolist(),
        "targets": y.tolist(),
        "outputs": model.outputs(x).tolist(),
        "predictions": model.predict(x).tolist(),
        "history": model.history.to_dict(),
        "progress": None if model.checkpoint is None else model.checkpoint.progress,
    }


def main(folder: Path, names: list[str]) -> None:
    for name in names or MODELS:
        model, x, y = MODELS[name]()
        path = folder / f"layout-{LAYOUT}-{name}.h5"
        model.save(path)
        text = json.dumps(expected(path, x, y), indent=None, separators=(",", ":"))
        path.with_suffix(".json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
