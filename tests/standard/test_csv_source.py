from __future__ import annotations

import numpy as np
import pytest

from microframe import DataError
from microframe.standard.sources import CSV


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current directory, so that messages name files without it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(source):
    with pytest.raises(DataError) as caught:
        source.load()
    return str(caught.value)


def test_csv_gives_inputs_and_text_labels_with_names(folder):
    (folder / "iris.csv").write_text("length,width,species\n5.1,3.5,setosa\n6.2,2, virginica \n")
    data = CSV("iris.csv", target="species").load()
    np.testing.assert_array_equal(data.inputs, [[5.1, 3.5], [6.2, 2]])
    assert data.inputs.dtype == np.float64
    assert data.target.dtype.kind == "U"
    assert data.target.tolist() == ["setosa", "virginica"]
    assert data.feature_names == ("length", "width")
    assert data.target_names == ("species",)
    assert data.missing == "error"


def test_csv_without_a_header_has_no_names(folder):
    (folder / "data.csv").write_text("1,2,3\n4,5,6\n")
    data = CSV("data.csv", target=0).load()
    np.testing.assert_array_equal(data.inputs, [[2, 3], [5, 6]])
    assert data.feature_names is None
    assert data.target_names is None


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-2"], np.int64, [1, -2]),
        (["1", "2.5"], np.float64, [1, 2.5]),
        (["1", "1e3"], np.float64, [1, 1000]),
        (["1", str(10**20)], np.float64, [1, 1e20]),
        ([" 1 ", "0"], np.int64, [1, 0]),
        (["0.5", "-0"], np.float64, [0.5, 0]),
        (["+1", "2"], np.float64, [1, 2]),
        (["007", "8"], np.dtype("U3"), ["007", "8"]),
        ([" -01", "2"], np.dtype("U3"), ["-01", "2"]),
        (["00.5", "1.5"], np.dtype("U4"), ["00.5", "1.5"]),
        (["1", "1_0"], np.dtype("U3"), ["1", "1_0"]),
    ],
)
def test_csv_targets_are_numbers_where_all_are(folder, cells, dtype, values):
    (folder / "data.csv").write_text("x,y\n" + "".join(f"0,{cell}\n" for cell in cells))
    target = CSV("data.csv", target="y").load().target
    assert target.dtype == dtype
    assert target.tolist() == values


def test_csv_several_targets_are_columns_of_numbers(folder):
    (folder / "data.csv").write_text("a,b,c\n1,2,3\n4,5,6\n")
    data = CSV("data.csv", target=("c", 0)).load()
    np.testing.assert_array_equal(data.target, [[3, 1], [6, 4]])
    assert data.target_names == ("c", "a")
    assert data.feature_names == ("b",)
    assert CSV("data.csv", target=("c",)).load().target.shape == (2, 1)
    assert CSV("data.csv", target="c").load().target.shape == (2,)


def test_csv_says_how_its_table_was_read(folder):
    (folder / "data.csv").write_text("1;2\n3;4\n")
    assert CSV("data.csv", target=1, delimiter=";", header=False).load().delimiter == ";"
    (folder / "data.csv").write_text("1,2\n3,4\n")
    assert CSV("data.csv").load().delimiter == ","


def test_csv_features_can_be_chosen_and_ordered(folder):
    (folder / "data.csv").write_text("a,b,c,note\n1,2,3,x\n4,5,6,y\n")
    data = CSV("data.csv", target="b", features=("c", 0)).load()
    np.testing.assert_array_equal(data.inputs, [[3, 1], [6, 4]])
    assert data.feature_names == ("c", "a")


def test_csv_without_a_target(folder):
    (folder / "data.csv").write_text("a,b\n1,2\n")
    data = CSV("data.csv").load()
    assert data.target is None
    assert data.target_names is None
    assert data.inputs.shape == (1, 2)


def test_csv_rows_are_counted_below_the_header(folder):
    (folder / "data.csv").write_text("a,y\n0,a\n1,b\n2,c\n3,x\n")
    data = CSV("data.csv", target="y", rows=(1, 3)).load()
    assert data.inputs[:, 0].tolist() == [1, 2]
    assert data.target.tolist() == ["b", "c"]
    assert error_of(CSV("data.csv", rows=(0, 5))) == "data.csv: expected at least 5 rows, received 4"


def test_csv_missing_inputs_are_an_error_or_nan(folder):
    (folder / "data.csv").write_text("a,b,y\n1,2,3\n,NA,4\n")
    assert error_of(CSV("data.csv", target="y")) == (
        "data.csv: line 3, column 'a': expected a number, received an empty cell"
    )
    data = CSV("data.csv", target="y", missing="mean").load()
    np.testing.assert_array_equal(data.inputs, [[1, 2], [np.nan, np.nan]])
    assert data.missing == "mean"


def test_csv_a_column_without_any_value_has_no_mean(folder):
    (folder / "data.csv").write_text("a,b\n1,\n2,NA\n")
    assert error_of(CSV("data.csv", missing="mean")) == "data.csv: column 'b': expected some value, received none"


@pytest.mark.parametrize("missing", ["error", "mean"])
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "expected a target, received an empty cell"),
        ("NaN", "expected a target, received 'NaN'"),
        ("inf", "expected a finite number, received 'inf'"),
    ],
)
def test_csv_targets_must_be_there_and_finite(folder, missing, cell, message):
    (folder / "data.csv").write_text(f"a,y\n1,2\n2,{cell}\n")
    assert error_of(CSV("data.csv", target="y", missing=missing)) == f"data.csv: line 3, column 'y': {message}"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "data.csv: line 2, column 'kind': expected a number, received 'red'"),
        ({"target": "knid"}, "data.csv: there is no column 'knid' (did you mean 'kind'?); it has 'a', 'b', 'kind'"),
        ({"target": 3}, "data.csv: there is no column 3; it has 3, counted from 0"),
        ({"target": ("a", "kind")}, "data.csv: line 2, column 'kind': expected a number, received 'red'"),
        ({"target": "a", "features": ("b", 0)}, "data.csv: column 'a' is both a feature and a target"),
        ({"features": ("b", 1)}, "data.csv: column 'b' is asked for more than once"),
        ({"target": ("b", -2)}, "data.csv: column 'b' is asked for more than once"),
        ({"target": (0, 1, 2)}, "data.csv: expected at least one column of inputs, received targets only"),
    ],
)
def test_csv_columns_that_cannot_be_used(folder, fields, message):
    (folder / "data.csv").write_text("a,b,kind\n1,2,red\n")
    assert error_of(CSV("data.csv", **fields)) == message
