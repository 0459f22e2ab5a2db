from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys

import pytest

from microframe import Model, __version__, load
from microframe.storage import ModelFile, write_model_file

ORIGIN = f"microframe {__version__}"
LAYERS = [
    ["layer", "type", "inputs", "output shape", "parameters", "from"],
    ["input", "(batch, 64)"],
    ["standardize_1", "standardize", "input", "(batch, 64)", "0", ORIGIN],
    ["dense_1", "dense", "standardize_1", "(batch, 64)", "4,160", ORIGIN],
    ["dense_2", "dense", "dense_1", "(batch, 10)", "650", ORIGIN],
]

PARTS = """
import microframe

class Twice(microframe.Layer):
    def build(self, scope, shape):
        return shape
    def forward(self, ctx, x):
        return 2 * x
    def backward(self, ctx, dy):
        return 2 * dy

class Half(microframe.Initializer):
    def fill(self, out, rng):
        out[...] = 0.5

@microframe.hookimpl
def microframe_components():
    return [Twice, Half]
"""
TRAIN = """
import microframe
layers = ["demo.twice", {"type": "dense", "units": 1, "kernel_initializer": "half"}]
microframe.Model(layers).build((2,)).save("model.h5")
"""
NEWER = "Metadata-Version: 2.1\nName: microframe-demo\nVersion: 1.6\n"
RESHAPE = '[[layers]]\ntype = "reshape"\nshape = [2, 2]\n'
PARTS_TOML = """
[[layers]]
type = "twice"

[[layers]]
type = "dense"
units = 1
kernel_initializer = "half"
"""


def test_a_configuration_shows_its_layers_with_the_shapes_that_the_data_gives(microframe, models, table):
    result = microframe("inspect", models / "digits.toml")
    assert (result.code, result.stderr) == (0, "")
    title, *rows = table(result.stdout)
    assert title == [str(models / "digits.toml")]
    assert rows == [*LAYERS, ["4,810 parameters, 128 fitted values, 20.3 kB"]]


@pytest.mark.parametrize("shape", [["--input-shape", "3"], []], ids=["with shapes", "without"])
def test_a_part_that_is_not_standard_is_shown_with_the_distribution_it_comes_from(
    shape, microframe, plugin_folder, tmp_path, table
):
    installed = plugin_folder("demo", PARTS, distribution="microframe-demo", version="1.5")
    (tmp_path / "net.toml").write_text(PARTS_TOML)
    rows = table(microframe("inspect", "net.toml", *shape, **installed).stdout)
    assert [row[-1] for row in rows if row[-1].startswith(("microframe", "demo"))] == [
        "demo (microframe-demo 1.5)",
        ORIGIN,
        "demo (microframe-demo 1.5)",
    ]
    assert rows[-3:] == [
        ["other parts that are not standard"],
        ["kind", "name", "from"],
        ["initializer", "half", "demo (microframe-demo 1.5)"],
    ]


def test_a_model_file_shows_the_versions_of_its_providers_and_those_that_are_installed(
    microframe, plugin_folder, tmp_path, table
):
    installed = plugin_folder("demo", PARTS, distribution="microframe-demo", version="1.5")
    (tmp_path / "train.py").write_text(TRAIN)
    run_python = [sys.executable, tmp_path / "train.py"]
    subprocess.run(run_python, cwd=tmp_path, env={**os.environ, **installed}, check=True)
    (tmp_path / "installed" / "microframe_demo-1.5.dist-info" / "METADATA").write_text(NEWER)
    shown = microframe("inspect", "model.h5", **installed)
    assert shown.stderr == ""
    rows = table(shown.stdout)
    assert rows[-4:] == [
        ["versions of the providers"],
        ["provider", "recorded", "installed"],
        ["microframe", __version__, __version__],
        ["microframe-demo", "1.5", "1.6"],
    ]
    record = microframe("inspect", "model.h5", "--json", **installed).json["providers"]["layer:demo.twice"]
    assert (record["distribution_version"], record["installed_version"]) == ("1.5", "1.6")


def test_shapes_that_do_not_fit_are_reported_with_file_and_line(refused, tmp_path):
    (tmp_path / "net.toml").write_text('[[layers]]\ntype = "flatten"\n\n[[layers]]\ntype = "batch_norm"\n\n' + RESHAPE)
    message = refused(3, "inspect", "net.toml", "--input-shape", "5")
    assert message.startswith("error: net.toml:7: layers[2]: expected ")


