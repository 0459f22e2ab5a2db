from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from microframe.locate import line_finder

TOML = """\
# a comment, then an empty line

description = "first \u2028 line"
dtype.nested = 1

[data]                                  # [[layers]] in a comment
source = { type = "csv", path = "a.csv", features = [
    "x", # the first
    "[[layers]]",
] }
"test" = 0.2

[[layers]]
type = "dense"

  [layers.activation]
  type = "leaky_relu"
  slope = 0.2

[[layers]]
type = "reshape"
shape = [
    2,

    [3, { deep = 4 }],
]
text = \"\"\"
[[layers]]
units = 5
\"\"\"
kernel_initializer.type = "constant"

[training.optimizer]
type = "sgd"

[[training.callbacks]]
type = "time_limit"

[[training.callbacks]]
[training.callbacks.inner]
seconds = 3
"""

JSON = """\
{
  "layers": [
    {"type": "dense", "units": 3,
     "activation": {
       "type": "leaky_relu", "slope": [1, {"x": "}]\\\\\\"," }]
     }
    },

    "flatten"
  ],
  "data": null, "training": {"epochs": -1.5e3, "metrics": [], "loss": {}
  , "seed": true}
}
"""

KEYS = st.text("abcxyz_-", min_size=1, max_size=8)
LEAVES = st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
TABLES = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | LEAVES | st.lists(inner, max_size=3) | st.lists(LEAVES), max_size=4),
    max_leaves=12,
)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every path in `value`, with what stands there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [found for key, element in items for found in paths(element, (*path, key))]
    return [(path, value), *inner] if path else inner


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("description",), 3),
        (("dtype", "nested"), 4),
        (("data",), 6),
        (("data", "source"), 7),
        (("data", "source", "path"), 7),
        (("data", "source", "features", 1), 9),
        (("data", "test"), 11),
        (("layers",), 13),
        (("layers", 0), 13),
        (("layers", 0, "type"), 14),
        (("layers", 0, "activation"), 16),
        (("layers", 0, "activation", "slope"), 18),
        (("layers", 1, "type"), 21),
        (("layers", 1, "shape"), 22),
        (("layers", 1, "shape", 0), 23),
        (("layers", 1, "shape", 1), 25),
        (("layers", 1, "shape", 1, 1, "deep"), 25),
        (("layers", 1, "text"), 27),
        (("layers", 1, "kernel_initializer", "type"), 31),
        (("training", "optimizer", "type"), 34),
        (("training", "callbacks", 0, "type"), 37),
        (("training", "callbacks", 1), 39),
        (("training", "callbacks", 1, "inner", "seconds"), 41),
        (("layers", 0, "units"), 13),
        (("layers", 0, "activation", "missing"), 16),
        (("data", "source", "missing", 3), 7),
        (("training",), 33),
        (("training", "missing"), 33),
        (("missing",), None),
        ((), None),
    ],
)
def test_a_value_of_a_toml_file_is_found_or_what_is_around_it(path, line):
    tomllib.loads(TOML)
    assert line_finder(TOML, ".toml")(path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("layers",), 2),
        (("layers", 0), 3),
        (("layers", 0, "type"), 3),
        (("layers", 0, "units"), 3),
        (("layers", 0, "activation"), 4),
        (("layers", 0, "activation", "slope"), 5),
        (("layers", 0, "activation", "slope", 1, "x"), 5),
        (("layers", 1), 9),
        (("data",), 11),
        (("training", "epochs"), 11),
        (("training", "metrics", 0), 11),
        (("training", "seed"), 12),
        (("layers", 0, "missing"), 3),
        (("layers", 7), 2),
        (("missing",), None),
    ],
)
def test_a_value_of_a_json_file_is_found_or_what_is_around_it(path, line):
    json.loads(JSON)
    assert line_finder(JSON, ".json")(path) == line


@given(TABLES)
def test_every_key_and_element_of_any_toml_file_is_on_the_line_that_is_found(values):
    text = tomli_w.dumps(values)
    find, lines = line_finder(text, ".toml"), text.split("\n")
    for path, value in paths(values):
        line = find(path)
        assert line is not None
        if isinstance(path[-1], str):
            assert path[-1] in lines[line - 1]
        elif not isinstance(value, dict | list):
            assert tomli_w.dumps({"": value}).removeprefix('"" = ').strip() in lines[line - 1]


@given(TABLES, st.sampled_from([None, 0, 2]))
def test_every_value_of_any_json_file_is_on_the_line_that_is_found(values, indent):
    text = json.dumps(values, indent=indent)
    find, lines = line_finder(text, ".json"), text.split("\n")
    for path, value in paths(values):
        line = find(path)
        assert line is not None
        if not isinstance(value, dict | list):
            assert json.dumps(value) in lines[line - 1]
        if isinstance(path[-1], str):
            assert json.dumps(path[-1]) in lines[line - 1]


@given(st.lists(TABLES, min_size=1, max_size=4))
def test_elements_of_an_array_of_tables_are_told_apart(layers):
    text = tomli_w.dumps({"layers": [{"mark": index, **layer} for index, layer in enumerate(layers)]}, indent=2)
    find, lines = line_finder(text, ".toml"), text.split("\n")
    for index in range(len(layers)):
        assert f"mark = {index}" in lines[find(("layers", index, "mark")) - 1]
