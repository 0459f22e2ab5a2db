from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

import microframe
from microframe.configuration import Configuration
from microframe.errors import ModelFileError, UsageError
from microframe.history import History
from microframe.model import Model
from microframe.packing import pack, weights
from microframe.registry import registry
from microframe.standard.layers import (
    ActivationLayer,
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    LayerNorm,
    MinMax,
    Multiply,
    Reshape,
    Standardize,
)
from microframe.storage import ModelFile, write_model_file
from microframe.version import __version__

EVERY_LAYER = [
    Embedding(5, 4, name="words"),
    Flatten(name="flat"),
    Standardize(name="scaled"),
    Dense(6, "relu", name="left"),
    BatchNorm(),
    Dropout(0.2),
    ActivationLayer("leaky_relu", name="left_end"),
    MinMax(inputs=("flat",)),
    GaussianNoise(0.1),
    Dense(6, "tanh", use_bias=False),
    LayerNorm(name="right_end"),
    Add(name="sum", inputs=("left_end", "right_end")),
    Multiply(name="product", inputs=("left_end", "right_end")),
    Concatenate(inputs=("sum", "product", "scaled")),
    Reshape((-1, 4)),
    Dense(3, {"type": "leaky_relu", "slope": 0.3}),
    Flatten(),
    Dense(3, "softmax"),
]


def rng(seed=0):
    return np.random.default_rng(seed)


def trained(y=None, *, layers=None, dtype="float32", **settings):
    """A small classifier with the data it was trained on."""
    x = rng().normal(size=(40, 3))
    y = np.array(["no", "yes"] * 20) if y is None else y
    model = Model(layers or [Standardize(), Dense(4, "relu"), Dense(len(set(y)), "softmax")], dtype=dtype)
    model.fit(x, y, **{"loss": "cross_entropy", "epochs": 2, "batch_size": 16, **settings})
    return model, x


def reloaded(model, folder):
    model.save(folder / "model.h5")
    return microframe.load(folder / "model.h5")


def edited(path, change):
    """The file at `path` with its manifest changed, digest and all."""
    with ModelFile(path) as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    change(manifest)
    write_model_file(path, {name: value for name, value in manifest.items() if name != "tensors"}, tensors)
    return path


