from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe import DataError
from microframe.tables import Match, Table, match_columns, numeric_columns, read_table


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def error_of(function, *arguments, **named):
    with pytest.raises(DataError) as caught:
        function(*arguments, **named)
    return str(caught.value)


def test_a_table_has_names_columns_and_the_lines_of_its_rows(write):
    table = read_table(write("a,b\n1,x\n2,y\n"))
    assert table.names == ("a", "b")
    assert [list(column) for column in table.columns] == [["1", "2"], ["x", "y"]]
    assert list(table.lines) == [2, 3]
    assert len(table) == 2


@pytest.mark.parametrize(
    ("content", "has_header"),
    [
        ("a,b\n1,2\n", True),
        ("1,2\n3,4\n", False),
        ("1,NA\n3,4\n", False),
        ("a,2020\n1,2\n", True),
        ("name,kind\nx,y\n", True),
        ("5.1,setosa\n4.9,setosa\n", False),
        ("1,2\n", False),
        ("1,setosa\n", False),
        (",a,b\n0,1,2\n", True),
    ],
)
def test_a_header_is_recognised(write, content, has_header):
    assert (read_table(write(content)).names is not None) == has_header


def test_a_header_can_be_declared_or_denied(write):
    assert read_table(write("1,2\n3,4\n"), header=True).names == ("1", "2")
    assert read_table(write("a,b\nc,d\n"), header=False).names is None


@pytest.mark.parametrize(
    ("first", "has_header"),
    [
        ("0,1,2", True),
        ("2, 1,0", True),
        ("1,0", True),
        ("0,2", False),
        ("0,1,3", False),
        ("0,1,2,3", False),
        ("0,1.0,2", False),
    ],
)
@pytest.mark.parametrize("header", ["auto", False])
def test_a_row_of_the_names_that_are_looked_for_is_a_header(write, first, has_header, header):
    content = f"{first}\n{','.join('5' * len(first.split(',')))}\n"
    table = read_table(write(content), header=header, feature_names=("0", "1"), target_names=("2",))
    assert len(table) == 2 - has_header
    assert table.names == (tuple(name.strip() for name in first.split(",")) if has_header else None)


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_delimiters(write, delimiter):
    table = read_table(write(f"a{delimiter}b\n1{delimiter}2\n"), delimiter=delimiter)
    assert table.names == ("a", "b")


def test_quoted_cells_may_hold_delimiters_and_line_breaks_and_empty_lines_are_skipped(write):
    path = write('a,"b, c"\r\n\r\n1,"two\r\nlines"\r\n"3", "say ""x"""\r\nfour,5\r\n')
    table = read_table(path)
    assert table.names == ("a", "b, c")
    assert list(table.columns[1]) == ["two\r\nlines", 'say "x"', "5"]
    assert list(table.lines) == [3, 5, 6]
    assert error_of(numeric_columns, table, ["a"]).startswith(f"{path}: line 6, column 'a': ")


@given(st.lists(st.tuples(*[st.text(alphabet=st.characters(blacklist_categories=["Cs"]))] * 2), min_size=1))
def test_what_the_csv_module_writes_is_read_back(rows):
    import csv

    stream = io.StringIO(newline="")
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows(rows)
    table = read_table(io.BytesIO(stream.getvalue().encode()), header=False)
    assert list(zip(*table.columns, strict=True)) == rows


def test_a_byte_order_mark_is_not_part_of_a_name(write):
    assert read_table(write("\ufeffa,b\n1,2\n")).names == ("a", "b")
    assert read_table(io.StringIO("\ufeffa,b\n1,2\n")).names == ("a", "b")


def test_streams_are_read_and_named():
    stream = io.BytesIO(b"a\n1\nx\n")
    stream.name = "<stdin>"
    assert error_of(numeric_columns, read_table(stream), [0]).startswith("<stdin>: line 3, column 'a'")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file(write, content):
    path = write(content)
    assert error_of(read_table, path) == f"{path}: the file is empty"


