"""Files of every layout version load to the bits that they were saved with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import microframe
from microframe import UsageError
from microframe.storage import LAYOUT, ModelFile

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.h5"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def expected(path):
    return json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def array_facts(array):
    return [array.dtype.str, list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def test_there_are_files_of_every_layout_and_each_is_listed():
    assert {int(path.stem.split("-")[1]) for path in FILES} == set(range(1, LAYOUT + 1))
    text = (GOLDEN / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{path.name}` |" in text for path in FILES)
    assert sum(path.stat().st_size for path in GOLDEN.iterdir() if path.is_file()) < 100_000


def test_nobody_has_changed_it(path, expected):
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected["sha256"]


def test_every_array_has_the_bits_that_were_saved(path, expected):
    with ModelFile(path, sha256=expected["sha256"]) as file:
        assert file.sha256 == expected["manifest_sha256"]
        file.verify()
        assert {name: array_facts(file.read(name)) for name in file.manifest["tensors"]} == expected["arrays"]


@pytest.mark.parametrize("options", [{}, {"mmap": True}, {"isolate": True}], ids=str)
def test_the_model_is_the_one_that_was_saved(path, expected, options):
    model = microframe.load(path, **options)
    network = model.network
    for views in (network.weights, network.state):
        for layer, arrays in views.items():
            for name, array in arrays.items():
                assert array_facts(array) == expected["arrays"][f"weights/{layer}/{name}"]
    inputs = np.array(expected["inputs"])
    tolerance = 1e-12 if model.dtype == "float64" else 1e-5
    np.testing.assert_allclose(model.outputs(inputs), expected["outputs"], rtol=tolerance, atol=tolerance)
    if model.classes is None:
        np.testing.assert_allclose(model.predict(inputs), expected["predictions"], rtol=tolerance, atol=tolerance)
    else:
        assert model.predict(inputs).tolist() == expected["predictions"]
    assert model.history.to_dict() == expected["history"]
    assert (model.checkpoint and model.checkpoint.progress) == expected["progress"]


def test_what_was_a_checkpoint_is_trained_on_and_nothing_else_is(path, expected, tmp_path):
    model = microframe.load(path)
    if expected["progress"] is None:
        with pytest.raises(UsageError, match="there is nothing to resume"):
            model.fit(np.array(expected["inputs"]), np.array(expected["targets"]), resume=True)
        return
    epochs = model.configuration.training.epochs + 1
    model.fit(np.array(expected["inputs"]), np.array(expected["targets"]), epochs=epochs, resume=True)
    assert model.history.epochs == epochs
    model.save(tmp_path / "model.h5")
    assert microframe.load(tmp_path / "model.h5").network.parameters.tobytes() == model.network.parameters.tobytes()


def test_a_model_that_is_saved_again_loses_nothing(path, expected, tmp_path):
    microframe.load(path).save(tmp_path / "model.h5")
    with ModelFile(tmp_path / "model.h5") as file:
        assert {name: array_facts(file.read(name)) for name in file.manifest["tensors"]} == expected["arrays"]
