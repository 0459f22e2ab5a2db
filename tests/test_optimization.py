from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe import Optimizer, UsageError
from microframe.errors import PluginError
from microframe.interfaces.optimizer import ParameterSlice
from microframe.optimization import OptimizerState, clip_norm
from microframe.standard.optimizers import SGD

SIZE = 23
KERNEL, BIAS = slice(0, 15), slice(15, SIZE)

COMMON = [
    {"weight_decay": 0.1},
    {"l1": 0.1},
    {"l2": 0.1},
    {"clip_value": 0.5},
    {"clip_norm": 1.0},
    {"average": 0.9},
    {"weight_decay": 0.1, "l1": 0.2, "l2": 0.3, "clip_value": 0.8, "clip_norm": 1.5, "average": 0.8},
]


def test_restoring_copies_and_refuses_the_slots_of_another_optimizer(optimizer_run, random_gradients):
    source, target = optimizer_run(SGD(momentum=0.9)).follow(random_gradients(1)), optimizer_run(SGD(momentum=0.9))
    slot = target.state.slots["momentum"]
    target.state.restore(source.state.slots, 1)
    assert target.state.slots["momentum"] is slot
    np.testing.assert_array_equal(slot, source.state.slots["momentum"])
    with pytest.raises(UsageError, match=r"expected the optimizer slots \{'momentum': .*received \{'variance'"):
        target.state.restore({"variance": slot}, 1)
    with pytest.raises(UsageError, match=r"\(22,\)"):
        target.state.restore({"momentum": slot[1:]}, 1)


@pytest.mark.parametrize("fields", COMMON, ids=repr)
@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_common_fields_apply_in_their_order_around_the_update(fields, factor, optimizer_run, random_gradients):
    optimizer = SGD(0.1, momentum=0.9, **fields)
    run = optimizer_run(optimizer)
    w, v, average = run.parameters.copy(), 0.0, None
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


def test_the_penalties_leave_a_weight_of_zero_where_it_is(optimizer_run):
    run = optimizer_run(SGD(0.1, l1=1.0, l2=1.0))
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


def test_predictions_use_the_parameters_until_there_is_an_average(optimizer_run, random_gradients):
    run = optimizer_run(SGD(0.1, average=0.5))
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


def test_a_rule_that_is_not_elementwise_sees_whole_vectors_and_the_layout(optimizer_run, random_gradients):
    run = optimizer_run(LayerwiseSGD(learning_rate=0.5), block_size=4)
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
def test_an_update_sees_its_step_rate_and_scratch_arrays(block_size, optimizer_run, random_gradients):
    run = optimizer_run(Recorder(learning_rate=0.5), np.float32, block_size=block_size)
    for step in (1, 2, 3):
        run.follow(random_gradients(1), factor=np.float64(0.5))
        np.testing.assert_array_equal(run.parameters, np.full(SIZE, 0.25 * step))
        assert run.state.step_count == step


class Averaging(Optimizer):
    def slots(self):
        return {"average": 0.0}

    def update(self, parameters, gradients, ctx): ...


def test_the_name_of_the_average_is_taken(optimizer_run):
    with pytest.raises(PluginError, match="the optimizer 'averaging' has a slot 'average'"):
        optimizer_run(Averaging())


@pytest.mark.parametrize("optimizer", [SGD(clip_norm=1.0, l1=0.1), LayerwiseSGD()], ids=repr)
def test_a_network_without_parameters_can_take_steps(optimizer):
    state = OptimizerState(optimizer, np.empty(0), np.empty(0), [])
    state.step()
    assert state.step_count == 1
