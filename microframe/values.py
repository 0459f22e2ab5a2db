"""Single values of a configuration: their types, their checks and their description in words."""

from __future__ import annotations

import functools
import math
import os
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec

from microframe.errors import Problem, nearest, one_of

PositiveInteger = Annotated[int, msgspec.Meta(ge=1)]
NonNegativeInteger = Annotated[int, msgspec.Meta(ge=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]
NonNegativeFloat = Annotated[float, msgspec.Meta(ge=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A share from 0 to 1, both included."""
ProperFraction = Annotated[float, msgspec.Meta(ge=0, lt=1)]
"""A share from 0 (included) to 1 (excluded): a dropout rate, a momentum."""

_TYPE_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    types.NoneType: "nothing",
    dict: "a table",
}


def check_leaf(value: Any, hint: Any, path: tuple[str | int, ...], problems: list[Problem]) -> Any:
    """`value` converted to `hint` (an annotation without components); on failure append to `problems`."""
    value = _plain_python(value)
    if not _is_finite(value):
        problems.append(Problem(path, "finite numbers", describe_value(value)))
        return None
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError:
        suggestion = nearest(value, _choices(hint)) if isinstance(value, str) else None
        problems.append(Problem(path, describe(hint), describe_value(value), suggestion))
        return None


def _plain_python(value: Any) -> Any:
    """NumPy scalars and arrays, and paths, as the plain values that stand for them in a configuration."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain_python(element) for element in value]
    return value.tolist() if hasattr(value, "tolist") and not isinstance(value, type) else value


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_finite(element) for element in value)
    return not isinstance(value, float) or math.isfinite(value)


def _choices(hint: Any) -> list[str]:
    if typing.get_origin(hint) is Literal:
        return [choice for choice in typing.get_args(hint) if isinstance(choice, str)]
    return [choice for argument in typing.get_args(hint) for choice in _choices(argument)]


def check_tuples(hint: Any) -> None:
    """Refuse what makes msgspec (seen with 0.22) write over its own memory, so that the process ends without a word.

    Raises:
        TypeError: somewhere in `hint` a value with bounds and a tuple of fixed length are alternatives.
    """
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        fixed = [member for member in arguments if _is_fixed_tuple(member)]
        if fixed and any(map(_is_bounded, arguments)):
            raise TypeError(
                f"it is annotated {hint}, and a value with bounds cannot stand beside {fixed[0]}: write that as "
                f"Annotated[tuple[..., ...], msgspec.Meta(min_length=..., max_length=...)]"
            )
    for argument in arguments:
        check_tuples(argument)


def _is_fixed_tuple(hint: Any) -> bool:
    if typing.get_origin(hint) is typing.Annotated:
        return _is_fixed_tuple(typing.get_args(hint)[0])
    return typing.get_origin(hint) is tuple and Ellipsis not in typing.get_args(hint)


def _is_bounded(hint: Any) -> bool:
    bounds = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length")
    metas = [meta for meta in typing.get_args(hint)[1:] if isinstance(meta, msgspec.Meta)]
    return any(getattr(meta, bound) is not None for meta in metas for bound in bounds)


@functools.cache
def describe(hint: Any) -> str:
    """What the annotation `hint` asks for, in words: ``"a whole number of at least 1"``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        metas = [meta for meta in arguments[1:] if isinstance(meta, msgspec.Meta)]
        if typing.get_origin(arguments[0]) is tuple:
            return _describe_list(arguments[0], metas)
        return describe(arguments[0]) + "".join(map(_describe_bounds, metas))
    if origin is Literal:
        return one_of(arguments)
    if origin in (typing.Union, types.UnionType):
        choices = [describe(argument) for argument in arguments if argument is not types.NoneType]
        return (", or " if any(", each " in choice for choice in choices) else " or ").join(choices)
    if origin is tuple:
        return _describe_list(hint, ())
    kind = getattr(hint, "kind", None)
    if kind:
        return f"{'an' if kind[0] in 'aio' else 'a'} {kind} (its name, or a table with its type)"
    return _TYPE_NAMES.get(hint, getattr(hint, "__name__", str(hint)))


def _describe_list(hint: Any, metas: Sequence[msgspec.Meta]) -> str:
    """``"a list of 2, each a whole number"``, for a tuple whose length `metas` bound."""
    elements = typing.get_args(hint)
    if Ellipsis not in elements:
        return f"a list of {len(elements)}"
    least = max((meta.min_length for meta in metas if meta.min_length is not None), default=None)
    most = min((meta.max_length for meta in metas if meta.max_length is not None), default=None)
    length = ""
    if least is not None and most is not None:
        length = f" of {least}" if least == most else f" of {least} to {most}"
    elif least is not None or most is not None:
        length = f" of at least {least}" if least is not None else f" of at most {most}"
    return f"a list{length}, each {describe(elements[0])}"


def _describe_bounds(meta: msgspec.Meta) -> str:
    words = {
        "ge": "of at least",
        "gt": "greater than",
        "le": "of at most",
        "lt": "less than",
        "min_length": "of length at least",
        "max_length": "of length at most",
    }
    bounds = [f"{phrase} {getattr(meta, name)}" for name, phrase in words.items() if getattr(meta, name) is not None]
    return " " + " and ".join(bounds) if bounds else ""


def describe_value(value: Any, most: int = 60) -> str:
    """What was received, for an error message, cut to a readable length."""
    text = repr(value).replace("\n", " ")
    return text if len(text) <= most else f"{text[: most - 3]}..."


def describe_name(name: str) -> str:
    """A name that a file may have made up, for a message: in quotes, escaped, and cut to a readable length."""
    return describe_value(name, 100)
