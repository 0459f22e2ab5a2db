from hypothesis import given
from hypothesis import strategies as st

from microframe.printable import printable


def test_what_would_do_something_to_a_terminal_is_shown_instead():
    assert printable("good\n\x1b[2K\u202e") == r"good\n\x1b[2K\u202e"
    assert printable(r"Größe C:\new") == r"Größe C:\new"


@given(st.text(), st.integers(3, 50))
def test_it_is_one_line_of_at_most_so_many_characters(text, most):
    shown = printable(text, most)
    assert shown.isprintable()
    assert len(shown) <= most


def test_what_is_cut_says_so_and_nothing_is_cut_unasked():
    assert printable("x" * 101) == "x" * 97 + "..."
    assert printable("x" * 1000, most=None) == "x" * 1000