def test_the_network_below_has_every_standard_layer():
    assert {layer.type for layer in EVERY_LAYER} == set(registry.standard_names("layer"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_model_predicts_the_same_bits_with_every_standard_layer(tmp_path, dtype):
    x, y = rng().integers(0, 5, (60, 3)), np.array(["a", "b", "c"] * 20)
    model = Model(EVERY_LAYER, dtype=dtype)
    model.fit(x, y, loss="cross_entropy", epochs=3, validation=0.2)
    twin = reloaded(model, tmp_path)
    assert twin.outputs(x).tobytes() == model.outputs(x).tobytes()
    assert twin.predict(x).tolist() == model.predict(x).tolist()
    assert twin.predict_proba(x).tobytes() == model.predict_proba(x).tobytes()
    assert twin.evaluate(x, y) == model.evaluate(x, y)
    assert twin.layers == model.layers
    for name, array in weights(model.network).items():
        assert weights(twin.network)[name].tobytes() == array.tobytes()


def test_a_new_process_predicts_the_same_bits(tmp_path):
    model, x = trained()
    model.save(tmp_path / "model.h5")
    np.save(tmp_path / "x.npy", x)
    code = """
        import sys
        import numpy as np
        import microframe
        sys.stdout.buffer.write(microframe.load("model.h5").outputs(np.load("x.npy")).tobytes())
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, env=environment, capture_output=True, check=True
    ).stdout
    assert output == model.outputs(x).tobytes()


def test_loading_and_predicting_imports_nothing_that_only_training_or_the_command_line_needs(tmp_path):
    model, _ = trained()
    model.save(tmp_path / "model.h5")
    code = """
        import sys
        import numpy as np
        import microframe
        microframe.load("model.h5").predict(np.zeros((2, 3)))
        unwanted = ["click", "rich", "microframe.training", "microframe.fitting", "microframe.cli"]
        unwanted += [f"microframe.standard.{name}" for name in ("optimizers", "callbacks", "sources", "metrics")]
        print([name for name in unwanted if name in sys.modules])
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    completed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert completed.stdout == "[]\n"


def test_everything_of_a_model_comes_back(tmp_path):
    model, _ = trained(metrics=["accuracy", {"type": "recall", "average": "none"}], validation=0.25)
    model.feature_names, model.target_names = ("a", "b", "größe"), ("answer",)
    model.fill = np.array([0.5, -1.0, 2.0])
    model.delimiter = ";"
    model.results = {"test": {"loss": 0.25, "recall": np.array([0.5, 1.0])}}
    model.records = {"w": np.arange(6.0).reshape(2, 3), "steps": np.arange(3)}
    twin = reloaded(model, tmp_path)
    assert twin.configuration == model.configuration
    assert (twin.layers, twin.dtype, twin.threshold) == (model.layers, model.dtype, model.threshold)
    assert (twin.classes, twin.feature_names, twin.target_names) == (("no", "yes"), ("a", "b", "größe"), ("answer",))
    assert twin.history.to_dict() == model.history.to_dict()
    assert list(twin.history) == list(model.history), "in the order in which they were recorded"
    np.testing.assert_array_equal(twin.fill, model.fill)
    assert twin.delimiter == ";"
    assert {
        part: {name: np.asarray(value).tolist() for name, value in row.items()} for part, row in twin.results.items()
    } == {"test": {"loss": 0.25, "recall": [0.5, 1.0]}}
    assert twin.records.keys() == model.records.keys()
    for name, array in model.records.items():
        np.testing.assert_array_equal(twin.records[name], array)
        assert twin.records[name].dtype == array.dtype
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(twin.parts, part), getattr(model.parts, part))
    assert twin.checkpoint.progress == json.loads(json.dumps(model.checkpoint.progress))
    assert twin.checkpoint.arrays.keys() == model.checkpoint.arrays.keys()
    for name, array in model.checkpoint.arrays.items():
        np.testing.assert_array_equal(twin.checkpoint.arrays[name], array)


@pytest.mark.parametrize(
    "names",
    [("b", "a"), (7, -3), (2.5, 0.5), (True, False), ("1", "2"), ("", "größe \U0001f600"), ("\udcff", "x"), (1, 0)],
)
def test_classes_come_back_with_the_type_of_their_names(tmp_path, names):
    y = np.array(names * 20)
    model, x = trained(y)
    twin = reloaded(model, tmp_path)
    assert twin.classes == model.classes == tuple(sorted(names))
    assert {type(name) for name in twin.classes} == {type(name) for name in names}
    assert twin.predict(x).tolist() == model.predict(x).tolist()
    assert twin.predict(x).dtype.kind == y.dtype.kind


def test_a_model_without_classes_or_training_comes_back(tmp_path):
    model = Model([Dense(2)]).build((3,), seed=4)
    twin = reloaded(model, tmp_path)
    x = rng().normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(twin.predict(x), model.predict(x))
    assert twin.configuration == model.configuration
    assert (twin.classes, twin.parts, twin.checkpoint, twin.records, twin.history.epochs) == (None, None, None, {}, 0)


def test_values_that_are_not_finite_come_back_as_they_were(tmp_path):
    model, _ = trained()
    columns = {"loss": [1.0, np.nan, -np.inf], "recall": [[1.0, np.inf], [0.5, 0.25], [np.nan, 0.0]]}
    model.history = History(columns)
    model.results = {"test": {"loss": np.inf, "recall": np.array([np.nan, 1.0])}}
    again = reloaded(model, tmp_path)
    assert list(again.history) == list(columns)
    for name, column in columns.items():
        np.testing.assert_array_equal(again.history[name], column)
    assert again.results["test"]["loss"] == np.inf
    np.testing.assert_array_equal(again.results["test"]["recall"], [np.nan, 1.0])


def test_saving_what_was_loaded_gives_the_same_bytes(tmp_path):
    model, x = trained(metrics=["accuracy"])
    twin = reloaded(model, tmp_path)
    twin.predict(x)
    twin.save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "model.h5").read_bytes()
    assert twin.configuration.training.epochs == 2, "also once its training was asked for"
    twin.save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "model.h5").read_bytes()


