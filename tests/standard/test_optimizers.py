from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe import ConfigError, Optimizer, UsageError, config
from microframe.errors import PluginError
from microframe.interfaces.optimizer import ParameterSlice
from microframe.optimization import OptimizerState, clip_norm
from microframe.standard import optimizers
from microframe.standard.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Lion, Nadam, RMSprop

STEPS = 20
SIZE = 23
KERNEL, BIAS = slice(0, 15), slice(15, SIZE)
LAYOUT = [ParameterSlice("kernel", (5, 3), 0, 15, decay=True), ParameterSlice("bias", (8,), 15, SIZE, decay=False)]

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
COMMON = [
    {"weight_decay": 0.1},
    {"l1": 0.1},
    {"l2": 0.1},
    {"clip_value": 0.5},
    {"clip_norm": 1.0},
    {"average": 0.9},
    {"weight_decay": 0.1, "l1": 0.2, "l2": 0.3, "clip_value": 0.8, "clip_norm": 1.5, "average": 0.8},
]


# The published rules, step by step as they are written: what each subtracts from the parameters.


def name(value):
    """What a parameter is called in the name of a test."""
    return getattr(value, "__name__", repr(value))


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


def random_start(dtype=np.float64):
    return np.random.default_rng(0).standard_normal(SIZE).astype(dtype)


def random_gradients(steps=STEPS):
    gradients = np.random.default_rng(1).standard_normal((steps, SIZE))
    gradients[:, 3] = 0.0
    return gradients


class Run:
    """An optimizer that is fed given gradients."""

    def __init__(self, optimizer, dtype=np.float64, layout=LAYOUT, **options):
        self.parameters = random_start(dtype)
        self.gradients = np.zeros_like(self.parameters)
        self.state = OptimizerState(optimizer, self.parameters, self.gradients, layout, **options)

    def follow(self, gradients, factor=1.0):
        for gradient in gradients:
            self.gradients[...] = gradient
            self.state.step(factor)
        return self


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
def test_steps_are_those_of_the_published_rule(optimizer, rule, settings):
    gradients, run = random_gradients(), Run(optimizer)
    expected = random_start()
    for gradient, change in zip(gradients, rule(gradients, **settings), strict=True):
        expected -= change
        run.follow([gradient])
        np.testing.assert_allclose(run.parameters, expected, rtol=1e-12, atol=1e-12)


def test_nadam_stays_with_the_published_rule_when_its_products_have_vanished():
    gradients = random_gradients(400)
    run = Run(Nadam(beta_1=0.99)).follow(gradients)
    expected = random_start() - sum(nadam(gradients, beta_1=0.99))
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
def test_there_are_slots_only_for_what_is_used(optimizer, names):
    slots = Run(optimizer).state.slots
    assert sorted(slots) == names
    assert all(slot.shape == (SIZE,) for slot in slots.values())


def test_a_slot_starts_with_its_fill():
    np.testing.assert_array_equal(Run(Adagrad(initial_accumulator=0.5)).state.slots["accumulator"], np.full(SIZE, 0.5))


def test_centered_rmsprop_survives_a_gradient_that_never_changes():
    run = Run(RMSprop(rho=0.7, centered=True), np.float32).follow([np.linspace(1e4, 2e4, SIZE)] * 200)
    assert np.isfinite(run.parameters).all()


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1.0])
def test_lion_takes_the_sign_of_gradients_however_small(factor):
    run = Run(Lion(0.5), np.float32)
    start = run.parameters.copy()
    run.follow([np.full(SIZE, 1e-25 * factor)])
    np.testing.assert_array_equal(run.parameters, start - np.float32(0.5 * factor))


def test_a_gradient_that_is_not_a_number_does_not_pass_unnoticed():
    for optimizer in EVERY:
        assert np.isnan(Run(optimizer).follow([np.full(SIZE, np.nan)]).parameters).all()


@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_a_quadratic_goes_down(optimizer):
    curvature = np.linspace(0.5, 2.0, SIZE)
    run = Run(optimizer)
    losses = []
    for _ in range(300):
        losses.append(curvature @ run.parameters**2)
        run.follow([2 * curvature * run.parameters])
    assert min(losses[-20:]) < 0.5 * losses[0]
    assert max(losses[-20:]) < losses[0]