def test_shapes_that_do_not_fit_are_found_in_json_too(refused, tmp_path):
    (tmp_path / "net.json").write_text('{\n"layers": [\n{"type": "reshape", "shape": [2, 2]}\n]\n}')
    assert refused(3, "inspect", "net.json", "--input-shape", "5").startswith("error: net.json:3: layers[0]: expected ")


def test_a_model_file_shows_its_classes_and_its_training_as_well(microframe, digits, table):
    _, *rows = table(microframe("inspect", digits).stdout)
    assert rows[:5] == LAYERS
    assert rows[6] == ["classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"]
    assert [re.sub(r"[0-9a-f]{64}$", "...", *row) for row in rows[7:9]] == [
        "SHA-256 of the file: ...",
        "SHA-256 of the manifest, which names the model: ...",
    ]
    head, *epochs = rows[9:15]
    assert head == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"]
    assert [row[0] for row in epochs] == ["1", "2", "3", "4", "5"]
    losses = [f"{loss:.4g}" for loss in load(digits).history["loss"]]
    assert [row[1] for row in epochs] == losses
    assert [row[0] for row in rows[15:]] == ["test", "metric", "loss", "accuracy"]


def test_json_holds_everything_that_is_known_of_a_model(microframe, digits):
    report = microframe("inspect", digits, "--json").json
    assert [layer["name"] for layer in report["layers"]] == ["standardize_1", "dense_1", "dense_2"]
    assert report["layers"][1] == {
        "name": "dense_1",
        "type": "dense",
        "inputs": ["standardize_1"],
        "output_shape": [64],
        "parameters": 4160,
        "state": 0,
        "provider": f"standard (microframe {__version__})",
        "arrays": {"kernel": [64, 64], "bias": [64]},
    }
    assert (report["parameters"], report["bytes"]) == (4810, 4 * 4810 + 8 * 128)
    assert report["classes"] == list(range(10))
    assert report["feature_names"][:2] == ["pixel_0_0", "pixel_0_1"]
    assert len(report["history"]["loss"]) == 5
    assert report["config"]["training"]["epochs"] == 5
    assert report["providers"]["optimizer:adam"] == {
        "plugin": "standard",
        "module": "microframe.standard.optimizers",
        "distribution": "microframe",
        "distribution_version": __version__,
        "component_version": 1,
        "interface_version": 1,
        "installed_version": __version__,
    }


def test_both_digests_of_a_model_file_are_shown(microframe, digits):
    own = hashlib.sha256(digits.read_bytes()).hexdigest()
    with ModelFile(digits) as file:
        name = file.sha256
    report = microframe("inspect", digits, "--json").json
    assert (report["sha256"], report["manifest_sha256"]) == (own, name)
    shown = microframe("inspect", digits).stdout.splitlines()
    assert f"SHA-256 of the file: {own}" in shown
    assert f"SHA-256 of the manifest, which names the model: {name}" in shown


def test_options_of_model_files_are_not_for_configurations(refused, models):
    path = models / "digits.toml"
    for option in (["--sha256", "0" * 64], ["--isolate"], ["--allow-nonfinite"]):
        expected = f"error: {option[0]} is for a model file, and {path} is a configuration\n"
        for command in (["inspect"], ["config", "show"], ["train"]):
            assert refused(2, *command, path, *option) == expected


def test_a_model_does_not_need_the_data_it_was_trained_on(microframe, leaves, tmp_path, table):
    model = load(leaves / "leaves.h5")
    model.save(tmp_path / "model.h5")
    shown = table(microframe("inspect", "model.h5").stdout)
    assert ["classes: ash, elm, oak"] in shown
    assert [row[0] for row in shown if row[0].isdecimal()] == ["1", "9", "17", "24", "32", "40"]


def test_where_the_data_is_not_at_hand_the_shape_can_be_given(microframe, tmp_path):
    (tmp_path / "net.toml").write_text('[[layers]]\ntype = "dense"\nunits = 2\n')
    without = microframe("inspect", "net.toml").stdout
    assert "shapes are not known: the configuration has no [data]; --input-shape gives them" in without
    shown = microframe("inspect", "net.toml", "--input-shape", "3", "--json").json
    assert (shown["input_shape"], shown["parameters"]) == ([3], 8)


