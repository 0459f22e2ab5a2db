"""FORMAT.md says what the code does."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

import microframe
from microframe import Example, storage
from microframe.manifest import MOST_SETTINGS, Manifest, Progress
from microframe.network import Declarations
from microframe.packing import pack
from microframe.providers import Record
from microframe.registry import registry
from microframe.standard.layers import Dense
from microframe.storage import LAYOUT, Code, ModelFile, codes, hdf5, metadata, write_model_file
from microframe.storage import manifest as manifests
from microframe.storage.writing import MOST_TENSORS, STORED_AS

LAYERS = "| Layer | Arrays that are trained | Others |"
FORMAT = Path(storage.__file__).with_name("FORMAT.md")
TEXT = FORMAT.read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def rows(text, head):
    """The cells of the table that begins with the line `head`."""
    lines = text[text.index(f"{head}\n") :].splitlines()[2:]
    table = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table]


def documented_codes():
    """Each code with the docstring behind it."""
    module = ast.parse(Path(codes.__file__).read_text(encoding="utf-8"))
    (enumeration,) = [node for node in module.body if getattr(node, "name", "") == "Code"]
    pairs = zip(enumeration.body, enumeration.body[1:], strict=False)
    return {
        one.value.value: " ".join(two.value.value.split())
        for one, two in pairs
        if isinstance(one, ast.Assign) and isinstance(two, ast.Expr)
    }


def test_the_table_of_codes_is_that_of_the_docstrings():
    documented = documented_codes()
    assert list(documented) == [str(code) for code in Code], "each code has a docstring"
    expected = "\n".join(f"| `{code}` | {text} |" for code, text in documented.items())
    assert expected in section("Codes of refusals"), f"the table should be\n{expected}"


def test_every_code_that_the_text_mentions_exists():
    assert set(re.findall(r"\bE_[A-Z0-9_]+", TEXT)) == {str(code) for code in Code}


def names_of(table):
    return {name for first, *_ in table for name in re.findall(r"`(\w+)`", first)}


@pytest.mark.parametrize(
    ("start", "names"),
    [
        ("These are its fields", {field.name for field in msgspec.structs.fields(Manifest)}),
        ("**`tensors`** has", {field.name for field in msgspec.structs.fields(manifests.Tensor)}),
        ("**`providers`** has", set(Record.__dataclass_fields__)),
        ("**`progress`** is", {field.name for field in msgspec.structs.fields(Progress)}),
    ],
    ids=["manifest", "tensors", "providers", "progress"],
)
def test_the_fields_are_those_that_are_read(start, names):
    text = section("The manifest")
    assert names_of(rows(text[text.index(start) :], "| Field | Type | Meaning |")) == names


def test_the_types_are_those_that_are_stored():
    by_type = {}
    for original, stored in STORED_AS.items():
        by_type.setdefault(np.dtype(stored).str, set()).add(original)
    table = rows(section("The manifest"), "| Stored as | `original` |")
    assert {first.strip("`"): names_of([[others]]) for first, others in table} == by_type


def test_the_encodings_of_types_are_those_that_are_read():
    table = rows(section("What of HDF5 is used"), "| Type | Encoding in hexadecimal |")
    encodings = {name: bytes.fromhex(text.strip("`").replace(" ", "")[2:]) for name, text in table}
    assert encodings == {np.dtype(dtype).name: encoding for encoding, dtype in hdf5._DTYPES.items()}


def test_the_limits_are_those_that_hold():
    limits = {name: eval(number.replace("^", "**")) for name, number in rows(section("Limits"), "| What | At most |")}
    assert list(limits.values()) == [
        hdf5.MOST_LEVELS,
        255,
        hdf5.MOST_AXES,
        hdf5._MOST_ELEMENTS,
        manifests.MOST_BYTES,
        manifests.MOST_VALUES,
        manifests.MOST_LEVELS,
        manifests.MOST_DIGITS,
        MOST_SETTINGS,
        hdf5.MOST_OBJECTS,
        metadata.LARGEST_BLOCK,
        metadata.MOST_METADATA,
        MOST_TENSORS,
    ]
    assert f"[A-Za-z0-9_][A-Za-z0-9_.-]*` and has at most {limits['characters of a name']}" in TEXT
    assert hdf5.NAME.pattern == "[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}"


def test_the_version_is_the_one_that_is_written():
    assert TEXT.startswith(f"# The model file, layout version {LAYOUT}\n")


def arrays_of(name):
    """The arrays of a standard layer, trained and others."""
    example = registry.get("layer", name).examples()[0]
    layer = example.component if isinstance(example, Example) else example
    inputs = (isinstance(example, Example) and example.inputs) or ((4,),)
    declared = Declarations()
    layer.build(declared, *[shape if isinstance(shape, tuple) else shape.shape[1:] for shape in inputs])
    return set(declared.parameters), set(declared.states)


def test_the_arrays_of_the_standard_layers_are_those_that_they_have():
    table = {first.strip("`"): others for first, *others in rows(section("The manifest"), LAYERS)}
    listed = {name: tuple(set(re.findall(r"`(\w+)`", cell)) for cell in cells) for name, cells in table.items()}
    found = {name: arrays_of(name) for name in registry.standard_names("layer")}
    assert listed == {name: arrays for name, arrays in found.items() if any(arrays)}


def blocks():
    return re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_example_of_a_reader_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = microframe.Model([Dense(3), Dense(2)]).build((4,))
    model.save("model.h5")
    names: dict[str, object] = {}
    exec(blocks()[0], names)
    weights = names["weights"]
    assert {path.removeprefix("weights/") for path in weights} == {
        f"{layer}/{array}" for layer, arrays in model.weights.items() for array in arrays
    }
    np.testing.assert_array_equal(weights["weights/dense_1/kernel"], model.weights["dense_1"]["kernel"])


def test_the_example_of_a_writer_writes_what_is_read(tmp_path, trained_file):
    names: dict[str, object] = {}
    exec(blocks()[1], names)
    model = microframe.load(trained_file)
    manifest, tensors = pack(model, model.checkpoint)
    names["write"](tmp_path / "other.h5", manifest, tensors)
    again = microframe.load(tmp_path / "other.h5")
    assert again.network.parameters.tobytes() == model.network.parameters.tobytes()
    assert again.checkpoint.progress == model.checkpoint.progress
    with ModelFile(trained_file) as one, ModelFile(tmp_path / "other.h5") as two:
        assert one.sha256 == two.sha256, "the model has the same name"


def test_all_links_of_the_text_lead_somewhere():
    titles = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#(.*?)\)", TEXT)) <= anchors


def test_an_empty_model_file_has_nothing_but_a_manifest(tmp_path):
    write_model_file(tmp_path / "model.h5", {}, {})
    with ModelFile(tmp_path / "model.h5") as file:
        assert file.manifest == {"tensors": {}}
