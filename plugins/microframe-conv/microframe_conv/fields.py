"""The types of fields that several layers have."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from microframe.values import NonNegativeInteger, PositiveInteger

# Not tuple[PositiveInteger, PositiveInteger]: microframe refuses that beside a number with bounds, as msgspec crashes.
_TWO = msgspec.Meta(min_length=2, max_length=2)

Pair: TypeAlias = PositiveInteger | Annotated[tuple[PositiveInteger, ...], _TWO]
"""One number for both axes of an image, or one for the height and one for the width."""
NonNegativePair: TypeAlias = NonNegativeInteger | Annotated[tuple[NonNegativeInteger, ...], _TWO]
"""One number for both axes, or both sides of one, or a number for each."""
TwoPairs: TypeAlias = NonNegativeInteger | Annotated[tuple[NonNegativePair, ...], _TWO]
"""One number for both sides of both axes, or a `NonNegativePair` for each axis."""
Padding: TypeAlias = Literal["valid", "same"]
"""Whether windows lie on the input (valid), or on zeros too, so that their number is the input's size / stride."""


def both(value: int | tuple[int, ...]) -> tuple[int, int]:
    """The two numbers that a `Pair` or a `NonNegativePair` stands for."""
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second
