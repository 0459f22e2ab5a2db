"""Random generators: one seed for a run, split by purpose, so that drawing more for one purpose shifts no other."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from microframe.arrays import Generator

Purpose = Literal["split", "weights", "shuffle", "noise"]
_PURPOSES: tuple[Purpose, ...] = ("split", "weights", "shuffle", "noise")


def generator(seed: int, purpose: Purpose) -> Generator:
    """The generator of a run for one purpose."""
    return np.random.default_rng([seed, _PURPOSES.index(purpose)])


def get_state(rng: Generator) -> dict[str, Any]:
    """The state of `rng` as JSON values (its integers exceed 64 bits; JSON's need not)."""
    return dict(rng.bit_generator.state)


def set_state(rng: Generator, state: dict[str, Any]) -> None:
    """Continue `rng` from what `get_state` gave.

    Raises:
        ValueError: it is the state of another kind of generator, or one that no generator gets into, as those with an
            even increment: their period can be 1, and what waits for another number then waits for ever.
    """
    rng.bit_generator.state = state
    if get_state(rng)["state"]["inc"] % 2 == 0:
        raise ValueError("an even increment")
