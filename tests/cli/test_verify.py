from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from microframe import Model
from microframe.standard.layers import Dense
from microframe.storage import ModelFile, write_model_file

PLUGIN = """
import microframe
from pathlib import Path

Path(__file__).with_suffix(".imported").touch()

class Twice(microframe.Layer):
    def build(self, scope, shape):
        return shape
    def forward(self, ctx, x):
        return 2 * x
    def backward(self, ctx, dy):
        return 2 * dy

@microframe.hookimpl
def microframe_components():
    return [Twice]
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def name(path: Path) -> str:
    with ModelFile(path) as file:
        return file.sha256


def edit(path: Path, change) -> None:
    """Write a model file anew, all digests right, with its manifest or its tensors changed."""
    with ModelFile(path, allow_nonfinite=True) as file:
        manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
    change(manifest, tensors)
    write_model_file(path, {name: value for name, value in manifest.items() if name != "tensors"}, tensors)


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Three model files in the folder of the test."""
    for seed in range(3):
        Model([Dense(3, "relu"), Dense(1)]).build((2,), seed=seed).save(tmp_path / f"{seed}.h5")
    return [tmp_path / f"{seed}.h5" for seed in range(3)]


def test_each_file_has_a_line_with_both_digests(microframe, files):
    result = microframe("verify", "0.h5", "1.h5", "2.h5")
    assert (result.code, result.stderr) == (0, "")
    lines = [f"{path.name}: ok, SHA-256 {digest(path)}, manifest {name(path)}" for path in files]
    assert result.stdout.splitlines() == lines


def test_json_has_the_same(microframe, files):
    report = microframe("verify", "0.h5", "--json").json
    digests = {"sha256": digest(files[0]), "manifest_sha256": name(files[0])}
    assert report == [{"file": "0.h5", "ok": True, **digests, "complete": True, "missing": [], "install": None}]


def damage_tensor(path):
    path.write_bytes(path.read_bytes().replace(np.ones(2).tobytes(), np.zeros(2).tobytes()))


def add_record(path):
    edit(path, lambda _, tensors: tensors.update({"records/seen": np.ones(2)}))


def not_finite(manifest, tensors):
    tensors["weights/dense_1/kernel"][0, 0] = np.nan


DAMAGE = {
    "E_TRUNCATED": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "E_TRAILING_BYTES": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "E_DIGEST": lambda path: (add_record(path), damage_tensor(path)),
    "E_MANIFEST_DIGEST": lambda path: path.write_bytes(
        path.read_bytes().replace(b'"threshold":0.5', b'"threshold":0.6')
    ),
    "E_MANIFEST_FIELD": lambda path: edit(path, lambda manifest, _: manifest.update(fitted=1)),
    "E_NONFINITE": lambda path: edit(path, not_finite),
    "E_TENSORS": lambda path: edit(path, lambda _, tensors: tensors.pop("weights/dense_1/bias")),
    "E_CONFIG": lambda path: edit(path, lambda manifest, _: manifest["config"]["layers"][0].update(units=-1)),
    "E_NOT_FOUND": lambda path: path.unlink(),
    "E_NOT_HDF5": lambda path: path.write_bytes(b"layers = []"),
}


@pytest.mark.parametrize("code", DAMAGE)
def test_the_first_file_that_is_refused_ends_it(code, microframe, files):
    DAMAGE[code](files[1])
    result = microframe("verify", "0.h5", "1.h5", "2.h5")
    assert result.code == 6
    assert [line.partition(": ok, ")[0] for line in result.stdout.splitlines()] == ["0.h5"]
    assert re.fullmatch(rf"error: 1\.h5: .* \[{code}\]\n", result.stderr)


@pytest.mark.parametrize("options", [[], ["--isolate"]])
def test_json_says_why_a_file_is_refused(options, microframe, files):
    DAMAGE["E_TRUNCATED"](files[1])
    result = microframe("verify", "0.h5", "1.h5", "2.h5", "--json", *options)
    assert (result.code, result.stderr) == (6, "")
    accepted, refused = result.json
    assert accepted["ok"]
    size = files[1].stat().st_size
    assert refused == {
        "file": "1.h5",
        "ok": False,
        "code": "E_TRUNCATED",
        "where": "the superblock",
        "found": f"{size} bytes of {size + 1}",
    }


def test_every_tensor_is_checked_also_what_only_training_reads(microframe, leaves, tmp_path):
    with ModelFile(leaves / "leaves.h5") as file:
        paths = [path for path in file.manifest["tensors"] if not path.startswith("weights/")]
        tensors = {path: file.read(path).tobytes() for path in paths}
    assert {path.partition("/")[0] for path in paths} == {"optimizer", "random", "splits"}
    content = (leaves / "leaves.h5").read_bytes()
    path = max((path for path in paths if content.count(tensors[path]) == 1), key=lambda path: len(tensors[path]))
    (tmp_path / "model.h5").write_bytes(content.replace(tensors[path], tensors[path][::-1]))
    assert f"/{path}: " in microframe("verify", "model.h5").stderr
    assert microframe("predict", "model.h5", leaves / "leaves.csv").code == 0