@pytest.mark.parametrize("fields", [{}, COMMON[-1]], ids=["plain", "everything"])
@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_float32_stays_float32_and_close_to_float64(optimizer, fields):
    optimizer = with_fields(optimizer, **fields)
    single, double = (Run(optimizer, dtype).follow(random_gradients()) for dtype in (np.float32, np.float64))
    assert {slot.dtype for slot in single.state.slots.values()} <= {np.dtype(np.float32)}
    assert single.state.prediction_parameters().dtype == np.float32
    np.testing.assert_allclose(single.parameters, double.parameters, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("fields", [{}, COMMON[-1]], ids=["plain", "everything"])
@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_blocks_change_nothing_not_even_a_bit(optimizer, fields):
    optimizer = with_fields(optimizer, **fields)
    whole = Run(optimizer).follow(random_gradients())
    for block_size in (1, 7, SIZE - 1):
        blocks = Run(optimizer, block_size=block_size).follow(random_gradients())
        np.testing.assert_array_equal(blocks.parameters, whole.parameters)
        for name, slot in whole.state.slots.items():
            np.testing.assert_array_equal(blocks.state.slots[name], slot)


@pytest.mark.parametrize("fields", [{}, COMMON[-1]], ids=["plain", "everything"])
@pytest.mark.parametrize("optimizer", EVERY, ids=name)
def test_a_restored_state_goes_on_bit_for_bit(optimizer, fields):
    optimizer, gradients = with_fields(optimizer, **fields), random_gradients()
    whole, first, second = Run(optimizer).follow(gradients), Run(optimizer).follow(gradients[:7]), Run(optimizer)
    second.parameters[...] = first.parameters
    second.state.restore(first.state.slots, first.state.step_count)
    second.follow(gradients[7:])
    assert second.state.step_count == STEPS
    np.testing.assert_array_equal(second.parameters, whole.parameters)
    np.testing.assert_array_equal(second.state.prediction_parameters(), whole.state.prediction_parameters())


def test_restoring_copies_and_refuses_the_slots_of_another_optimizer():
    source, target = Run(SGD(momentum=0.9)).follow(random_gradients(1)), Run(SGD(momentum=0.9))
    slot = target.state.slots["momentum"]
    target.state.restore(source.state.slots, 1)
    assert target.state.slots["momentum"] is slot
    np.testing.assert_array_equal(slot, source.state.slots["momentum"])
    with pytest.raises(UsageError, match=r"expected the optimizer slots \{'momentum': .*received \{'variance'"):
        target.state.restore({"variance": slot}, 1)
    with pytest.raises(UsageError, match=r"\(22,\)"):
        target.state.restore({"momentum": slot[1:]}, 1)


@pytest.mark.parametrize("fields", [{}, COMMON[-1]], ids=["plain", "everything"])
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


@pytest.mark.parametrize("fields", COMMON, ids=name)
@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_common_fields_apply_in_their_order_around_the_update(fields, factor):
    optimizer = SGD(0.1, momentum=0.9, **fields)
    run = Run(optimizer)
    w, v, average = random_start(), 0.0, None
    decayed = np.zeros(SIZE)
    decayed[KERNEL] = 1.0
    for gradient in random_gradients():
        g = gradient + decayed * (optimizer.l1 * np.sign(w) + optimizer.l2 * w)
        if optimizer.clip_value:
            g = np.clip(g, -optimizer.clip_value, optimizer.clip_value)
        if optimizer.clip_norm:
            g = g * min(1.0, optimizer.clip_norm / np.linalg.norm(g))
        v = 0.9 * v + 0.1 * factor * g
        w = w - v - 0.1 * factor * optimizer.weight_decay * decayed * w
        if optimizer.average is not None:
            average = w if average is None else optimizer.average * average + (1 - optimizer.average) * w
        run.follow([gradient], factor)
        np.testing.assert_allclose(run.parameters, w, rtol=1e-12, atol=1e-12)
        expected = w if average is None else average
        np.testing.assert_allclose(run.state.prediction_parameters(), expected, rtol=1e-12, atol=1e-12)


def test_the_penalties_leave_a_weight_of_zero_where_it_is():
    run = Run(SGD(0.1, l1=1.0, l2=1.0))
    run.parameters[0] = 0.0
    run.follow(np.zeros((3, SIZE)))
    assert run.parameters[0] == 0.0


@given(
    parts=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=8), block_size=st.integers(1, 9)
)
def test_decay_touches_just_the_parameters_that_are_declared_for_it(parts, block_size):
    stops = np.cumsum([size for size, _ in parts]).tolist()
    layout = [
        ParameterSlice(f"{index}", (size,), stop - size, stop, decay)
        for index, ((size, decay), stop) in enumerate(zip(parts, stops, strict=True))
    ]
    parameters, gradients = np.ones(stops[-1]), np.zeros(stops[-1])
    OptimizerState(SGD(0.5, weight_decay=0.5), parameters, gradients, layout, block_size).step()
    np.testing.assert_array_equal(
        parameters, np.repeat([0.75 if decay else 1.0 for _, decay in parts], np.diff([0, *stops]))
    )


