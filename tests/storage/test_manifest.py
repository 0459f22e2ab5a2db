from __future__ import annotations

import functools
import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microframe.storage import manifest
from microframe.storage.codes import Refused
from microframe.storage.manifest import Tensor, check_fields, count_levels, decode, encode, finite, restored

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def code_of(text):
    with pytest.raises(Refused) as error:
        decode(text)
    assert error.value.where == "/manifest"
    return str(error.value.code)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_what_is_encoded_is_decoded(values):
    again = decode(encode(values))
    assert repr(again) == repr(dict(sorted(values.items()))) or again == values
    assert encode(again) == encode(values)


def test_equal_values_have_one_text():
    text = encode({"b": [1, 2.5, -0.0, 1e22], "a": {"ü": None, "": True}})
    assert text == b'{"a":{"":true,"\\u00fc":null},"b":[1,2.5,-0.0,1e+22]}'
    assert encode(decode(text)) == text


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_are_not_encoded(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"number": number})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "E_MANIFEST_TEXT"),
        (b"{", "E_MANIFEST_TEXT"),
        (b"{}}", "E_MANIFEST_TEXT"),
        (b"{}\0", "E_MANIFEST_TEXT"),
        (b"{'a':1}", "E_MANIFEST_TEXT"),
        (b'{"a":1,}', "E_MANIFEST_TEXT"),
        (b'{"a":"\n"}', "E_MANIFEST_TEXT"),
        (b'{"a":"\\x"}', "E_MANIFEST_TEXT"),
        (b'{"a":01}', "E_MANIFEST_TEXT"),
        (b"\xff\xfe", "E_MANIFEST_TEXT"),
        (b"\xef\xbb\xbf{}", "E_MANIFEST_TEXT"),
        ('{"a":"ü"}'.encode(), "E_MANIFEST_TEXT"),
        (b'{"a":"\xc0\xaf"}', "E_MANIFEST_TEXT"),
        ('{"a":"\udcff"}'.encode("utf-8", "surrogatepass"), "E_MANIFEST_TEXT"),
        ("{}".encode("utf-16"), "E_MANIFEST_TEXT"),
        (b"[]", "E_MANIFEST_FIELD"),
        (b"3", "E_MANIFEST_FIELD"),
        (b"null", "E_MANIFEST_FIELD"),
        (b'"a"', "E_MANIFEST_FIELD"),
        (b"[" * 100_000, "E_MANIFEST_DEPTH"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "E_MANIFEST_DEPTH"),
        (b'{"a":1,"a":1}', "E_MANIFEST_KEY"),
        (b'{"a":{"b":1,"c":2,"b":3}}', "E_MANIFEST_KEY"),
        (b'{"a":1,"\\u0061":1}', "E_MANIFEST_KEY"),
        (b'{"a":NaN}', "E_MANIFEST_NUMBER"),
        (b'{"a":Infinity}', "E_MANIFEST_NUMBER"),
        (b'{"a":-Infinity}', "E_MANIFEST_NUMBER"),
        (b'{"a":1e999}', "E_MANIFEST_NUMBER"),
        (b'{"a":-1e309}', "E_MANIFEST_NUMBER"),
        (b'{"a":1' + b"0" * 100 + b"}", "E_MANIFEST_NUMBER"),
        (b'{"a":1' + b"0" * 100_000 + b"}", "E_MANIFEST_NUMBER"),
        (b'{"a": 1}', "E_MANIFEST_CANONICAL"),
        (b'{"a":1}\n', "E_MANIFEST_CANONICAL"),
        (b'{"b":1,"a":1}', "E_MANIFEST_CANONICAL"),
        (b'{"a":1.10}', "E_MANIFEST_CANONICAL"),
        (b'{"a":1e2}', "E_MANIFEST_CANONICAL"),
        (b'{"a":-0}', "E_MANIFEST_CANONICAL"),
        (b'{"a":0.1000000000000000055}', "E_MANIFEST_CANONICAL"),
        (b'{"a":1e-400}', "E_MANIFEST_CANONICAL"),
        (b'{"a":"\\u0062"}', "E_MANIFEST_CANONICAL"),
        (b'{"a":"\\u00FC"}', "E_MANIFEST_CANONICAL"),
        (b'{"a":"\\/"}', "E_MANIFEST_CANONICAL"),
    ],
)
def test_other_texts_are_refused(text, code):
    assert code_of(text) == code


