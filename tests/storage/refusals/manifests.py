"""The manifest, as a text and by its fields."""

from __future__ import annotations

import functools
import json

import h5py
import numpy as np
from h5py import h5d, h5s, h5t

from microframe.storage import Code
from microframe.storage.manifest import MOST_BYTES

from .attributes import attribute
from .cases import KERNEL, refuses
from .datasets import early


def put_text(valid, text):
    valid.put_text(text)


def rewrite(valid, write):
    """Put the manifest's values there in another text."""
    with h5py.File(valid.path) as file:
        values = json.loads(file["manifest"][...].tobytes())
    valid.put_text(write(values))


def written(**options):
    canonical = {"sort_keys": True, "separators": (",", ":")}
    return lambda values: json.dumps(values, **{**canonical, **options}).encode()


def replaced(old, new):
    return lambda values: written()(values).replace(old, new, 1)


def no_digest(valid):
    attribute(valid, "manifest_sha256", np.bytes_("0" * 64))


def huge_manifest(valid):
    with valid.reopened() as file:
        del file["manifest"]
        h5d.create(file.id, b"manifest", h5t.STD_U8LE, h5s.create_simple((MOST_BYTES + 1,)), early())


refuses(Code.MANIFEST_DIGEST, "another", no_digest, structure=False)
refuses(Code.MANIFEST_SIZE, "a byte too many", huge_manifest, structure=False)
for code, name, text in (
    (Code.MANIFEST_TEXT, "empty", b""),
    (Code.MANIFEST_TEXT, "not closed", b"{"),
    (Code.MANIFEST_TEXT, "no UTF-8", b'{"a":"\xff"}'),
    (Code.MANIFEST_TEXT, "UTF-8 beyond ASCII", '{"a":"ü"}'.encode()),
    (Code.MANIFEST_TEXT, "UTF-16", "{}".encode("utf-16")),
    (Code.MANIFEST_TEXT, "a pickle", b"\x80\x04cos\nsystem\n."),
    (Code.MANIFEST_FIELD, "list", b"[]"),
    (Code.MANIFEST_FIELD, "number", b"3"),
    (Code.MANIFEST_DEPTH, "65 levels", b'{"a":' * 65 + b"1" + b"}" * 65),
    (Code.MANIFEST_DEPTH, "a million levels", b"[" * 10**6),
    (Code.UNLISTED, "empty object", b"{}"),
):
    refuses(code, name, put_text, text, structure=False)
for code, name, write in (
    (Code.MANIFEST_KEY, "twice", replaced(b'{"classes"', b'{"classes":null,"classes"')),
    (Code.MANIFEST_KEY, "twice, of a tensor", replaced(b'"tensors":{', b'"tensors":{"a":1,"a":2,')),
    (Code.MANIFEST_NUMBER, "NaN", replaced(b'"threshold":0.5', b'"threshold":NaN')),
    (Code.MANIFEST_NUMBER, "infinity", replaced(b'"threshold":0.5', b'"threshold":-Infinity')),
    (Code.MANIFEST_NUMBER, "beyond float64", replaced(b'"threshold":0.5', b'"threshold":1e400')),
    (Code.MANIFEST_NUMBER, "100,000 digits", replaced(b'"threshold":0.5', b'"threshold":' + b"9" * 100_000)),
    (Code.MANIFEST_CANONICAL, "white space", written(separators=(", ", ": "))),
    (Code.MANIFEST_CANONICAL, "lines", written(indent=1)),
    (Code.MANIFEST_CANONICAL, "other order", lambda values: written(sort_keys=False)(dict(reversed(values.items())))),
    (Code.MANIFEST_CANONICAL, "other digits", replaced(b'"threshold":0.5', b'"threshold":0.50')),
    (Code.MANIFEST_CANONICAL, "other escapes", replaced(b'"classes"', b'"cl\\u0061sses"')),
    (Code.MANIFEST_CANONICAL, "end of line", lambda values: written()(values) + b"\n"),
):
    refuses(code, name, rewrite, write, structure=False)


def put(valid, value, *path):
    """Put a value at a path in the manifest; `...` takes away what is there."""

    def change(manifest):
        inner = functools.reduce(lambda values, step: values[step], path[:-1], manifest)
        if value is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value

    valid.edit(change)


FIELDS = [
    "classes", "config", "data_digests", "delimiter", "feature_names", "fill", "fitted", "history", "input_shape",
    "layers", "microframe", "progress", "providers", "results", "single_value", "target_columns", "target_names",
    "threshold",
]  # fmt: skip
for name in FIELDS:
    refuses(Code.MANIFEST_FIELD, f"no {name}", put, ..., name, structure=False)