def test_predictions_use_the_parameters_until_there_is_an_average():
    run = Run(SGD(0.1, average=0.5))
    assert run.state.prediction_parameters() is run.parameters
    run.follow(random_gradients(1))
    assert run.state.prediction_parameters() is run.state.slots["average"]
    np.testing.assert_array_equal(run.state.slots["average"], run.parameters)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float64, 1e300), (np.float32, 1e3)])
def test_clipping_by_norm_keeps_the_direction_of_gradients_of_any_size(dtype, size):
    direction = np.array([3.0, -4.0, 0.0])
    gradients = (size * direction).astype(dtype)
    with np.errstate(over="ignore"):
        clip_norm(gradients, 2.0)
    assert gradients.dtype == dtype
    np.testing.assert_allclose(gradients, 2.0 * direction / 5.0, rtol=1e-6)


def test_clipping_by_norm_leaves_gradients_within_it_and_infinite_ones_alone():
    for values in ([0.3, 0.4], [0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0]):
        gradients = np.array(values)
        clip_norm(gradients, 0.5)
        np.testing.assert_array_equal(gradients, values)


class LayerwiseSGD(Optimizer):
    """A rule that is not elementwise: every parameter takes a step of length lr."""

    elementwise = False

    def slots(self):
        return {"last": 0.0}

    def update(self, parameters, gradients, ctx):
        for part in ctx.layout:
            step = ctx.empty(part.shape)
            gradient = gradients[part.start : part.stop].reshape(part.shape)
            np.multiply(gradient, ctx.learning_rate / np.linalg.norm(gradient), step)
            parameters[part.start : part.stop].reshape(part.shape)[...] -= step
            ctx.slots["last"][part.start : part.stop] = step.ravel()


def test_a_rule_that_is_not_elementwise_sees_whole_vectors_and_the_layout():
    run = Run(LayerwiseSGD(learning_rate=0.5), block_size=4)
    start = run.parameters.copy()
    gradients = random_gradients(1)
    run.follow(gradients)
    for part in (KERNEL, BIAS):
        np.testing.assert_allclose(run.parameters[part], start[part] - run.state.slots["last"][part])
        assert np.linalg.norm(run.state.slots["last"][part]) == pytest.approx(0.5)


class Recorder(Optimizer):
    def update(self, parameters, gradients, ctx):
        first, second = ctx.empty(parameters.shape), ctx.empty(parameters.shape)
        assert not np.shares_memory(first, second)
        assert first.dtype == parameters.dtype
        assert (first.shape, ctx.layout) == (parameters.shape, ())
        assert type(ctx.learning_rate) is float
        parameters[...] = ctx.step * ctx.learning_rate


@pytest.mark.parametrize("block_size", [5, SIZE])
def test_an_update_sees_its_step_rate_and_scratch_arrays(block_size):
    run = Run(Recorder(learning_rate=0.5), np.float32, block_size=block_size)
    for step in (1, 2, 3):
        run.follow(random_gradients(1), factor=np.float64(0.5))
        np.testing.assert_array_equal(run.parameters, np.full(SIZE, 0.25 * step))
        assert run.state.step_count == step


class Averaging(Optimizer):
    def slots(self):
        return {"average": 0.0}

    def update(self, parameters, gradients, ctx): ...


def test_the_name_of_the_average_is_taken():
    with pytest.raises(PluginError, match="the optimizer 'averaging' has a slot 'average'"):
        Run(Averaging())


@pytest.mark.parametrize("optimizer", [SGD(clip_norm=1.0, l1=0.1), LayerwiseSGD()], ids=name)
def test_a_network_without_parameters_can_take_steps(optimizer):
    state = OptimizerState(optimizer, np.empty(0), np.empty(0), [])
    state.step()
    assert state.step_count == 1