def test_weights_that_are_not_finite_are_taken_on_request(microframe, refused, files, tmp_path):
    edit(files[0], not_finite)
    (tmp_path / "samples.csv").write_text("1,2\n")
    assert microframe("verify", "0.h5", "--allow-nonfinite").code == 0
    for words in (["predict", "0.h5", "samples.csv"], ["inspect", "0.h5"], ["verify", "0.h5"]):
        assert refused(6, *words).endswith(" [E_NONFINITE]\n")
        assert microframe(*words, "--allow-nonfinite", "--isolate").code == 0


def test_what_only_a_continued_training_would_meet_is_checked_too(refused, leaves, tmp_path):
    path = tmp_path / "leaves.h5"

    def bad_state(manifest, tensors):
        tensors["random/noise"] = np.zeros(3, np.uint8)

    def bad_training(manifest, tensors):
        manifest["config"]["training"]["epochs"] = -1

    for change, code in ((bad_state, "E_RANDOM_STATE"), (bad_training, "E_CONFIG")):
        path.write_bytes((leaves / "leaves.h5").read_bytes())
        edit(path, change)
        assert refused(6, "verify", "leaves.h5").endswith(f" [{code}]\n")


def test_the_digest_of_a_single_file_can_be_asked_for(microframe, refused, files):
    assert microframe("verify", "0.h5", "--sha256", digest(files[0])).code == 0
    assert refused(6, "verify", "0.h5", "--sha256", digest(files[1])).endswith(" [E_FILE_DIGEST]\n")
    assert "--sha256 is for a single file, and there are 2" in refused(
        2, "verify", "0.h5", "1.h5", "--sha256", "0" * 64
    )


def test_the_name_of_a_file_does_not_act_on_the_terminal(microframe, files):
    name = "0\x1b[2K\n1.h5: ok"
    files[0].rename(files[0].with_name(name))
    for line in (microframe("verify", name).stdout, microframe("verify", f"{name}!").stderr):
        assert line.count("\n") == 1
        assert line[:-1].isprintable()


def test_without_its_plugins_a_file_is_checked_as_far_as_it_goes(microframe, plugin_folder, tmp_path):
    installed = plugin_folder("demo", PLUGIN)
    (tmp_path / "net.toml").write_text(
        '[data]\nsource = "line"\n[[layers]]\ntype = "twice"\n[[layers]]\ntype = "dense"\nunits = 1\n'
        '[training]\nloss = "mean_squared_error"\nepochs = 1\n'
    )
    assert microframe("train", "net.toml", "-q", **installed).code == 0
    imported = tmp_path / "installed" / "microframe_demo.imported"
    assert imported.exists()
    line = microframe("verify", "net.h5", **installed).stdout
    imported.unlink()
    without = microframe("verify", "net.h5")
    assert (without.code, without.stderr) == (0, "")
    assert without.stdout == f'{line[:-1]}, less what takes plugins: pip install "microframe-demo>=1.0"\n'
    (report,) = microframe("verify", "net.h5", "--json").json
    assert (report["complete"], report["install"]) == (False, 'pip install "microframe-demo>=1.0"')
    needs = "net.h5: the layer 'demo.twice' needs the plugin 'demo' from microframe-demo 1.0, not installed: "
    assert report["missing"] == [needs + "twice_1 (layers[0])"]
    edit(tmp_path / "net.h5", lambda _, tensors: tensors.update({"weights/other/kernel": np.ones(2)}))
    assert microframe("verify", "net.h5").stderr.endswith(" [E_TENSORS]\n")
    assert not imported.exists()


def test_a_file_is_named(refused):
    assert "Missing argument 'FILE...'" in refused(2, "verify")


WORDS = {
    "predict": ["predict", "leaves.h5", "leaves.csv"],
    "run": ["run", "leaves.h5", "leaves.csv"],
    "evaluate": ["evaluate", "leaves.h5", "leaves.csv"],
    "inspect": ["inspect", "leaves.h5"],
    "verify": ["verify", "leaves.h5"],
    "show": ["config", "show", "leaves.h5"],
    "train": ["train", "leaves.h5", "--resume"],
}


@pytest.mark.parametrize("command", WORDS)
def test_commands_take_no_other_file_than_the_one_with_the_digest_they_are_given(
    command, microframe, refused, leaves, tmp_path
):
    for file in ("leaves.h5", "leaves.csv"):
        (tmp_path / file).write_bytes((leaves / file).read_bytes())
    own = digest(leaves / "leaves.h5")
    assert microframe(*WORDS[command], "--sha256", own.upper(), "--isolate").code == 0
    (tmp_path / "leaves.h5").write_bytes(b"something else, which nobody reads")
    message = refused(6, *WORDS[command], "--sha256", own)
    assert message == (
        f"error: leaves.h5: the whole file: the SHA-256 {digest(tmp_path / 'leaves.h5')}, not {own} [E_FILE_DIGEST]\n"
    )


@pytest.mark.parametrize("word", ["", "abc", "g" * 64, "0" * 63])
def test_a_digest_is_64_hexadecimal_digits(word, refused):
    message = refused(2, "predict", "none.h5", "none.csv", "--sha256", word)
    assert f"expected 64 hexadecimal digits, received {word!r}" in message
