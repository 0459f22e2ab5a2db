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
    """Continue `rng` from what `get_state` gave."""
    rng.bit_generator.state = state
