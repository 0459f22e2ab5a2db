from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.docstrings import describe_fields, docstring_of, split_docstring
from microframe.interfaces import Activation
from microframe.registry import KINDS, registry
from microframe.standard.layers import Dense
from microframe.standard.metrics import Precision
from microframe.standard.optimizers import AdamW, Nadam

WHOLE = """A summary.

    A paragraph
    of two lines.

    Fields of each (keyword only):
        rate: the probability, 0 <= rate < 1; see `other`: it matters,
            and goes on here
        as it does here.
        start, stop: the first and the last x.
        mode: ``"a"``: one;
            ``"b"``: another.

    Shapes: (batch, ...) -> the same.

    Raises:
        ValueError: sometimes.
"""


def test_the_section_on_fields_is_taken_apart_and_the_rest_kept():
    body, fields = split_docstring(WHOLE)
    assert fields == {
        "rate": "the probability, 0 <= rate < 1; see `other`: it matters, and goes on here as it does here.",
        "start": "the first and the last x.",
        "stop": "the first and the last x.",
        "mode": '`"a"`: one; `"b"`: another.',
    }
    paragraphs = body.split("\n\n")
    assert paragraphs[:3] == ["A summary.", "A paragraph\nof two lines.", "Shapes: (batch, ...) -> the same."]
    assert paragraphs[3:] == ["Raises:\n    ValueError: sometimes."]


@pytest.mark.parametrize(
    "text", ["", "A summary.", "Fields that lie fallow are no section.", "A summary.\n\n    Raises:\n        E: x."]
)
def test_a_docstring_without_the_section_stays_as_it_is(text):
    body, fields = split_docstring(text)
    assert fields == {}
    assert body == inspect.cleandoc(text)


@pytest.mark.parametrize("section", ["Fields: see `Base`.", "Fields:", "Fields:\n\nAnother paragraph."])
def test_a_section_without_entries_says_nothing_of_any_field(section):
    body, fields = split_docstring(f"A summary.\n\n{section}")
    assert fields == {}
    assert "Fields" not in body


def test_paragraphs_within_the_section_belong_to_it():
    body, fields = split_docstring("Summary.\n\nFields:\n    a: one.\n\n    b: two.\n\nMore.")
    assert fields == {"a": "one.", "b": "two."}
    assert body == "Summary.\n\nMore."


def test_a_line_above_the_first_entry_is_no_field():
    assert split_docstring("Summary.\n\nFields:\n    what follows\n    a: one.")[1] == {"a": "one."}


NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
TEXTS = st.text("abc xyz.,;()<=>", min_size=1).map(lambda text: " ".join(text.split())).filter(bool)


@given(st.dictionaries(NAMES, TEXTS, min_size=1), TEXTS)
def test_what_was_written_is_read_again(fields, summary):
    section = "".join(f"        {name}: {text}\n" for name, text in fields.items())
    assert split_docstring(f"{summary}\n\n    Fields:\n{section}    ") == (summary, fields)


def test_inherited_fields_are_described_by_the_base():
    texts = describe_fields(Dense)
    assert texts["units"] == "the number of outputs."
    assert texts["name"].startswith("how other layers and the model file refer to it")
    assert describe_fields(Precision)["average"].startswith('`"macro"`: the mean over the classes')


def test_what_a_field_is_for_comes_before_a_default_alone():
    assert describe_fields(Nadam)["learning_rate"].startswith("the step length")
    assert describe_fields(AdamW)["weight_decay"].startswith("decoupled decay")
    assert describe_fields(Nadam)["epsilon"] == "default 1e-7.", "where no class says more"


def test_a_class_has_the_word_before_its_base():
    class Base(Activation):
        """A base.

        Fields:
            slope: of the base.
        """

        slope: float = 1.0

    class Derived(Base):
        """Derived.

        Fields:
            slope: of the derived one.
        """

    assert describe_fields(Base)["slope"] == "of the base."
    assert describe_fields(Derived)["slope"] == "of the derived one."


def test_a_docstring_that_nobody_wrote_is_none():
    class Bare(Activation):
        slope: float = 1.0

    class Said(Activation):
        """Said(x) is x."""

    assert docstring_of(Bare) == ""
    assert docstring_of(Said) == "Said(x) is x."


@pytest.mark.parametrize("kind", KINDS)
def test_no_standard_part_describes_a_field_that_it_does_not_have(kind):
    for name in registry.standard_names(kind):
        part = registry.get(kind, name)
        assert describe_fields(part).keys() <= {field.name for field in part.fields()}
        assert split_docstring(docstring_of(part))[0], part
