"""MNIST, on its 10,000 test images: the first 8,000 to train on, the last 2,000 to test."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from microframe import Model

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
IMAGES, LABELS = FOLDER / "t10k-images-idx3-ubyte.gz", FOLDER / "t10k-labels-idx1-ubyte.gz"
FILES = ("--set", f"data.source.inputs={IMAGES}", "--set", f"data.source.target={LABELS}")

pytestmark = pytest.mark.skipif(
    not (IMAGES.exists() and LABELS.exists()),
    reason="the MNIST test images are not part of the project; they are looked for in ../shared/data/mnist",
)


@pytest.fixture(scope="module")
def images():
    return np.frombuffer(gzip.decompress(IMAGES.read_bytes()), np.uint8, offset=16).reshape(10_000, 784)


@pytest.fixture(scope="module")
def digits():
    return np.frombuffer(gzip.decompress(LABELS.read_bytes()), np.uint8, offset=8)


@pytest.fixture(scope="module")
def one_hot(digits):
    return np.eye(10)[digits]


@pytest.fixture
def model(configuration):
    """The network of the notebook in float64, with its first weights."""
    return Model.from_config({**configuration("mnist"), "dtype": "float64"}).build((784,))


def sigmoid(z):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def first_weights(model):
    """Copies of kernel and bias, layer by layer."""
    return [(arrays["kernel"].copy(), arrays["bias"].copy()) for arrays in model.network.weights.values()]


def train_by_hand(layers, images, targets, epochs):
    """The loop of the notebook, which changes `layers` in place; gives the mean loss of each epoch.

    The loss of a batch is sum((p - t)^2) / 32 and its gradient is taken as 2 (p - t); the rate is 1e-3.
    """
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(images), 32):
            outputs = [images[start : start + 32].astype(np.float64)]
            for kernel, bias in layers:
                outputs.append(sigmoid(outputs[-1] @ kernel + bias))
            error = outputs[-1] - targets[start : start + 32]
            total += np.sum(error**2) / 32
            gradient = 2 * error
            for (kernel, bias), x, y in zip(layers[::-1], outputs[-2::-1], outputs[:0:-1], strict=True):
                delta = (1 - y) * y * gradient
                gradient = delta @ kernel.T
                kernel[...] -= 1e-3 * (x.T @ delta)
                bias[...] -= 1e-3 * (np.ones(32) @ delta)
        losses.append(total / (len(images) / 32))
    return losses


def assert_same_weights(model, layers):
    for arrays, (kernel, bias) in zip(model.network.weights.values(), layers, strict=True):
        np.testing.assert_allclose(arrays["kernel"], kernel, rtol=0, atol=1e-8)
        np.testing.assert_allclose(arrays["bias"], bias, rtol=0, atol=1e-8)


def test_the_source_reads_the_images_and_digits_in_the_files(configuration, images, digits):
    values = configuration("mnist")
    source = {**values["data"]["source"], "inputs": str(IMAGES), "target": str(LABELS)}
    dataset = Model.from_config({**values, "data": {"source": source}}).configuration.data.source.load()
    np.testing.assert_array_equal(dataset.inputs, images)
    np.testing.assert_array_equal(dataset.target, digits)


def test_the_untrained_network_guesses(model, images, one_hot):
    accuracy = model.evaluate(images, one_hot)["accuracy"]
    assert 0.05 < accuracy < 0.15


# Raw pixels make this training chaotic: a rounding error of 1e-16 grows to 1e-1 within the first epoch. Two loops agree
# for longer only if they round alike, so the one above adds and multiplies in the order that the network does.


def test_three_epochs_equal_the_loop_of_the_notebook(model, images, one_hot):
    layers = first_weights(model)
    losses = train_by_hand(layers, images[:8000], one_hot[:8000], epochs=3)
    history = model.fit(images[:8000], one_hot[:8000], epochs=3)
    assert_same_weights(model, layers)
    np.testing.assert_allclose(history["loss"], losses, rtol=0, atol=1e-8)
    assert losses[2] < losses[1] < losses[0]


def test_twenty_batches_equal_the_loop_of_the_notebook_however_it_rounds(model, images, one_hot):
    layers = first_weights(model)
    backwards = np.arange(640).reshape(20, 32)[:, ::-1].ravel()
    train_by_hand(layers, images[backwards], one_hot[backwards], epochs=1)
    model.fit(images[:640], one_hot[:640], epochs=1)
    assert not np.array_equal(model.network.weights["dense_1"]["kernel"], layers[0][0])
    assert_same_weights(model, layers)


def test_the_notebooks_recipe_trains_from_its_file(run_model, images, digits):
    trained = run_model("mnist", *FILES, "--epochs", "2")
    np.testing.assert_array_equal(trained.parts.test, np.arange(8000, 10_000))
    assert trained.history["loss"][1] < trained.history["loss"][0]
    right = trained.outputs(images[8000:]).argmax(axis=1) == digits[8000:]
    assert trained.results["test"]["accuracy"] == pytest.approx(right.mean())


def test_a_modern_recipe_reads_19_of_20_digits_within_ten_epochs(run_model, images, digits):
    trained = run_model("mnist-modern", *FILES)
    np.testing.assert_array_equal(trained.parts.test, np.arange(8000, 10_000))
    assert trained.configuration.dtype == "float32"
    assert trained.history.epochs <= 10
    accuracy = np.mean(trained.predict(images[8000:]) == digits[8000:])
    assert trained.results["test"]["accuracy"] == pytest.approx(accuracy)
    assert accuracy >= 0.95
