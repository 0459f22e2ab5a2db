"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from microframe_recurrent import microframe_components

import microframe

PLUGIN = Path(__file__).parents[1]
TEXT = (PLUGIN / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_table_lists_every_layer_with_its_fields_and_no_other():
    rows = re.findall(r"^\| (`.*?`)(?: besides)? \| (.*?) \|", TEXT, re.MULTILINE)
    listed = {}
    for types, fields in rows:
        for name in re.findall(r"`(\w+)`", types):
            listed.setdefault(name, set()).update(re.findall(r"`(\w+)`", fields))
    of_every_layer = {"name", "inputs"}
    assert {name: listed[name] for name in listed if name in TYPES} == {
        name: {field.name for field in layer.fields()} - of_every_layer for name, layer in TYPES.items()
    }


TYPES = {layer.type: layer for layer in microframe_components()}

SHAPES = {"bidirectional": (8, 4), "masking": (7,), "positional_encoding": (8, 32)}
"""The shape of one sample for the network that begins with a layer."""


@pytest.mark.parametrize("text", blocks("toml"), ids=lambda text: tomllib.loads(text)["layers"][0]["type"])
def test_the_layers_in_toml_make_a_network(text):
    layers = tomllib.loads(text)["layers"]
    shape = SHAPES[layers[0]["type"]]
    assert microframe.Model(layers).build(shape).is_built


def test_the_transformer_block_is_that_of_the_model():
    (block,) = [tomllib.loads(text)["layers"] for text in blocks("toml") if "attended" in text]
    shipped = tomllib.loads((PLUGIN / "models" / "transformer-rows.toml").read_text(encoding="utf-8"))["layers"]
    start = next(index for index, layer in enumerate(shipped) if layer.get("name") == "rows")
    assert shipped[start : start + len(block)] == block


def test_the_program_runs_and_learns(tmp_path):
    (program,) = blocks("python")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    output = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True, timeout=60
    ).stdout
    assert float(output) > 0.9


def test_the_licence_that_is_named_comes_along():
    assert TEXT.rstrip().endswith("Licence: MIT.")
    assert (PLUGIN / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
