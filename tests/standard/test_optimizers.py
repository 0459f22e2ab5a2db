from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from microframe import ConfigError, Optimizer, config
from microframe.interfaces.optimizer import ParameterSlice
from microframe.optimization import OptimizerState
from microframe.standard import optimizers
from microframe.standard.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, RMSprop

STEPS = 20
SIZE = 23

EVERY = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.9, nesterov=True),
    Adam(0.1),
    AdamW(0.1, weight_decay=0.1),
    Nadam(0.1),
    RMSprop(0.1),
    RMSprop(0.1, rho=0.8, momentum=0.9, centered=True),
    Adagrad(0.1),
    Adadelta(),
    Lion(0.01),
]
EVERYTHING = {"weight_decay": 0.1, "l1": 0.2, "l2": 0.3, "clip_value": 0.8, "clip_norm": 1.5, "average": 0.8}


def name(value):
    """What a parameter is called in the name of a test."""
    return getattr(value, "__name__", repr(value))


# The published rules, step by step as they are written: what each subtracts from the parameters.


def sgd(gradients, lr=0.01, mu=0.0, nesterov=False):
    v = 0.0
    for g in gradients:
        v = mu * v + lr * g
        yield lr * g + mu * v if nesterov else v


def adam(gradients, lr=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        corrected_m, corrected_v = m / (1 - beta_1**t), v / (1 - beta_2**t)
        yield lr * corrected_m / (np.sqrt(corrected_v) + epsilon)


def nadam(gradients, lr=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v, product = 0.0, 0.0, 1.0
    for t, g in enumerate(gradients, 1):
        now = beta_1 * (1 - 0.5 * 0.96 ** (0.004 * t))
        after = beta_1 * (1 - 0.5 * 0.96 ** (0.004 * (t + 1)))
        product = product * now
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        corrected_m = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
        yield lr * corrected_m / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def rmsprop(gradients, lr=1e-3, rho=0.9, momentum=0.0, centered=False, epsilon=1e-7):
    mean = v = u = 0.0
    for g in gradients:
        mean = rho * mean + (1 - rho) * g
        v = rho * v + (1 - rho) * g**2
        u = momentum * u + lr * g / np.sqrt((v - mean**2 if centered else v) + epsilon)
        yield u


def adagrad(gradients, lr=1e-3, initial_accumulator=0.1, epsilon=1e-7):
    total = initial_accumulator
    for g in gradients:
        total = total + g**2
        yield lr * g / np.sqrt(total + epsilon)


def adadelta(gradients, lr=1.0, rho=0.95, epsilon=1e-6):
    v = u = 0.0
    for g in gradients:
        v = rho * v + (1 - rho) * g**2
        step = np.sqrt(u + epsilon) / np.sqrt(v + epsilon) * g
        u = rho * u + (1 - rho) * step**2
        yield lr * step


def lion(gradients, lr=1e-4, beta_1=0.9, beta_2=0.99):
    m = 0.0
    for g in gradients:
        yield lr * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g


PUBLISHED = [
    (SGD(), sgd, {}),
    (SGD(0.1, 0.9), sgd, {"lr": 0.1, "mu": 0.9}),
    (SGD(0.1, 0.9, True), sgd, {"lr": 0.1, "mu": 0.9, "nesterov": True}),
    (Adam(), adam, {}),
    (Adam(0.1, 0.0, 0.5, 0.01), adam, {"lr": 0.1, "beta_1": 0.0, "beta_2": 0.5, "epsilon": 0.01}),
    (AdamW(0.1, weight_decay=0), adam, {"lr": 0.1}),
    (Nadam(), nadam, {}),
    (Nadam(0.1, 0.5, 0.8, 0.01), nadam, {"lr": 0.1, "beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.01}),
    (Nadam(0.1, beta_1=0.0), nadam, {"lr": 0.1, "beta_1": 0.0}),
    (RMSprop(), rmsprop, {}),
    (RMSprop(0.1, 0.5, epsilon=0.01), rmsprop, {"lr": 0.1, "rho": 0.5, "epsilon": 0.01}),
    (RMSprop(momentum=0.8), rmsprop, {"momentum": 0.8}),
    (RMSprop(centered=True, epsilon=0.01), rmsprop, {"centered": True, "epsilon": 0.01}),
    (RMSprop(momentum=0.8, centered=True), rmsprop, {"momentum": 0.8, "centered": True}),
    (Adagrad(), adagrad, {}),
    (Adagrad(0.1, 0.0, 0.01), adagrad, {"lr": 0.1, "initial_accumulator": 0.0, "epsilon": 0.01}),
    (Adadelta(), adadelta, {}),
    (Adadelta(0.1, 0.5, 0.01), adadelta, {"lr": 0.1, "rho": 0.5, "epsilon": 0.01}),
    (Lion(), lion, {}),
    (Lion(0.1, 0.5, 0.8), lion, {"lr": 0.1, "beta_1": 0.5, "beta_2": 0.8}),
]


def with_fields(optimizer, **fields):
    return Optimizer.from_value({**config(optimizer), **fields}, (), [])


def test_every_standard_optimizer_is_provided_by_the_hook_under_its_name():
    assert {type(optimizer) for optimizer in EVERY} == set(optimizers.microframe_components())
    names = [component.type for component in optimizers.microframe_components()]
    assert names == ["sgd", "adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta", "lion"]


@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_configuration_round_trips(optimizer):
    assert Optimizer.from_value(config(optimizer), (), []) == optimizer
    scheduled = with_fields(optimizer, schedule={"type": "warmup", "epochs": 2, "then": "cosine"}, average=0.9)
    assert Optimizer.from_value(config(scheduled), (), []) == scheduled


def test_the_defaults_are_the_customary_ones():
    rates = [component().learning_rate for component in optimizers.microframe_components()]
    assert rates == [0.01, 1e-3, 1e-3, 1e-3, 1e-3, 1e-3, 1.0, 1e-4]
    assert [component().weight_decay for component in (SGD, Adam, AdamW, Lion)] == [0, 0, 0.01, 0]
    assert Adam(3e-4) == Adam(learning_rate=3e-4, beta_1=0.9, beta_2=0.999, epsilon=1e-7)


@pytest.mark.parametrize(("optimizer", "rule", "settings"), PUBLISHED, ids=name)
def test_steps_are_those_of_the_published_rule(optimizer, rule, settings, optimizer_run, random_gradients):
    gradients, run = random_gradients(), optimizer_run(optimizer)
    expected = run.parameters.copy()
    for gradient, change in zip(gradients, rule(gradients, **settings), strict=True):
        expected -= change
        run.follow([gradient])
        np.testing.assert_allclose(run.parameters, expected, rtol=1e-12, atol=1e-12)


def test_nadam_stays_with_the_published_rule_when_its_products_have_vanished(optimizer_run, random_gradients):
    gradients = random_gradients(400)
    run = optimizer_run(Nadam(beta_1=0.99))
    expected = run.parameters - sum(nadam(gradients, beta_1=0.99))
    run.follow(gradients)
    np.testing.assert_allclose(run.parameters, expected, rtol=1e-12, atol=1e-12)


def test_nesterov_needs_momentum():
    with pytest.raises(ConfigError, match="a momentum greater than 0 where nesterov is true"):
        SGD(nesterov=True)


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (SGD(), []),
        (SGD(momentum=0.9), ["momentum"]),
        (Adam(), ["momentum", "variance"]),
        (RMSprop(), ["variance"]),
        (RMSprop(momentum=0.9), ["momentum", "variance"]),
        (RMSprop(centered=True), ["mean", "variance"]),
        (SGD(average=0.9), ["average"]),
    ],
    ids=name,
)
def test_there_are_slots_only_for_what_is_used(optimizer, names, optimizer_run):
    slots = optimizer_run(optimizer).state.slots
    assert sorted(slots) == names
    assert all(slot.shape == (SIZE,) for slot in slots.values())


def test_a_slot_starts_with_its_fill(optimizer_run):
    np.testing.assert_array_equal(
        optimizer_run(Adagrad(initial_accumulator=0.5)).state.slots["accumulator"], np.full(SIZE, 0.5)
    )


def test_centered_rmsprop_survives_a_gradient_that_never_changes(optimizer_run):
    run = optimizer_run(RMSprop(rho=0.7, centered=True), np.float32).follow([np.linspace(1e4, 2e4, SIZE)] * 200)
    assert np.isfinite(run.parameters).all()


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.0])
def test_lion_takes_the_sign_of_gradients_however_small(factor, optimizer_run):
    run = optimizer_run(Lion(0.5), np.float32)
    start = run.parameters.copy()
    run.follow([np.full(SIZE, 1e-25 * factor)])
    np.testing.assert_array_equal(run.parameters, start - np.float32(0.5 * factor))


