from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe import ConfigError, Schedule
from microframe.standard import schedules
from microframe.standard.schedules import Constant, Cosine, Exponential, OneCycle, Polynomial, Step, Warmup

EVERY = [
    Constant(0.5),
    Step(every=3, multiplier=0.5),
    Exponential(0.9),
    Polynomial(end=0.1, power=2.0),
    Cosine(end=0.01),
    Cosine(cycle=2, multiplier=2),
    Warmup(3, start=0.1, then=Cosine()),
    OneCycle(peak=0.25, start_divisor=10.0, end_divisor=100.0),
]
FALLING = [Constant(0.5), Step(3), Exponential(0.9), Polynomial(0.1, 2.0), Polynomial(0.2, 0.5), Cosine(0.01)]

moments = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
lengths = st.integers(1, 200)


def test_every_standard_schedule_is_provided_by_the_hook():
    assert {type(schedule) for schedule in EVERY} == set(schedules.microframe_components())


@pytest.mark.parametrize("schedule", EVERY, ids=repr)
@given(share=st.floats(0, 1.5), epochs=st.integers(0, 200))
def test_a_factor_is_a_plain_number_from_0_to_1_even_beyond_the_end(schedule, share, epochs):
    factor = schedule.factor(share * epochs, epochs)
    assert type(factor) is float
    assert 0 <= factor <= 1


@pytest.mark.parametrize("schedule", FALLING, ids=repr)
@given(moments=moments, epochs=lengths)
def test_falling_schedules_never_rise(schedule, moments, epochs):
    early, late = (schedule.factor(share * epochs, epochs) for share in moments)
    assert late <= early * (1 + 1e-12)


def test_constant_is_1_unless_given():
    assert Constant().factor(3.5, 10) == 1.0
    assert Constant(0.25).factor(3.5, 10) == 0.25


def test_step_drops_at_its_epochs_and_stays_in_between():
    factors = [Step(every=2, multiplier=0.1).factor(epoch, 6) for epoch in (0, 1.99, 2, 3.99, 4)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01])


@given(epoch=st.floats(0, 50))
def test_exponential_falls_by_its_decay_each_epoch(epoch):
    schedule = Exponential(0.9)
    assert schedule.factor(0.0, 100) == 1.0
    assert schedule.factor(epoch + 1, 100) == pytest.approx(0.9 * schedule.factor(epoch, 100))


@given(end=st.floats(0, 1), power=st.floats(0.5, 3), epochs=lengths)
def test_polynomial_starts_at_1_and_ends_at_its_end(end, power, epochs):
    schedule = Polynomial(end, power)
    assert schedule.factor(0.0, epochs) == pytest.approx(1.0)
    assert schedule.factor(epochs / 2, epochs) == pytest.approx(end + (1 - end) / 2**power)
    assert schedule.factor(epochs, epochs) == pytest.approx(end)
    assert schedule.factor(epochs + 5, epochs) == pytest.approx(end)


@given(end=st.floats(0, 1), epochs=lengths, share=st.floats(0, 1))
def test_cosine_is_half_a_cosine_from_1_to_its_end(end, epochs, share):
    schedule = Cosine(end)
    assert schedule.factor(0.0, epochs) == pytest.approx(1.0)
    assert schedule.factor(epochs / 2, epochs) == pytest.approx((1 + end) / 2)
    assert schedule.factor(epochs, epochs) == pytest.approx(end)
    mirrored = schedule.factor(share * epochs, epochs) + schedule.factor((1 - share) * epochs, epochs)
    assert mirrored == pytest.approx(1 + end)


def test_cosine_restarts_after_cycles_that_grow():
    schedule = Cosine(end=0.2, cycle=2, multiplier=3)
    for start, length in ((0, 2), (2, 6), (8, 18)):
        assert schedule.factor(start, 100) == pytest.approx(1.0)
        assert schedule.factor(start + length / 2, 100) == pytest.approx(0.6)
        assert schedule.factor(start + length * (1 - 1e-6), 100) == pytest.approx(0.2)


@given(epoch=st.floats(0, 20), cycle=st.integers(1, 5))
def test_cosine_cycles_of_one_length_repeat(epoch, cycle):
    schedule = Cosine(cycle=cycle)
    phase = math.fmod(epoch, cycle) / cycle
    assert schedule.factor(epoch, 100) == pytest.approx((1 + math.cos(math.pi * phase)) / 2, abs=1e-9)


