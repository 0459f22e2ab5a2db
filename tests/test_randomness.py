from __future__ import annotations

import json
import typing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.randomness import Purpose, generator, get_state, set_state

PURPOSES = typing.get_args(Purpose)


@given(st.integers(0, 2**70), st.sampled_from(PURPOSES))
def test_one_seed_and_purpose_give_one_stream(seed, purpose):
    np.testing.assert_array_equal(generator(seed, purpose).random(5), generator(seed, purpose).random(5))


def test_every_purpose_and_every_seed_has_a_stream_of_its_own():
    streams = {tuple(generator(seed, purpose).random(3)) for seed in range(20) for purpose in PURPOSES}
    assert len(streams) == 20 * len(PURPOSES)


def test_the_streams_stay_what_they_are_from_version_to_version():
    """A saved configuration gives the same weights tomorrow: these are numpy.random.default_rng([seed, purpose])."""
    for number, purpose in enumerate(("split", "weights", "shuffle", "noise")):
        np.testing.assert_array_equal(generator(7, purpose).random(3), np.random.default_rng([7, number]).random(3))


@pytest.mark.parametrize("purpose", PURPOSES)
@given(before=st.integers(0, 9), seed=st.integers(0, 2**40))
def test_a_generator_goes_on_from_its_saved_state(purpose, before, seed):
    rng = generator(seed, purpose)
    rng.integers(0, 10, before, dtype=np.uint32)  # an odd number leaves half of a word for the next draw
    state = json.loads(json.dumps(get_state(rng)))
    expected = (rng.integers(0, 2**31, 3, dtype=np.uint32).tolist(), rng.permutation(9).tolist(), rng.normal())
    other = generator(0, "noise")
    other.random(5)
    set_state(other, state)
    assert (
        other.integers(0, 2**31, 3, dtype=np.uint32).tolist(),
        other.permutation(9).tolist(),
        other.normal(),
    ) == expected


def test_a_state_with_an_even_increment_is_none():
    state = get_state(generator(0, "noise"))
    state["state"]["inc"] = 2
    with pytest.raises(ValueError, match="an even increment"):
        set_state(generator(0, "noise"), state)


def test_a_saved_state_does_not_move_with_the_generator():
    rng = generator(0, "shuffle")
    state = json.dumps(get_state(rng))
    kept = get_state(rng)
    rng.random(10)
    assert json.dumps(kept) == state


def test_global_random_state_is_left_alone():
    np.random.seed(3)  # noqa: NPY002 - the global state is what is tested
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is what is tested
    generator(0, "weights").random(10)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002 - the global state is what is tested
