"""What the configuration makes of the tensors."""

from __future__ import annotations

import math

import h5py
import numpy as np

from microframe.storage import Code

from .cases import KERNEL, Valid, refuses
from .whole_file import put_bytes


def first_layer(**fields):
    return lambda manifest: manifest["config"]["layers"][1].update(fields)


def in_progress(**fields):
    return lambda manifest: manifest["progress"].update(fields)


def in_table(**fields):
    return lambda manifest: manifest["layers"][1].update(fields)


for name, edit in (
    ("more units", first_layer(units=5)),
    ("very many units", first_layer(units=10**12)),
    ("no bias", first_layer(use_bias=False)),
    ("other inputs", lambda manifest: manifest.update(input_shape=[4])),
    ("very large inputs", lambda manifest: manifest.update(input_shape=[2**50])),
    ("float64", lambda manifest: manifest["config"].update(dtype="float64")),
    ("an array that the table of layers has alone", in_table(trained=["a"])),
    ("another name in the table of layers", in_table(name="other")),
):
    refuses(Code.TENSORS, name, Valid.edit, edit, structure=False)
for name, edit in (
    ("another name", first_layer(name="other")),
    ("a layer more", lambda manifest: manifest["config"]["layers"].append({"type": "dense", "units": 10**9})),
    ("a layer less", lambda manifest: manifest["config"]["layers"].pop()),
    ("a layer that the table has alone", lambda manifest: manifest["layers"].append(manifest["layers"][1])),
    ("a layer that the table doesn't have", lambda manifest: manifest["layers"].pop()),
    ("an input below in the table of layers", in_table(inputs=["dense_2"])),
    ("inputs twice in the table of layers", in_table(inputs=["input"] * 2)),
    ("another output shape in the table of layers", in_table(output_shape=[5])),
    ("arrays less in the table of layers", lambda manifest: manifest["layers"][1]["trained"].pop()),
    ("arrays in another order in the table of layers", lambda manifest: manifest["layers"][1]["trained"].reverse()),
    ("arrays that are not trained", in_table(trained=[])),
    ("no layers", lambda manifest: manifest["config"].pop("layers")),
    ("no list of layers", lambda manifest: manifest["config"].update(layers={"a": 1})),
    ("a layer of tomorrow", first_layer(type="layer_of_tomorrow")),
    ("a field of tomorrow", first_layer(field=1)),
    ("very many layers", lambda manifest: manifest["config"].update(layers=["flatten"] * 2**17)),
    (
        "very many layers of tomorrow",
        lambda manifest: manifest["config"].update(layers=[f"a{n}" for n in range(10**4)]),
    ),
    ("very many fields of tomorrow", first_layer(**{f"a{number}": 1 for number in range(10**4)})),
    ("very many inputs of tomorrow", first_layer(inputs=[f"a{number}" for number in range(10**4)])),
    ("a layer with a very long name", first_layer(type="a" * 10**6)),
    ("a field with a very long name", first_layer(**{"a" * 10**6: 1})),
    ("a name that clears the screen", first_layer(**{"\x1b[2J": 1})),
    ("an activation of tomorrow", first_layer(activation="activation_of_tomorrow")),
    ("a number of units below 1", first_layer(units=-1)),
    ("a truth value for a number of units", first_layer(units=True)),
    ("a very long name in the table of layers", in_table(name="a" * 10**6)),
    ("a name of two words in the table of layers", in_table(name="dense 1")),
    ("a layer that is called like the input", in_table(name="input")),
    ("inputs of more elements than an array has", lambda manifest: manifest.update(input_shape=[2**30, 2**30])),
    ("a shape of very many and large extents", first_layer(type="reshape", shape=[10**99] * 30_000)),
    ("no input", lambda manifest: manifest.update(input_shape=[])),
    ("another number of fill values", lambda manifest: manifest.update(fill=[0.5])),
    ("more classes than outputs", lambda manifest: manifest.update(classes=["a", "b", "c", "d", "e"])),
    ("a class with a very long name", lambda manifest: manifest.update(classes=["a" * 4097, "b"])),
    ("two classes of one name", lambda manifest: manifest.update(classes=["a", "a"])),
    ("two classes of one number", lambda manifest: manifest.update(classes=[1, True])),
    ("a class with a number that is too large", lambda manifest: manifest.update(classes=[2**64, 0])),
    ("no class", lambda manifest: manifest.update(classes=[])),
    ("a single class", lambda manifest: manifest.update(classes=["a"])),
    ("fewer names than inputs", lambda manifest: manifest.update(feature_names=["a"])),
    ("a batch beyond the epoch", in_progress(batch=10**6)),
    ("as many batches as an epoch has", lambda manifest: manifest["progress"].update(batch=1, batch_size=18)),
    ("batches larger than the data", in_progress(batch_size=10**6)),
    ("other samples than there are rows", in_progress(samples=17)),
    ("a memory of no callback", in_progress(memories=[{}] * 7)),
    ("no layer's dtype", lambda manifest: manifest["config"].pop("dtype")),
):
    refuses(Code.CONFIG, name, Valid.edit, edit, structure=False)


def put_tensor(valid, name, values, **entry):
    with valid.reopened() as file:
        file.pop(name, None)
        file.create_dataset(name, data=values)
    valid.list(name, **{"dtype": values.dtype.str, **entry})


for name, rows in (
    ("a row beyond the data", [*range(17), 10**9]),
    ("a row below 0", [*range(17), -1]),
    ("a row twice", [*range(17), 16]),
    ("a row less", range(17)),
):
    refuses(Code.CONFIG, name, put_tensor, "splits/train", np.array(rows), structure=False)
refuses(Code.TENSORS, "rows as values", put_tensor, "splits/train", np.zeros(18), structure=False)
refuses(Code.TENSORS, "rows as a table", put_tensor, "splits/train", np.zeros((18, 1), np.int64), structure=False)
refuses(
    Code.TENSORS,
    "outputs for one sample",
    put_tensor,
    "progress/outputs",
    np.zeros((1, 3), np.float32),
    structure=False,
)
for name in ("7/a", "00/a", "x/a", "0"):
    refuses(Code.TENSORS, f"callbacks-{name}", put_tensor, f"callbacks/{name}", np.zeros(1), structure=False)
refuses(Code.TENSORS, "one slot", put_tensor, "optimizer/slots/momentum", np.zeros(1, np.float32), structure=False)
refuses(Code.TENSORS, "state as a table", put_tensor, "random/noise", np.zeros((2, 2), np.uint8), structure=False)
for value in (math.nan, math.inf, -math.inf):
    refuses(Code.NONFINITE, str(value), put_tensor, KERNEL, np.full((3, 4), value, np.float32), structure=False)
    name = "weights/standardize_1/mean"
    refuses(Code.NONFINITE, f"{value} in a state", put_tensor, name, np.array([0.0, value, 0.0]), structure=False)


def damage(valid):
    with h5py.File(valid.path) as file:
        offset = file[KERNEL].id.get_offset()
    put_bytes(valid, lambda data: data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :])


refuses(Code.DIGEST, "a bit of a tensor", damage, structure=False)