def test_the_same_training_gives_the_same_file(tmp_path):
    for name in ("a.h5", "b.h5"):
        trained(seed=3)[0].save(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_manifest_says_what_the_model_is_and_where_it_comes_from(tmp_path):
    model, _ = trained()
    model.save(tmp_path / "model.h5")
    with ModelFile(tmp_path / "model.h5") as file:
        manifest = file.manifest
    assert Configuration.parse(manifest["config"]) == model.configuration
    assert manifest["input_shape"] == [3]
    assert manifest["classes"] == ["no", "yes"]
    assert manifest["microframe"] == __version__
    assert manifest["providers"]["layer:dense"] == {
        "plugin": "standard",
        "module": "microframe.standard.layers",
        "distribution": "microframe",
        "distribution_version": __version__,
        "component_version": 1,
        "interface_version": 1,
    }
    assert {"activation:relu", "activation:softmax", "loss:cross_entropy", "optimizer:adam"} <= set(
        manifest["providers"]
    )
    assert {"weights/dense_1/kernel", "weights/standardize_1/mean", "splits/train"} <= set(manifest["tensors"])
    assert all(name.split("/")[0] in {"weights", "splits", "optimizer", "random"} for name in manifest["tensors"])


def test_a_model_without_weights_has_nothing_to_save(tmp_path):
    with pytest.raises(UsageError, match="the model has no weights yet"):
        Model([Dense(1)]).save(tmp_path / "model.h5")
    assert os.listdir(tmp_path) == []


def test_a_path_may_be_text_or_a_path(tmp_path):
    model, _ = trained()
    model.save(str(tmp_path / "model.h5"))
    assert microframe.load(str(tmp_path / "model.h5")).classes == Model.load(tmp_path / "model.h5").classes


def remove(name):
    return lambda manifest: manifest.pop(name)


def put(name, value):
    return lambda manifest: manifest.__setitem__(name, value)


def put_layer(index, **fields):
    return lambda manifest: manifest["config"]["layers"][index].update(fields)


FIELD, TENSORS, CONFIG = "E_MANIFEST_FIELD", "E_TENSORS", "E_CONFIG"
REQUIRED = ("config", "input_shape", "classes", "fill", "history", "results", "progress", "delimiter", "providers")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        *[pytest.param(remove(name), FIELD, name, id=f"no {name}") for name in REQUIRED],
        (put("providers", {"layer:dense": {"plugin": 5}}), FIELD, "Expected `str`, got `int`"),
        (
            put("providers", {"layer:dense": {"plugin": "standard", "component_version": 0}}),
            FIELD,
            "Expected `int` >= 1",
        ),
        *[
            pytest.param(put(name, 5), FIELD, name, id=f"5 as {name}")
            for name in ("config", "providers", "input_shape", "classes", "feature_names", "history", "results")
        ],
        (put("input_shape", [4]), TENSORS, "/weights/dense_1/kernel: <f4 of shape (3, 4), where the layers have"),
        (put("input_shape", [-3]), FIELD, "Expected `int` >= 0"),
        (put("input_shape", [2**50]), TENSORS, "/weights/dense_1/kernel"),
        (put("input_shape", [2**70]), FIELD, "Expected `int` <= 576460752303423488 - at `$.input_shape[0]`"),
        (put("input_shape", []), CONFIG, "expected an input with at least one axis"),
        (put("threshold", "high"), FIELD, "Expected `float`, got `str`"),
        (put_layer(1, units=5), TENSORS, "/weights/dense_1/kernel: <f4 of shape (3, 4), where the layers have"),
        (put_layer(1, units=10**14), TENSORS, "/weights/dense_1/kernel: <f4 of shape (3, 4), where the layers have"),
        (put_layer(1, units=-1), CONFIG, "layers[1].units: expected a whole number of at least 1, received -1"),
        (put_layer(1, name="other"), CONFIG, "/manifest: another layer than 'dense_1', which the table has"),
        (put_layer(1, field_of_tomorrow=1), CONFIG, "layers[1].field_of_tomorrow: expected one of 'units', "),
        (put_layer(1, activation="activation_of_tomorrow"), CONFIG, "the name of a known activation"),
        (
            put_layer(1, use_bias=False),
            TENSORS,
            "/weights/dense_1/bias: a tensor, where the configured layers have none",
        ),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_and_the_file_named(tmp_path, change, code, message):
    path = tmp_path / "model.h5"
    trained()[0].save(path)
    with pytest.raises(ModelFileError) as error:
        microframe.load(edited(path, change))
    assert str(error.value).startswith(f"{path}: ")
    assert error.value.code == code
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("weights/dense_1/kernel", "/weights/dense_1/kernel"),
        ("weights/standardize_1/mean", "/weights/standardize_1/mean"),
        ("splits/train", "/splits/train"),
        ("random/shuffle", "/random/shuffle"),
    ],
)
def test_a_tensor_that_was_never_saved_is_missed(tmp_path, name, where):
    path, model = tmp_path / "model.h5", trained()[0]
    manifest, tensors = pack(model, model.checkpoint)
    del tensors[name]
    write_model_file(path, manifest, tensors)
    with pytest.raises(ModelFileError, match=f"{where}: nothing, where") as error:
        microframe.load(path)
    assert error.value.code == TENSORS


def test_a_damaged_weight_is_refused(tmp_path):
    trained()[0].save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file["weights/dense_2/bias"][0] += 1
    with pytest.raises(ModelFileError, match="/weights/dense_2/bias: bytes whose digest is not") as error:
        microframe.load(tmp_path / "model.h5")
    assert error.value.code == "E_DIGEST"


def test_saving_over_the_file_that_a_model_came_from_leaves_the_model_whole(tmp_path):
    model, x = trained()
    twin = reloaded(model, tmp_path)
    expected = twin.outputs(x)
    twin.save(tmp_path / "model.h5")
    np.testing.assert_array_equal(twin.outputs(x), expected)
    np.testing.assert_array_equal(microframe.load(tmp_path / "model.h5").outputs(x), expected)
    assert os.listdir(tmp_path) == ["model.h5"]


def test_a_loaded_model_trains_on(tmp_path):
    model, x = trained()
    y = np.array(["no", "yes"] * 20)
    twin = reloaded(model, tmp_path)
    model.fit(x, y, epochs=2)
    twin.fit(x, y, epochs=2)
    assert twin.outputs(x).tobytes() == model.outputs(x).tobytes()
    assert twin.history.to_dict() == model.history.to_dict()