def test_a_header_alone(write):
    path = write("a,b\n")
    assert error_of(read_table, path) == f"{path}: there is no row below the header"


def test_a_file_that_is_not_there_or_not_a_file(tmp_path):
    assert error_of(read_table, tmp_path / "no.csv") == f"{tmp_path / 'no.csv'}: there is no such file"
    assert error_of(read_table, tmp_path) == f"{tmp_path}: cannot be read: Is a directory"


@pytest.mark.parametrize(("row", "cells"), [("3", 1), ("3,4,5", 3)])
def test_a_row_of_another_length(write, row, cells):
    path = write(f"a,b\n1,2\n\n{row}\n")
    assert error_of(read_table, path) == f"{path}: line 4: expected 2 cells as above, received {cells}"


def test_names_that_repeat(write):
    path = write("a, b,a,b,c\n1,2,3,4,5\n")
    expected = f"{path}: line 1: expected a name of its own for each column, received more than one 'a', 'b'"
    assert error_of(read_table, path) == expected


def test_text_that_is_not_utf_8(write):
    path = write("a,b\n1,é\n".encode("latin-1"))
    assert error_of(read_table, path) == f"{path}: line 2: expected text in UTF-8, received the byte 0xe9"


def test_a_quote_that_is_never_closed(write):
    path = write('a,b\n1,2\n"3,4\n5,6\n')
    assert error_of(read_table, path).startswith(f"{path}: line 3: ")


def test_numbers_come_in_the_order_asked_for(write):
    table = read_table(write("a,b,c\n1, 2.5e3 ,x\n-3,.5,y\n"))
    numbers = numeric_columns(table, ["b", 0, -2])
    assert numbers.dtype == np.float64
    np.testing.assert_array_equal(numbers, [[2500, 1, 2500], [0.5, -3, 0.5]])


@pytest.mark.parametrize("cell", ["abc", "1_000", "0x10", "1,5", "True", "1 2"])
def test_a_cell_that_is_not_a_number(write, cell):
    path = write(f'age;"body mass"\n1;2\n3;{cell}\n', name="people.csv")
    table = read_table(path, delimiter=";")
    expected = f"{path}: line 3, column 'body mass': expected a number, received {cell!r}"
    assert error_of(numeric_columns, table, [0, 1]) == expected
    assert error_of(numeric_columns, table, [0, 1], "mean") == expected


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
@pytest.mark.parametrize("missing", ["error", "mean"])
def test_a_cell_that_is_not_finite(write, cell, missing):
    path = write(f"1\n{cell}\n\n")
    expected = f"{path}: line 2, column 0 (from 0): expected a finite number, received {cell!r}"
    assert error_of(numeric_columns, read_table(path, header=False), [0], missing) == expected


@pytest.mark.parametrize("cell", ["", " ", "NA", "NaN", "nan", "null", " NULL "])
def test_a_missing_cell_is_an_error_or_nan(write, cell):
    path = write(f"a,b\n1,2\n{cell},4\n")
    table = read_table(path)
    received = repr(cell.lstrip(" ")) if cell.strip() else "an empty cell"
    expected = f"{path}: line 3, column 'a': expected a number, received {received}"
    assert error_of(numeric_columns, table, ["a", "b"]) == expected
    np.testing.assert_array_equal(numeric_columns(table, ["a", "b"], "mean"), [[1, 2], [np.nan, 4]])


def test_a_column_that_is_not_there(write):
    named = read_table(write("age,mass\n1,2\n", "named.csv"))
    assert error_of(named.column, "agee").endswith(
        "named.csv: there is no column 'agee' (did you mean 'age'?); it has 'age', 'mass'"
    )
    assert error_of(named.column, 2).endswith("named.csv: there is no column 2; it has 2, counted from 0")
    unnamed = read_table(write("1,2\n", "unnamed.csv"))
    assert error_of(unnamed.column, "age").endswith("(it has no header), received 'age'")


