"""A model file tells what it is also where nobody can run it."""

from __future__ import annotations

import shutil

import pytest

from microframe import __version__
from microframe.storage import ModelFile, write_model_file

LAYERS = """
import microframe
from pathlib import Path

Path(__file__).with_suffix(".imported").touch()

class Scale(microframe.Layer):
    slope: microframe.Part[microframe.Activation] = microframe.Part("linear")

    def build(self, scope, shape):
        scope.parameter("factor", shape, microframe.standard.initializers.Ones())
        scope.state("seen", (), 0.0)
        return shape

    def forward(self, ctx, x):
        return x * ctx.parameters["factor"]

    def backward(self, ctx, dy):
        ctx.gradients["factor"][...] = dy.sum(axis=0)
        return dy

class Half(microframe.Initializer):
    def fill(self, out, rng):
        out[...] = 0.5

@microframe.hookimpl
def microframe_components():
    return [Scale, Half]
"""

TRAINING = """
import microframe
from pathlib import Path

Path(__file__).with_suffix(".imported").touch()

class Quiet(microframe.Callback):
    def epoch_end(self, run, memory):
        pass

@microframe.hookimpl
def microframe_components():
    return [Quiet]
"""

NET = """
[data]
source = "diabetes"
test = 0.1

[[layers]]
type = "standardize"

[[layers]]
type = "scale"
name = "wide"

[[layers]]
type = "dense"
units = 1
kernel_initializer = "half"
inputs = ["wide"]

[training]
loss = "mean_squared_error"
metrics = ["r2"]
callbacks = ["quiet"]
epochs = 3
"""

NEEDS = {
    "layers": "model.h5: the layer 'layers.scale' needs the plugin 'layers' from microframe-layers 2.0, not installed: "
    "wide (layers[1])",
    "half": "model.h5: the initializer 'layers.half' needs the plugin 'layers' from microframe-layers 2.0, not "
    "installed: dense_1 (layers[2].kernel_initializer)",
    "quiet": "model.h5: the callback 'training.quiet' needs the plugin 'training' from microframe-training 1.0, not "
    "installed: training.callbacks[0]",
}


class Installed:
    """Two installed plugins, and a model in model.h5 that was trained with parts of both."""

    def __init__(self, folder, variables):
        self.folder, self.variables = folder / "installed", variables

    def remove(self, *plugins: str) -> None:
        for plugin in plugins:
            shutil.rmtree(next(self.folder.glob(f"microframe_{plugin}-*.dist-info")))

    def forget(self) -> None:
        """Forget what was imported so far."""
        for marker in self.folder.glob("*.imported"):
            marker.unlink()

    @property
    def imported(self) -> set[str]:
        return {marker.stem.removeprefix("microframe_") for marker in self.folder.glob("*.imported")}


@pytest.fixture
def installed(microframe, plugin_folder, tmp_path) -> Installed:
    variables = plugin_folder("layers", LAYERS, version="2.0")
    plugin_folder("training", TRAINING)
    (tmp_path / "net.toml").write_text(NET)
    assert microframe("train", "net.toml", "-o", "model.h5", "-q", **variables).code == 0
    installed = Installed(tmp_path, variables)
    assert installed.imported == {"layers", "training"}
    installed.forget()
    return installed


def test_all_of_a_file_is_shown_where_its_plugins_are_missing_and_none_is_imported_where_they_are_not(
    microframe, installed, table
):
    shown = table(microframe("inspect", "model.h5", **installed.variables).stdout)
    assert installed.imported == set()
    assert shown[1:7] == [
        ["layer", "type", "inputs", "output shape", "parameters", "from"],
        ["input", "(batch, 10)"],
        ["standardize_1", "standardize", "input", "(batch, 10)", "0", f"microframe {__version__}"],
        ["wide", "scale", "standardize_1", "(batch, 10)", "10", "layers (microframe-layers 2.0)"],
        ["dense_1", "dense", "wide", "(batch, 1)", "11", f"microframe {__version__}"],
        ["21 parameters, 21 fitted values, 248 bytes"],
    ]
    installed.remove("layers", "training")
    result = microframe("inspect", "model.h5", **installed.variables)
    assert (result.code, result.stderr) == (0, "")
    rows = table(result.stdout)
    head = rows.index(["predictions and training take what is missing here:"])
    advice = [
        [NEEDS["layers"]],
        [NEEDS["half"]],
        [NEEDS["quiet"]],
        ['pip install "microframe-layers>=2.0" "microframe-training>=1.0"'],
    ]
    assert rows[head + 1 : head + 5] == advice
    versions = rows.index(["versions of the providers"])
    assert rows[versions + 1 : versions + 5] == [
        ["provider", "recorded", "installed"],
        ["microframe", __version__, __version__],
        ["microframe-layers", "2.0", "not installed"],
        ["microframe-training", "1.0", "not installed"],
    ]
    assert [row[0] for row in rows[versions + 5 :]] == ["epoch", "1", "2", "3", "test", "metric", "loss", "r2"]
    others = rows[:head] + rows[head + 5 : versions] + rows[versions + 5 :]
    assert [row for row in shown if row in others] == others


