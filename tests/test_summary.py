from __future__ import annotations

import numpy as np
import pytest

import microframe.summary
from microframe.interfaces import Layer
from microframe.network import Network
from microframe.registry import Registry
from microframe.standard.layers import Add, BatchNorm, Dense, Flatten, Standardize
from microframe.summary import Summary, format_bytes, format_origin, format_shape
from microframe.version import __version__

ORIGIN = ["microframe", __version__]


def summary(dtype="float32"):
    layers = [
        Flatten(),
        Standardize(),
        Dense(1000, "relu", name="wide"),
        Dense(1000, name="other", inputs=("standardize_1",)),
        Add(inputs=("wide", "other")),
    ]
    return Summary.of(Network(layers, (4, 2), dtype))


def test_a_row_for_each_layer_says_what_it_is_reads_and_holds():
    rows = {row.name: row for row in summary().rows}
    assert list(rows) == ["flatten_1", "standardize_1", "wide", "other", "add_1"]
    wide = rows["wide"]
    assert (wide.type, wide.inputs, wide.output_shape) == ("dense", ("standardize_1",), (1000,))
    assert (wide.parameters, wide.state) == (9000, 0)
    assert wide.provider == f"standard (microframe {__version__})"
    assert wide.origin == f"microframe {__version__}"
    assert rows["flatten_1"].inputs == ("input",)
    assert rows["add_1"].inputs == ("wide", "other")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_totals_are_those_of_the_network(dtype):
    network = Network([BatchNorm(), Dense(3)], (5,), dtype)
    total = Summary.of(network)
    assert total.parameters == network.parameters.size == 2 * 5 + 6 * 3
    assert total.state == sum(array.size for array in network.state["batch_norm_1"].values())
    assert total.bytes == (total.parameters + total.state) * np.dtype(dtype).itemsize
    assert total.input_shape == (5,)


def test_it_prints_as_a_table():
    lines = str(summary()).splitlines()
    assert lines[0].split() == ["layer", "type", "inputs", "output", "shape", "parameters", "from"]
    assert set(lines[1]) == {"-"}
    assert lines[2].split() == ["input", "(batch,", "4,", "2)"]
    assert lines[5].split() == ["wide", "dense", "standardize_1", "(batch,", "1000)", "9,000", *ORIGIN]
    assert lines[7].split() == ["add_1", "add", "wide,", "other", "(batch,", "1000)", "0", *ORIGIN]
    state = summary().state
    assert lines[8] == f"18,000 parameters, {state} fitted values, {format_bytes(4 * (18_000 + state))}"
    assert len(lines) == 9
    column = lines[0].index("output shape")
    assert all(line[column - 2 : column] == "  " for line in lines[2:8]), "columns are aligned"
    assert repr(summary()) == str(summary())


def test_values_that_no_layer_fits_are_not_mentioned():
    assert Summary.of(Network([Dense(1)], (1,))).total() == "2 parameters, 8 bytes"


def test_it_is_a_table_in_a_notebook():
    table = summary()._repr_html_()
    assert table.count("<tr>") == 7
    assert "<th>output shape</th>" in table
    assert "<td>(batch, 1000)</td>" in table
    assert "<th>from</th>" in table
    assert table.count(f"<td>microframe {__version__}</td>") == 5
    assert table.endswith(f"<p>{summary().total()}</p>")


class Twice(Layer):
    """2 x."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return 2 * x

    def backward(self, ctx, dy):
        return 2 * dy


def test_a_layer_that_is_not_standard_says_whose_it_is(monkeypatch):
    monkeypatch.setattr("microframe.summary.registry", Registry())
    microframe.summary.registry.register(Twice)
    (twice, dense) = Summary.of(Network([Twice(), Dense(1)], (1,))).rows
    assert (twice.origin, dense.origin) == ("local", f"microframe {__version__}")


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        (("standard", "microframe", "1.0"), "microframe 1.0"),
        (("swish", "microframe-swish", "1.0"), "swish (microframe-swish 1.0)"),
        (("local", None, None), "local"),
    ],
)
def test_an_origin_is_narrow(provider, text):
    assert format_origin(*provider) == text


def test_a_shape_shows_the_batch():
    assert format_shape(()) == "(batch)"
    assert format_shape((8, 8, 3)) == "(batch, 8, 8, 3)"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (12_345, "12.3 kB"), (5e6, "5 MB"), (2.5e9, "2.5 GB")],
)
def test_sizes_are_readable(count, text):
    assert format_bytes(count) == text
