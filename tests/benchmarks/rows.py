"""The rows: what is measured, against what, and what is aimed at."""

from __future__ import annotations

from measure import Contender, Row, Target

NOTEBOOK = Contender("notebook", "peers.plain_numpy:notebook")
IN_PLACE = Contender("NumPy in place", "peers.plain_numpy:in_place")
LIMIT = Contender("limit", "training:limit")
MICROFRAME = Contender("microframe", "training:train")
PYTORCH = Contender("PyTorch", "peers.pytorch:train", ("torch",))
SCIKIT_LEARN = Contender("scikit-learn", "peers.scikit_learn:train", ("sklearn",))
JAX = Contender("JAX", "peers.jax_numpy:train", ("jax",))


def _safetensors(function: str, name: str = "safetensors") -> Contender:
    return Contender(name, f"peers.safe_tensors:{function}", ("safetensors",))


def _saving(size: str, title: str, at_most: float) -> Row:
    """A row of saving, in which both wait for the disk and both do not; safetensors by itself does not."""
    contenders = (
        Contender("microframe", f"model_files:save_{size}"),
        _safetensors(f"save_{size}"),
        _safetensors(f"save_{size}_synced", "safetensors, fsync"),
        Contender("without fsync", f"model_files:save_{size}_unsynced"),
    )
    targets = tuple(Target(at_most, "ratio", contender.name) for contender in contenders[1:3])
    return Row(f"save-{size}", f"save of {title}", contenders, targets)


def _loading(name: str, function: str, size: str, title: str, at_most: float) -> Row:
    contenders = (Contender("microframe", f"model_files:{function}"), _safetensors(f"load_{size}"))
    return Row(name, title, contenders, (Target(at_most, "ratio", "safetensors"),))


ROWS = (
    Row(
        "import",
        "process that imports microframe.Model and microframe.load",
        (
            Contender("microframe", "startup:import_microframe"),
            Contender("numpy, h5py", "startup:import_dependencies"),
            Contender("first model built", "startup:build_model"),
        ),
        (Target(0.040, "difference", "numpy, h5py"),),
    ),
    Row(
        "help",
        "process that is `microframe --help`",
        (Contender("microframe", "startup:show_help"),),
        (Target(0.120),),
    ),
    Row(
        "predict",
        "process that is `microframe predict`, network A, one csv row",
        (Contender("microframe", "startup:predict_row"),),
        (Target(0.5),),
        task="A",
    ),
    Row(
        "E",
        "epoch of 300 steps: 10-10-10 tanh and sigmoid, binary cross-entropy, momentum, batch 1, float64",
        (MICROFRAME, LIMIT, NOTEBOOK, IN_PLACE, PYTORCH, JAX),
        (Target(0.8, "ratio", "notebook"),),
        task="E",
        steps=300,
    ),
    Row(
        "A",
        "epoch of 400 steps: 784-64-32-10 sigmoid, squared error, SGD, batch 32 shuffled, float32",
        (MICROFRAME, LIMIT, PYTORCH, JAX),
        (Target(1.8, "ratio", "limit"), Target(0.6, "ratio", "PyTorch")),
        task="A",
        steps=400,
    ),
    Row(
        "C",
        "epoch of 100 steps: 784-512-256-10 relu, cross-entropy, Adam, batch 128 shuffled, float32",
        (MICROFRAME, LIMIT, PYTORCH, SCIKIT_LEARN, JAX),
        (Target(2.0, "ratio", "limit"),),
        task="C",
        steps=100,
    ),
    Row(
        "one-row",
        "prediction of one row, 784-64-32-10 sigmoid, float32",
        (
            Contender("microframe", "prediction:predict"),
            Contender("onnxruntime", "peers.onnx_runtime:predict", ("onnxruntime", "onnx")),
            Contender("NumPy", "peers.plain_numpy:predict"),
            Contender("PyTorch", "peers.pytorch:predict", ("torch",)),
        ),
        (Target(1.3, "ratio", "onnxruntime"),),
        task="A",
    ),
    _saving("large", "10 tensors of 10 MB", 1.3),
    _loading("load-unchecked", "load_large_unchecked", "large", "load of 10 tensors of 10 MB, digests off", 1.0),
    _loading("load", "load_large", "large", "load of 10 tensors of 10 MB, digests on", 2.0),
    _loading("map", "map_large", "large", "open and map 10 tensors of 10 MB, against a load", 0.1),
    _saving("small", "2,000 tensors of 1 KB", 25),
    _loading("load-small", "load_small", "small", "load of 2,000 tensors of 1 KB, digests on", 25),
    *(
        Row(
            f"memory-{task}",
            f"arrays allocated by a training step after the first, network {task}",
            (Contender("microframe", "memory:train"),),
            (Target(0),),
            task=task,
            unit="arrays",
        )
        for task in ("A", "C", "E")
    ),
)