def test_a_gradient_that_is_not_a_number_does_not_pass_unnoticed(optimizer_run):
    for optimizer in EVERY:
        assert np.isnan(optimizer_run(optimizer).follow([np.full(SIZE, np.nan)]).parameters).all()


@pytest.mark.parametrize("fields", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_float32_stays_float32_and_close_to_float64(optimizer, fields, optimizer_run, random_gradients):
    optimizer = with_fields(optimizer, **fields)
    single, double = (optimizer_run(optimizer, dtype).follow(random_gradients()) for dtype in (np.float32, np.float64))
    assert {slot.dtype for slot in single.state.slots.values()} <= {np.dtype(np.float32)}
    assert single.state.prediction_parameters().dtype == np.float32
    np.testing.assert_allclose(single.parameters, double.parameters, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_with_everything_around_it_blocks_change_nothing_not_even_a_bit(optimizer, optimizer_run, random_gradients):
    optimizer = with_fields(optimizer, **EVERYTHING)
    whole = optimizer_run(optimizer).follow(random_gradients())
    for block_size in (1, 7, SIZE - 1):
        blocks = optimizer_run(optimizer, block_size=block_size).follow(random_gradients())
        np.testing.assert_array_equal(blocks.parameters, whole.parameters)
        for name, slot in whole.state.slots.items():
            np.testing.assert_array_equal(blocks.state.slots[name], slot)


@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_with_everything_around_it_a_restored_state_goes_on_bit_for_bit(optimizer, optimizer_run, random_gradients):
    optimizer, gradients = with_fields(optimizer, **EVERYTHING), random_gradients()
    whole, first, second = (
        optimizer_run(optimizer).follow(gradients),
        optimizer_run(optimizer).follow(gradients[:7]),
        optimizer_run(optimizer),
    )
    second.parameters[...] = first.parameters
    second.state.restore(first.state.slots, first.state.step_count)
    second.follow(gradients[7:])
    assert second.state.step_count == STEPS
    np.testing.assert_array_equal(second.parameters, whole.parameters)
    np.testing.assert_array_equal(second.state.prediction_parameters(), whole.state.prediction_parameters())


@pytest.mark.parametrize("fields", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_no_array_is_allocated_after_the_first_step(optimizer, fields):
    parameters, gradients = np.ones(50_000), np.ones(50_000)
    layout = [ParameterSlice("kernel", (50_000,), 0, 50_000, decay=True)]
    state = OptimizerState(with_fields(optimizer, **fields), parameters, gradients, layout, block_size=30_000)
    state.step()
    gradients.fill(2.0)
    tracemalloc.start()
    try:
        state.step()
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