for value, *path in (
    (1, "tomorrow"),
    (5, "config"),
    ("3", "input_shape"),
    ([True], "input_shape"),
    ([3.0], "input_shape"),
    ([-3], "input_shape"),
    ([2**59 + 1], "input_shape"),
    ([1] * 64, "input_shape"),
    (["3"], "input_shape"),
    ([None, "a"], "classes"),
    ([[1]], "classes"),
    ([1, 2, 3], "feature_names"),
    ("high", "threshold"),
    (True, "threshold"),
    (1, "fitted"),
    ([True], "target_columns"),
    ([-1], "target_columns"),
    ("|", "delimiter"),
    (0, "single_value"),
    (["1", "2", "3"], "fill"),
    ([None, None, None], "fill"),
    ([{"$float": "nan"}] * 3, "fill"),
    ([True, False, True], "fill"),
    ({"loss": [1.0]}, "history"),
    ([["loss", ["a"]]], "history"),
    ([["loss", [None]]], "history"),
    (None, "layers"),
    (["dense_1"], "layers"),
    (1, "layers", 0, "name"),
    ("input", "layers", 0, "inputs"),
    ([4.0], "layers", 0, "output_shape"),
    ([-4], "layers", 0, "output_shape"),
    ([0], "layers", 0, "trained"),
    (..., "layers", 0, "trained"),
    (1, "layers", 0, "tomorrow"),
    ([["loss", [True]]], "history"),
    ([["loss", [1.0]], ["loss", [1.0]]], "history"),
    ([["loss", [1.0]], ["accuracy", [1.0, 2.0]]], "history"),
    ([["recall", [[1.0, 2.0], [1.0]]]], "history"),
    ([["recall", [[1.0, 2.0], 1.0]]], "history"),
    ([["loss", [10**99]], ["loss", [1.0]]], "history"),
    ({"test": [["loss", [{}]]]}, "results"),
    ({"test": [["loss", []]]}, "results"),
    ({"test": [["loss", [1.0, 2.0]]]}, "results"),
    ({"elsewhere": [["loss", [1.0]]]}, "results"),
    (2**53 + 1, "progress", "step"),
    ("", "data_digests"),
    ({"inputs": None}, "data_digests"),
    ({"inputs": None, "targets": "", "x": 1}, "data_digests"),
    (1, "microframe"),
    ({"layer:dense": {}}, "providers"),
    ({"layer:dense": {"plugin": 5}}, "providers"),
    (True, "providers", "layer:dense", "component_version"),
    (0, "providers", "layer:dense", "component_version"),
    ({}, "progress"),
    (True, "progress", "epoch"),
    (-1, "progress", "batch"),
    (1.5, "progress", "step"),
    ("8", "progress", "batch_size"),
    (0, "progress", "batch_size"),
    (1, "progress", "tomorrow"),
    (5, "tensors"),
    ([], "tensors"),
    (5, "tensors", KERNEL),
    (["3", 4], "tensors", KERNEL, "shape"),
    ([True, 4], "tensors", KERNEL, "shape"),
    ([3.0, 4.0], "tensors", KERNEL, "shape"),
    (5, "tensors", KERNEL, "dtype"),
    (5, "tensors", KERNEL, "sha256"),
    (1, "tensors", KERNEL, "offset"),
    (..., "tensors", KERNEL, "sha256"),
):
    refuses(Code.MANIFEST_FIELD, f"{value!r:.20} as {'.'.join(map(str, path))}", put, value, *path, structure=False)
refuses(Code.MANIFEST_NUMBER, "an object", put, {"$float": "1e999"}, "progress", "loss_sum", structure=False)
for code, value, *path in (
    (Code.TYPE, "<f8", "tensors", KERNEL, "dtype"),
    (Code.TYPE, ">f4", "tensors", KERNEL, "dtype"),
    (Code.TYPE, "O", "tensors", KERNEL, "dtype"),
    (Code.TYPE, "object", "tensors", KERNEL, "original"),
    (Code.TYPE, "float64", "tensors", KERNEL, "original"),
    (Code.TYPE, "float32", "tensors", KERNEL, "original"),
    (Code.SHAPE, [4, 3], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [12], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [3, 4, 1], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [10**12, 10**12], "tensors", KERNEL, "shape"),
    (Code.SHAPE, [-3, -4], "tensors", KERNEL, "shape"),
    (Code.UNLISTED, ..., "tensors", KERNEL),
    (Code.DIGEST, "0" * 64, "tensors", KERNEL, "sha256"),
):
    refuses(code, f"{value!r:.20} as {path[-1]}", put, value, *path, structure=False)
