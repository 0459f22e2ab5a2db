"""Inputs with a large offset, such as timestamps, in a float32 network that begins with a fitted layer."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from microframe import Model

OFFSET = 1e8
LABELS = np.arange(120) % 3
INPUTS = np.random.default_rng(0).normal(2.0 * LABELS[:, None], 1.0, (120, 2))

either_layer = pytest.mark.parametrize("layer", ["standardize", "min_max"])


def settings(layer, **sections):
    layers = [layer, {"type": "dense", "units": 8, "activation": "tanh"}]
    training = {
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "epochs": 20,
        "batch_size": 16,
    }
    return {
        "layers": [*layers, {"type": "dense", "units": 3, "activation": "softmax"}],
        "training": training,
        **sections,
    }


def trained(layer, x):
    model = Model.from_config(settings(layer))
    model.fit(x, LABELS, validation=0.2)
    return model


def from_hdf5(x, folder):
    with h5py.File(folder / "data.h5", "w") as file:
        file["x"], file["y"] = x, LABELS
    return {"type": "hdf5", "path": str(folder / "data.h5"), "inputs": "x", "target": "y"}


def from_csv(x, folder):
    rows = [f"{a!r},{b!r},{label}" for (a, b), label in zip(x.tolist(), LABELS, strict=True)]
    (folder / "data.csv").write_text("\n".join(["a,b,label", *rows]) + "\n")
    return {"type": "csv", "path": str(folder / "data.csv"), "target": "label"}


@either_layer
def test_in_memory_an_offset_changes_no_prediction(layer):
    plain, offset = trained(layer, INPUTS), trained(layer, INPUTS + OFFSET)
    expected = plain.outputs(INPUTS)
    assert expected.dtype == np.float32
    assert plain.evaluate(INPUTS, LABELS, metrics=["accuracy"])["accuracy"] > 0.7
    np.testing.assert_allclose(offset.outputs(INPUTS + OFFSET), expected, atol=1e-3)
    np.testing.assert_allclose(offset(INPUTS + OFFSET), expected, atol=1e-3)
    np.testing.assert_array_equal(offset.predict(INPUTS + OFFSET), plain.predict(INPUTS))


@either_layer
@pytest.mark.parametrize("source", [from_hdf5, from_csv])
def test_in_a_file_an_offset_changes_no_prediction(layer, source, tmp_path):
    data = {"source": source(INPUTS + OFFSET, tmp_path), "validation": 0.2, "test": 0.1}
    model = Model.from_config(settings(layer, data=data))
    model.fit()
    plain = Model.from_config(settings(layer, data={**data, "source": source(INPUTS, tmp_path)}))
    plain.fit()
    np.testing.assert_allclose(model.outputs(INPUTS + OFFSET), plain.outputs(INPUTS), atol=1e-3)
    with h5py.File(tmp_path / "inputs.h5", "w") as file:
        file["x"] = INPUTS + OFFSET
        np.testing.assert_array_equal(model.outputs(file["x"]), model.outputs(INPUTS + OFFSET))


@either_layer
def test_float32_and_float64_arrays_of_the_same_values_give_the_same_output(layer):
    model = trained(layer, INPUTS)
    single = INPUTS.astype(np.float32)
    np.testing.assert_array_equal(model.outputs(single), model.outputs(single.astype(np.float64)))
    np.testing.assert_array_equal(model(single), model(single.astype(np.float64)))
    np.testing.assert_allclose(model.outputs(single), model.outputs(INPUTS), atol=1e-5)


@either_layer
def test_training_on_float32_and_float64_arrays_of_the_same_values_is_the_same(layer):
    single = INPUTS.astype(np.float32)
    one, other = trained(layer, single), trained(layer, single.astype(np.float64))
    np.testing.assert_array_equal(one.network.parameters, other.network.parameters)


@either_layer
def test_a_model_from_a_file_gives_the_same_output_to_the_bit(layer, tmp_path):
    model = trained(layer, INPUTS + OFFSET)
    model.save(tmp_path / "model.h5")
    loaded = Model.load(tmp_path / "model.h5")
    assert {array.dtype.name for array in loaded.network.state[f"{layer}_1"].values()} == {"float64"}
    np.testing.assert_array_equal(loaded.outputs(INPUTS + OFFSET), model.outputs(INPUTS + OFFSET))
