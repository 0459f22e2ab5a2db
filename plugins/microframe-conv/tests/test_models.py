"""The networks that come with the plugin learn what they are there to learn."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path

import numpy as np
import pytest

from microframe import Model

PLUGIN = Path(__file__).parents[1]
DIGITS = PLUGIN.parents[1] / "models" / "digits-conv.toml"
LENET = PLUGIN / "models" / "lenet-mnist.toml"
MNIST = PLUGIN.parents[2] / "shared" / "data" / "mnist"
IMAGES, LABELS = MNIST / "t10k-images-idx3-ubyte.gz", MNIST / "t10k-labels-idx1-ubyte.gz"


@pytest.mark.skipif(not DIGITS.exists(), reason="the network is not part of the plugin; it is in models/ of microframe")
def test_convolutions_read_digits_that_they_were_not_trained_on(tmp_path):
    model = Model.from_config(DIGITS)
    model.fit()
    assert len(model.parts.test) == 359
    assert model.results["test"]["accuracy"] >= 0.985
    model.save(tmp_path / "digits-conv.h5")
    digits = model.configuration.data.source.load()
    held_out = digits.inputs[model.parts.test]
    loaded = Model.load(tmp_path / "digits-conv.h5")
    np.testing.assert_array_equal(loaded.predict(held_out), model.predict(held_out))
    assert np.mean(loaded.predict(held_out) == digits.target[model.parts.test]) >= 0.985


@pytest.mark.skipif(
    not (IMAGES.exists() and LABELS.exists()),
    reason="the MNIST test images are not part of the project; they are looked for in ../shared/data/mnist",
)
def test_a_lenet_learns_mnist_in_five_epochs_over_8000_images():
    values = tomllib.loads(LENET.read_text(encoding="utf-8"))
    values["data"]["source"] |= {"inputs": str(IMAGES), "target": str(LABELS)}
    model = Model.from_config(values)
    history = model.fit()
    assert history.epochs <= 5
    np.testing.assert_array_equal(model.parts.train, np.arange(8000))
    np.testing.assert_array_equal(model.parts.test, np.arange(8000, 10_000))
    images = np.frombuffer(gzip.decompress(IMAGES.read_bytes()), np.uint8, offset=16).reshape(10_000, 784)
    digits = np.frombuffer(gzip.decompress(LABELS.read_bytes()), np.uint8, offset=8)
    assert np.mean(model.predict(images[8000:]) == digits[8000:]) >= 0.97
