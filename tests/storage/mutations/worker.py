"""Loads mutated model files and judges what comes of it: ``python worker.py FOLDER SEED``.

With ``make`` behind that, it writes the valid files into the folder, which are then mutated. Without, it reads ranges
of case numbers, ``first end``, and writes a line of JSON for each case: its number, kind, outcome, and what is wrong,
or null. Whoever starts this process looks after the time that a case takes, and whether it ends.
"""

from __future__ import annotations

import gc
import json
import math
import os
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from cases import make_case
from mutant import Base, Case

import microframe
from microframe import Model, ModelFileError, PluginError
from microframe.packing import pack, weights

MEMORY = 256 * 2**20
"""Bytes of addresses that all cases together may take beside what the process has before the first."""
RESIDENT = 48 * 2**20
"""Bytes of memory that they may really take: the files have tens of thousands."""
OPTIONS: tuple[dict[str, Any], ...] = (*({},) * 6, {"mmap": True}, {"mmap": True, "check": True}, {"check": False})


class Original:
    """A valid file, and all that is known of its model."""

    def __init__(self, path: Path) -> None:
        self.base = Base(path.read_bytes())
        model = microframe.load(path)
        self.weights = _weights(model)
        self.prediction = _prediction(model)
        self.rest = _rest(model)
        self.checkpoint = _checkpoint(model)


def make_originals(folder: Path) -> None:
    """Write valid files of several kinds: trained with a checkpoint, many layers, float64, barely anything."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 3)), np.array(["no", "yes"])[rng.integers(2, size=24)]
    trained = Model(
        [
            "standardize",
            {"type": "dense", "units": 4, "activation": "relu"},
            {"type": "dense", "units": 2, "activation": "softmax"},
        ]
    )
    callbacks = [{"type": "early_stopping", "patience": 2}, {"type": "weight_recorder"}]
    data: dict[str, Any] = {"validation": 0.25, "callbacks": callbacks, "metrics": ["accuracy"]}
    trained.fit(x, y, loss="cross_entropy", optimizer="adam", epochs=2, **data)
    trained.fill = np.array([0.5, 1.5, 2.5])
    trained.save(folder / "trained.h5")
    Model([{"type": "dense", "units": 2}] * 60).build((2,)).save(folder / "layers.h5")
    parts = [{"type": "embedding", "categories": 7, "units": 3}, "flatten", "batch_norm", {"type": "dense", "units": 1}]
    Model(parts, dtype="float64").build((4,)).save(folder / "mixed.h5")
    Model([{"type": "dense", "units": 1}]).build((1,)).save(folder / "small.h5")


def _weights(model: Model) -> dict[str, tuple[Any, ...]]:
    return {path: _identity(array) for path, array in weights(model.network).items()}


def _identity(array: Any) -> tuple[Any, ...]:
    return array.dtype.str, array.shape, array.tobytes()


def _prediction(model: Model) -> tuple[Any, ...] | None:
    """The output for a fixed batch; None for inputs that would take much memory."""
    shape = model.network.input_shape
    if math.prod(shape) > 10_000 or math.prod(model.network.output_shape) > 10_000:
        return None
    x = np.random.default_rng(1).integers(0, 2, size=(3, *shape)).astype(model.network.input_dtype)
    return _identity(model(x))


def _rest(model: Model) -> dict[str, Any]:
    """What the manifest of `model` would say again, but for who wrote it, and its other arrays."""
    manifest, tensors = pack(model, None)
    for name in ("config", "microframe", "providers", "progress"):
        del manifest[name]
    others = {path: _identity(array) for path, array in tensors.items() if not path.startswith("weights/")}
    return {"manifest": json.loads(json.dumps(manifest)), "others": others}


def _checkpoint(model: Model) -> Any:
    checkpoint = model.checkpoint
    if checkpoint is None:
        return None
    return repr(checkpoint.progress), {path: _identity(array) for path, array in checkpoint.arrays.items()}


def judge(path: Path, original: Original, case: Case, options: dict[str, Any]) -> tuple[str, str | None]:
    """What came of loading a case, and what is wrong with that."""
    path.write_bytes(case.data)
    try:
        outcome, problem = _load(path, original, case, options)
    except ModelFileError as error:
        cause = error.__cause__
        is_own = not isinstance(cause, MemoryError | RecursionError)
        outcome, problem = error.code, None if is_own else f"{error.code} for {type(cause).__name__}"
    except PluginError as error:
        outcome, problem = "PluginError", None if case.manifest is not None else f"{error}"
    except BaseException as error:
        import traceback

        outcome, problem = type(error).__name__, traceback.format_exc()[-2000:]
    return outcome, problem


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _load(path: Path, original: Original, case: Case, options: dict[str, Any]) -> tuple[str, str | None]:
    model = microframe.load(path, **options)
    if case.is_refused:
        return "loaded", "what should have been refused"
    is_checked = not options or options.get("check", False)
    if is_checked and case.is_refused_if_checked:
        return "loaded", "content that should have been refused"
    prediction = _prediction(model)
    if not is_checked:
        return "loaded unchecked", None
    expected = dict(original.weights)
    for name, content in (case.tensors or {}).items():
        if name.startswith("weights/"):
            kind, shape, _ = expected[name.removeprefix("weights/")]
            expected[name.removeprefix("weights/")] = (kind, shape, content)
    if _weights(model) != expected:
        return "loaded", "other weights than are in the file"
    if case.manifest is None:
        if prediction != original.prediction or _rest(model) != original.rest:
            return "loaded", "another model than the valid one"
        return ("same", None) if _checkpoint(model) == original.checkpoint else ("loaded", "another checkpoint")
    return "consistent", _inconsistency(model, case.manifest, prediction)


def _inconsistency(model: Model, manifest: dict[str, Any], prediction: Any) -> str | None:
    """In what way a model is not the one that its manifest describes."""
    for name, value in _rest(model)["manifest"].items():
        if value != (float(manifest[name]) if name == "threshold" else manifest[name]):
            return f"{name} {value!r:.80}, not {manifest[name]!r:.80}"
    config = manifest["config"]
    again = Model(config["layers"], dtype=config["dtype"]).build(tuple(manifest["input_shape"]))
    for name, array in weights(again.network).items():
        array[...] = weights(model.network)[name]
    if _prediction(again) != prediction:
        return "other predictions than of the configured layers with these weights"
    model.checkpoint  # noqa: B018  # reading it is the test
    return None


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(folder: Path, seed: int) -> None:
    warnings.simplefilter("ignore")
    originals = [Original(path) for path in sorted(folder.glob("*.h5"))]
    path = folder / f"mutated_{os.getpid()}"
    _limit()
    before, opened = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, _descriptors()
    for line in sys.stdin:
        for number in range(*map(int, line.split())):
            which, case = make_case([original.base for original in originals], seed, number)
            outcome, problem = judge(path, originals[which], case, OPTIONS[number % len(OPTIONS)])
            if _descriptors() != opened:
                gc.collect()  # a map lives as long as its model
                problem = problem or (None if _descriptors() == opened else "a descriptor was left open")
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if problem is None and (peak - before) * 1024 > RESIDENT:
                problem = f"{(peak - before) // 1024} MiB of memory more than at first"
            print(json.dumps([number, case.kind, outcome, problem]), flush=True)
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    if sys.argv[3:] == ["make"]:
        make_originals(Path(sys.argv[1]))
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]))
