"""The manifest: everything in a model file but the tensors, as canonical JSON.

Canonical is one way to write each value: keys sorted, no white space, ASCII with escapes, the shortest digits that give
a float back. So equal models have equal manifests, and a text that is not what it would be written as is refused.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec
import numpy as np

from microframe.storage.codes import Code, Refused

MOST_BYTES = 64 * 2**20
"""What a manifest may have; those of large models have thousands."""
MOST_VALUES = 2**21
"""How many values it may have: commas and opening brackets, as few bytes of them would take much memory."""
MOST_LEVELS = 64
"""How deeply it may be nested."""
MOST_DIGITS = 100
"""What a whole number in it may be written with, its sign included."""
NUMBER_KEY = "$float"
"""The only key of an object that stands for a number that JSON has no word for: ``{"$float": "inf"}``."""
_ODD_NUMBERS = ("inf", "-inf", "nan")

_NO_MARKS = bytes(set(range(256)).difference(b'[]{}"'))
"""What may be left out to see how JSON is nested."""
_STEPS = bytes.maketrans(b'[]{}"', np.array([1, -1, 1, -1, 0], np.int8).tobytes())
"""By how many levels each of the marks goes down in nested lists and objects, and 0 for what texts are in."""

_WHERE = "/manifest"


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of the table of tensors.

    Attributes:
        dtype: ``"<f4"``, ``"<f8"``, ``"|u1"`` or ``"<i8"``, as it is stored.
        shape: its shape.
        sha256: the digest of its bytes, in hexadecimal.
        original: the NumPy name of the dtype that the array had, where the file has no such type.
    """

    dtype: str
    shape: tuple[int, ...]
    sha256: str
    original: str | None = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """What they take."""
        return self.size * np.dtype(self.dtype).itemsize


def encode(values: Mapping[str, Any]) -> bytes:
    """`values`, plain JSON values with finite numbers, as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def count_values(data: bytes) -> int:
    """How many values canonical JSON has at most: those in texts that look like some are counted as well."""
    return sum(map(data.count, (b",", b"[", b"{")))


def count_levels(data: bytes) -> int:
    """How deeply lists and objects are nested in JSON; of another text, as far as it is JSON, at least that."""
    # without pairs of backslashes, a backslash before a quotation mark is one that escapes it
    marks = data.replace(rb"\\", b"").replace(rb"\"", b"").translate(_STEPS, _NO_MARKS)
    steps = np.frombuffer(marks, np.int8)
    is_inside_text = np.logical_xor.accumulate(steps == 0)
    return int(np.cumsum(steps[~is_inside_text], dtype=np.int32).max(initial=0))


def decode(data: bytes) -> dict[str, Any]:
    """The values of a manifest.

    Raises:
        Refused: the text is not one that `encode` writes.
    """
    if count_values(data) > MOST_VALUES:
        raise Refused(Code.MANIFEST_SIZE, _WHERE, f"more than {MOST_VALUES} values")
    if count_levels(data) > MOST_LEVELS:  # before it is parsed, as each level takes some of the stack
        raise Refused(Code.MANIFEST_DEPTH, _WHERE, f"lists or objects more than {MOST_LEVELS} levels deep")
    try:
        values = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_distinct,
            parse_constant=_refuse_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError as error:
        raise Refused(Code.MANIFEST_TEXT, _WHERE, f"a byte that is not ASCII, at {error.start}") from error
    except ValueError as error:
        raise Refused(Code.MANIFEST_TEXT, _WHERE, f"no JSON ({error})") from error
    if not isinstance(values, dict):
        raise Refused(Code.MANIFEST_FIELD, _WHERE, f"{type(values).__name__} where an object should be")
    if encode(values) != data:
        raise Refused(Code.MANIFEST_CANONICAL, _WHERE, "JSON that is not in its canonical form")
    return values


def check_fields(values: Mapping[str, Any], kind: type[Any]) -> Any:
    """`values` as `kind`, a msgspec structure; nothing is converted, so that true is no whole number.

    Raises:
        Refused: a field is missing, unknown, or not of its type.
    """
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise Refused(Code.MANIFEST_FIELD, _WHERE, str(error)) from error
    except UnicodeEncodeError as error:
        raise Refused(Code.MANIFEST_FIELD, _WHERE, f"a name that is no text ({error.reason})") from error


def finite(value: Any) -> Any:
    """`value`, of JSON values, with an object in place of each number that is not finite; see `NUMBER_KEY`."""
    if isinstance(value, dict):
        return {name: finite(element) for name, element in value.items()}
    if isinstance(value, list):
        return [finite(element) for element in value]
    is_odd = isinstance(value, float) and not math.isfinite(value)
    return {NUMBER_KEY: str(float(value))} if is_odd else value


def restored(value: Any) -> Any:
    """What `finite` was given.

    Raises:
        Refused: an object stands for a number that `finite` does not write so.
    """
    if isinstance(value, dict):
        if value.keys() == {NUMBER_KEY}:
            if value[NUMBER_KEY] not in _ODD_NUMBERS:
                raise Refused(Code.MANIFEST_NUMBER, _WHERE, f"the number {value[NUMBER_KEY]!r:.80}")
            return float(value[NUMBER_KEY])
        return {name: restored(element) for name, element in value.items()}
    return [restored(element) for element in value] if isinstance(value, list) else value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise Refused(Code.MANIFEST_KEY, _WHERE, f"the key {twice[:80]!r} twice in one object")
    return values


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse_number(text)
    return value


def _whole(text: str) -> int:
    return int(text) if len(text) <= MOST_DIGITS else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise Refused(Code.MANIFEST_NUMBER, _WHERE, f"the number {text[:80]}")