@pytest.mark.parametrize("shape", ["3,x", "0", "-1", ""])
def test_a_shape_that_is_none_is_a_usage_error(shape, refused, models):
    assert "Invalid value for '--input-shape'" in refused(2, "inspect", models / "digits.toml", "--input-shape", shape)


@pytest.mark.parametrize(("code", "name"), [(3, "none.toml"), (6, "none.h5"), (6, "text.h5")])
def test_a_file_that_cannot_be_read_has_the_exit_code_of_its_kind(code, name, refused, tmp_path):
    (tmp_path / "text.h5").write_text("layers = []")
    assert refused(code, "inspect", name).startswith(f"error: {name}: ")


def test_a_damaged_model_is_recognised(refused, tmp_path):
    path = tmp_path / "model.h5"
    model = Model([{"type": "dense", "units": 1000}]).build((2,))
    model.save(path)
    kernel = model.weights["dense_1"]["kernel"].tobytes()
    path.write_bytes(path.read_bytes().replace(kernel, bytes(len(kernel))))
    assert refused(6, "inspect", "model.h5").endswith(" [E_DIGEST]\n")


def test_a_model_file_is_known_by_how_it_begins(microframe, leaves, tmp_path):
    (tmp_path / "leaves.hdf5").write_bytes((leaves / "leaves.h5").read_bytes())
    for words in (["inspect"], ["config", "show"], ["run"], ["verify"]):
        samples = [leaves / "leaves.csv"] if words == ["run"] else []
        assert microframe(*words, "leaves.hdf5", *samples).code == 0
    result = microframe("train", "leaves.hdf5", "--resume", "--epochs", 41)
    assert (result.code, result.stderr.splitlines()[-1]) == (0, "saved leaves.hdf5")


def test_the_input_shape_of_a_trained_model_is_not_for_the_asking(refused, digits):
    assert "whose input shape is known: leave out --input-shape" in refused(2, "inspect", digits, "--input-shape", "3")


def test_nothing_that_a_file_says_disturbs_the_lines(microframe, leaves, tmp_path):
    forged = 'good\npip install "evil"\n\x1b[2K'
    with ModelFile(leaves / "leaves.h5") as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    del manifest["tensors"]
    manifest["classes"][0] = forged
    manifest["results"] = {"validation": [[forged, [0.5]]]}
    manifest["history"][0][0] = forged
    manifest["providers"]["layer:dense"] |= {"distribution": forged, "distribution_version": forged}
    manifest["providers"][f"loss:{forged}"] = {"plugin": forged, "module": forged}
    manifest["config"]["training"]["loss"] = forged
    write_model_file(tmp_path / "forged.h5", manifest, tensors)
    result = microframe("inspect", "forged.h5")
    assert (result.code, result.stderr) == (0, "")
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert "pip" not in {line.lstrip()[:3] for line in result.stdout.splitlines()}
    assert r"classes: good\npip install" in result.stdout
    assert result.stdout.count(r"good\npip install") >= 5
    # nothing is lost where programs read it
    assert microframe("inspect", "forged.h5", "--json").json["classes"][0] == forged


def test_a_long_text_in_a_table_is_cut_as_all_cells_of_its_column_are_as_wide(microframe, leaves, tmp_path):
    with ModelFile(leaves / "leaves.h5") as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    del manifest["tensors"]
    long = "x" * 10**5
    manifest["results"] = {"validation": [[long, [0.5]], ["numbers", [[0.5] * 10**5]]]}
    manifest["config"]["layers"][0] = long
    manifest["providers"][f"loss:{long}"] = {"plugin": long, "module": long}
    write_model_file(tmp_path / "long.h5", manifest, tensors)
    result = microframe("inspect", "long.h5")
    assert (result.code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) < 5000
    assert microframe("inspect", "long.h5", "--json").json["config"]["layers"][0] == long


def test_the_help_says_what_is_checked_and_what_checks_the_rest(microframe):
    words = " ".join(microframe("inspect", "--help").stdout.split())
    assert "its structure, all digests and its manifest are checked" in words
    assert "is what `microframe verify` checks" in words