def table_of(*names, width=0):
    width = len(names) or width
    return Table("new.csv", names or None, [("1",)] * width, [2])


def test_columns_are_matched_by_name_in_the_order_of_the_model():
    assert match_columns(table_of("b", "a"), ["a", "b"], ["y"]) == Match([1, 0], [])
    assert match_columns(table_of("b", "y", "a"), ["a", "b"], ["y"]) == Match([2, 0], [1])


def test_some_of_several_targets_count_as_none():
    assert match_columns(table_of("a", "y"), ["a"], ["y", "z"]) == Match([0], [])


def test_every_column_that_is_missing_or_unknown_is_named():
    message = error_of(
        match_columns, table_of("sepal_lenght", "c", "petal_width"), ["sepal_length", "petal_width", "b"]
    )
    assert message == (
        "new.csv: 2 columns missing: 'sepal_length' (did you mean 'sepal_lenght'?), 'b'; "
        "2 columns unknown to the model: 'sepal_lenght', 'c'"
    )
    assert error_of(match_columns, table_of("a"), ["a", "b"]) == "new.csv: 1 column missing: 'b'"
    assert error_of(match_columns, table_of("a", "b"), ["a"]) == "new.csv: 1 column unknown to the model: 'b'"


def test_of_many_columns_ten_are_named():
    names = [f"p{number}" for number in range(130)]
    ten = ", ".join(map(repr, names[:10]))
    message = error_of(match_columns, table_of("x"), names)
    assert message == f"new.csv: 130 columns missing: {ten} and 120 more; 1 column unknown to the model: 'x'"
    message = error_of(match_columns, table_of("x", *names), ["x"])
    assert message == f"new.csv: 130 columns unknown to the model: {ten} and 120 more"
    assert error_of(table_of(*names).column, "x").endswith(f"; it has {ten} and 120 more")


@pytest.mark.parametrize(("delimiter", "name"), [(";", "';'"), ("\t", "tab")])
@pytest.mark.parametrize("features", [["a", "b"], 2])
def test_a_table_that_was_not_split_hints_at_its_delimiter(delimiter, name, features):
    hint = f"; it has a single column, with {name} in it: is that the delimiter (--delimiter, or that of the source)?"
    assert error_of(match_columns, table_of(f"a{delimiter}b"), features).endswith(hint)
    assert error_of(table_of(f"a{delimiter}b").column, "a").endswith(hint)
    assert "delimiter" not in error_of(match_columns, table_of("x"), features)
    assert "delimiter" not in error_of(match_columns, table_of(f"a{delimiter}b", "c", "d", "e"), features)


@pytest.mark.parametrize("features", [["a", "b"], 2])
@pytest.mark.parametrize("targets", [["y"], 1])
def test_without_a_header_columns_are_matched_by_position(features, targets):
    assert match_columns(table_of(width=2), features, targets) == Match([0, 1], [])
    assert match_columns(table_of(width=3), features, targets) == Match([0, 1], [2])
    message = error_of(match_columns, table_of(width=4), features, targets)
    assert message == "new.csv: expected 2 columns (or 3, with the target), received 4"


def test_without_a_header_targets_stand_where_the_training_table_had_them():
    assert match_columns(table_of(width=3), 2, 1, target_columns=[0]) == Match([1, 2], [0])
    assert match_columns(table_of(width=2), 2, 1, target_columns=[0]) == Match([0, 1], [])
    assert match_columns(table_of(width=3), 2, 1, target_columns=[7]) == Match([0, 1], [2])


def test_a_model_without_names_takes_columns_by_position():
    assert match_columns(table_of("p", "q"), 2) == Match([0, 1], [])
    assert error_of(match_columns, table_of("p"), 2) == "new.csv: expected 2 columns, received 1"