def nested(levels):
    """An object of so many levels."""
    return functools.reduce(lambda inner, _: {"a": inner}, range(levels - 1), {})


def test_as_many_levels_are_taken_as_are_promised_and_no_more():
    assert decode(encode(nested(64))) == nested(64)
    assert code_of(encode(nested(65))) == "E_MANIFEST_DEPTH"


def levels(value):
    """How deeply lists and objects are nested in `value`, itself included."""
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(levels, value.values() if isinstance(value, dict) else value), default=0)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.text('[]{}"\\a', max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_the_levels_are_seen_in_the_bytes_and_brackets_in_texts_are_none(value):
    text = json.dumps(value, separators=(",", ":")).encode()
    assert count_levels(text) == levels(value)


def test_texts_may_hold_as_many_brackets_as_they_like():
    values = {"a": "[" * 100, "b\\": '"' + "{" * 100}
    assert decode(encode(values)) == values


@pytest.mark.parametrize("text", [b'{"a":[', b'{"a":', b'{"\\\\":['], ids=["lists", "objects", "below a backslash"])
def test_a_text_that_is_nested_too_deeply_is_never_parsed(text, monkeypatch):
    """Where a program has raised Python's limit on recursion, that would overflow the stack."""
    monkeypatch.setattr(json, "loads", lambda *_, **__: pytest.fail("it was parsed"))
    assert code_of(text * 10**6) == "E_MANIFEST_DEPTH"


def test_as_many_digits_are_taken_as_are_promised_and_no_more():
    assert decode(b'{"a":-' + b"9" * 99 + b"}") == {"a": 1 - 10**99}
    assert code_of(b'{"a":-' + b"9" * 100 + b"}") == "E_MANIFEST_NUMBER"


def test_a_key_that_stands_twice_among_very_many_is_found_at_once():
    names = ",".join(f'"{number}":0' for number in range(200_000))
    assert code_of(f'{{{names},"199999":0}}'.encode()) == "E_MANIFEST_KEY"


class Example(msgspec.Struct, forbid_unknown_fields=True):
    count: int
    share: float = 0.0
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"count": True},
        {"count": 1.0},
        {"count": "1"},
        {"count": None},
        {"count": 1, "share": True},
        {"count": 1, "share": "0.5"},
        {"count": 1, "names": "ab"},
        {"count": 1, "names": [1]},
        {"count": 1, "other": 1},
    ],
)
def test_nothing_is_converted_to_the_type_of_a_field(values):
    with pytest.raises(Refused) as error:
        check_fields(values, Example)
    assert (error.value.code, error.value.where) == ("E_MANIFEST_FIELD", "/manifest")


def test_fields_of_their_types_are_taken():
    assert check_fields({"count": 1, "share": 1, "names": ["a"]}, Example) == Example(1, 1.0, ("a",))
    entry = {"dtype": "<f4", "shape": [2, 3], "sha256": "00"}
    assert check_fields(entry, Tensor) == Tensor("<f4", (2, 3), "00")


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_numbers_that_json_lacks_survive_it(value):
    text = json.dumps(finite(value), allow_nan=False)
    assert repr(restored(json.loads(text))) == repr(value)


@pytest.mark.parametrize("value", ["1", "NaN", "Infinity", "", 5, None, [], {}])
def test_an_object_that_stands_for_no_number_is_refused(value):
    with pytest.raises(Refused) as error:
        restored([{manifest.NUMBER_KEY: value}])
    assert error.value.code == "E_MANIFEST_NUMBER"