def test_cosine_refuses_a_multiplier_without_a_cycle():
    with pytest.raises(ConfigError, match="a cycle where there is a multiplier"):
        Cosine(multiplier=2)


@pytest.mark.parametrize("then", [Constant(0.5), Polynomial(), Cosine(), OneCycle(), Exponential(0.5)], ids=repr)
@given(warmup=st.integers(1, 10), epochs=st.integers(2, 50), start=st.floats(0, 1))
def test_warmup_rises_in_a_line_to_where_the_next_schedule_begins(then, warmup, epochs, start):
    schedule = Warmup(warmup, start, then)
    goal = then.factor(0.0, max(epochs - warmup, 0))
    assert schedule.factor(0.0, epochs) == pytest.approx(goal * start)
    assert schedule.factor(warmup / 2, epochs) == pytest.approx(goal * (1 + start) / 2)
    assert schedule.factor(math.nextafter(warmup, 0), epochs) == pytest.approx(goal)
    assert schedule.factor(warmup, epochs) == pytest.approx(goal)


@given(warmup=st.integers(1, 10), rest=lengths, share=st.floats(0, 1))
def test_what_follows_a_warmup_sees_the_remaining_epochs_as_the_whole(warmup, rest, share):
    then = Cosine(end=0.1)
    schedule = Warmup(warmup, then=then)
    assert schedule.factor(warmup + share * rest, warmup + rest) == pytest.approx(then.factor(share * rest, rest))


def test_what_follows_a_warmup_always_sees_an_epoch():
    class Share(Schedule):
        def factor(self, epoch, epochs):
            return epoch / epochs

    assert Warmup(5, then=Share()).factor(2.0, 5) == 0
    assert Warmup(5, then=Share()).factor(5.5, 5) == 0.5


def test_the_bounds_of_a_warmup_are_those_of_what_follows_and_of_its_start():
    assert Warmup(3, start=0.5, then=Cosine(end=0.2)).bounds == (0.1, 1.0)
    assert Warmup(3, start=0.5, then=Constant(4.0)).bounds == (2.0, 4.0)


def test_warmup_leads_to_the_full_rate_unless_told_otherwise():
    assert Warmup(4).then == Constant()
    assert [Warmup(4).factor(epoch, 10) for epoch in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert Warmup(4, then="cosine").then == Cosine()


@given(peak=st.floats(0.05, 0.95), epochs=lengths)
def test_one_cycle_starts_peaks_and_ends_where_it_says(peak, epochs):
    schedule = OneCycle(peak, start_divisor=20.0, end_divisor=1000.0)
    assert schedule.factor(0.0, epochs) == pytest.approx(1 / 20)
    assert schedule.factor(peak * epochs, epochs) == pytest.approx(1.0)
    assert schedule.factor(epochs, epochs) == pytest.approx(1 / 1000)


@given(peak=st.floats(0.05, 0.95), epochs=lengths, moments=moments)
def test_one_cycle_rises_to_its_peak_and_falls_after_it(peak, epochs, moments):
    schedule = OneCycle(peak)
    early, late = moments
    rise = [schedule.factor(share * peak * epochs, epochs) for share in (early, late)]
    fall = [schedule.factor((peak + share * (1 - peak)) * epochs, epochs) for share in (early, late)]
    assert rise[0] <= rise[1] + 1e-9
    assert fall[0] >= fall[1] - 1e-9


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        (Constant, {"value": -0.1}),
        (Step, {"every": 0}),
        (Step, {"every": 2, "multiplier": 0}),
        (Exponential, {"decay": 1.1}),
        (Polynomial, {"end": -1}),
        (Polynomial, {"power": 0}),
        (Cosine, {"cycle": 0}),
        (Warmup, {"epochs": 0}),
        (Warmup, {"epochs": 2, "start": 1.5}),
        (OneCycle, {"peak": 0}),
        (OneCycle, {"peak": 1}),
        (OneCycle, {"start_divisor": 0.5}),
        (OneCycle, {"end_divisor": 0}),
    ],
)
def test_values_out_of_range_are_refused_by_name(schedule, fields):
    with pytest.raises(ConfigError, match=f"{list(fields)[-1]}: expected a"):
        schedule(**fields)