def test_json_says_beside_everything_else_what_is_missing(microframe, installed):
    whole = microframe("inspect", "model.h5", "--json", **installed.variables).json
    installed.remove("layers", "training")
    report = microframe("inspect", "model.h5", "--json", **installed.variables).json
    assert [layer["arrays"] for layer in report["layers"]] == [
        {"mean": [10], "scale": [10]},
        {"factor": [10], "seen": []},
        {"kernel": [10, 1], "bias": [1]},
    ]
    assert [(layer["output_shape"], layer["parameters"], layer["state"]) for layer in report["layers"]] == [
        ([10], 0, 20),
        ([10], 10, 1),
        ([1], 11, 0),
    ]
    assert report["layers"][1]["provider"] == "layers (microframe-layers 2.0)"
    assert (whole["missing"], whole["install"]) == ([], None)
    assert report["missing"] == [NEEDS["layers"], NEEDS["half"], NEEDS["quiet"]]
    assert report["install"] == 'pip install "microframe-layers>=2.0" "microframe-training>=1.0"'
    for part in ("layer:layers.scale", "callback:training.quiet"):
        assert report["providers"][part] == whole["providers"][part] | {"installed_version": None}
    others = whole.keys() - {"missing", "install", "providers"}
    assert {name: report[name] for name in others} == {name: whole[name] for name in others}
    assert len(report["history"]["loss"]) == 3


def test_where_one_plugin_is_missing_the_other_is_not_imported_either(microframe, installed):
    installed.remove("layers")
    report = microframe("inspect", "model.h5", "--json", **installed.variables).json
    assert report["missing"] == [NEEDS["layers"], NEEDS["half"]]
    assert installed.imported == set()


def test_without_the_plugins_of_the_training_alone_it_is_said_what_training_takes(microframe, installed):
    installed.remove("training")
    result = microframe("inspect", "model.h5", **installed.variables)
    assert (result.code, result.stderr) == (0, "")
    assert f"\ntraining takes what is missing here:\n{NEEDS['quiet']}\npip install " in result.stdout


def test_a_plugin_that_is_left_out_is_as_good_as_missing(microframe, installed):
    result = microframe("inspect", "model.h5", "--without", "layers", **installed.variables)
    assert (result.code, installed.imported) == (0, set())
    assert "needs the plugin 'layers', left out on request" in result.stdout


def test_a_damaged_file_is_refused_with_or_without_plugins(microframe, installed, tmp_path):
    path = tmp_path / "model.h5"
    with ModelFile(path) as file:
        kernel = file.read("weights/dense_1/kernel").tobytes()
    path.write_bytes(path.read_bytes().replace(kernel, bytes(len(kernel))))
    with_plugins = microframe("inspect", "model.h5", **installed.variables)
    assert with_plugins.code == 6
    assert with_plugins.stderr.endswith(" [E_DIGEST]\n")
    installed.remove("layers", "training")
    assert microframe("inspect", "model.h5", **installed.variables) == with_plugins


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda config: config.pop("layers"), "E_CONFIG"),
        (lambda config: config.update(layers=5), "E_CONFIG"),
        (lambda config: config.update(layers=[5]), "E_CONFIG"),
        (lambda config: config.update(layers=["dense", "dense"]), "E_CONFIG"),
        (lambda config: config["layers"][1].update(name="dense_1"), "E_CONFIG"),
        (lambda config: config["layers"][1].update(inputs=5), "E_CONFIG"),
    ],
)
def test_a_configuration_that_is_none_is_refused_and_no_bug(change, code, microframe, installed, tmp_path):
    path = tmp_path / "model.h5"
    with ModelFile(path) as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    change(manifest["config"])
    write_model_file(path, {name: value for name, value in manifest.items() if name != "tensors"}, tensors)
    for command in ("inspect", "verify"):
        result = microframe(command, "model.h5")
        assert (result.code, result.stdout) == (6, "")
        assert result.stderr.endswith(f" [{code}]\n")


def test_what_a_file_says_does_not_act_on_the_terminal(microframe, installed, tmp_path):
    path = tmp_path / "model.h5"
    with ModelFile(path) as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    manifest["classes"] = ["\x1b[31mred"]
    manifest["providers"]["layer:layers.scale"]["plugin"] = "\x1b[2J"
    write_model_file(path, {name: value for name, value in manifest.items() if name != "tensors"}, tensors)
    for command in ("inspect", "verify"):
        result = microframe(command, "model.h5")
        assert result.code == 0
        assert "\x1b" not in result.stdout
