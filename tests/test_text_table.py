from __future__ import annotations

import pytest

from microframe.text_table import display_width, format_table


def lines(head, *rows):
    return format_table(head, rows).splitlines()


def test_text_stands_to_the_left_and_numbers_to_the_right_below_a_rule():
    assert lines(["name", "count", "share"], ["a", "1,000", "0.5"], ["longer", "7", ""], ["", "nan", "-1e-05"]) == [
        "name    count   share",
        "---------------------",
        "a       1,000     0.5",
        "longer      7",
        "          nan  -1e-05",
    ]


def test_a_column_with_a_word_among_its_numbers_is_text():
    assert lines(["x"], ["10"], ["two"], ["3"])[2:] == ["10", "two", "3"]


def test_without_rows_there_are_head_and_rule():
    assert lines(["a", "bc"]) == ["a  bc", "-----"]


def test_nothing_is_cut_however_wide():
    long = "x" * 500
    assert lines(["name", "y"], [long, "1"])[2] == f"{long}  1"


def test_characters_of_two_places_and_of_none_are_aligned():
    table = lines(["name", "n"], ["木", "1"], ["e\u0301", "2"], ["abcd", "3"])
    assert table[2:] == ["木    1", "e\u0301     2", "abcd  3"]
    assert {display_width(line) for line in table} == {7}


def test_what_would_disturb_the_lines_is_escaped():
    assert lines(["name"], ["a\nb\x1b[31m"])[2] == "a\\nb\\x1b[31m"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="expected 2 cells in each row"):
        format_table(["a", "b"], [["1", "2"], ["1"]])


def test_a_long_table_is_whole():
    rows = [[str(number), "oak", f"{number / 7:.4g}"] for number in range(200_000)]
    table = format_table(["row", "tree", "value"], rows)
    assert table.count("\n") == 200_001
