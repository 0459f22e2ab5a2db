"""What every optimizer must do."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import tempfile
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.interfaces import Optimizer
from microframe.interfaces.callback import Listener, Memory
from microframe.interfaces.optimizer import ParameterSlice
from microframe.testing.checks.guards import (
    assert_close,
    assert_float,
    assert_same,
    drawing_from_no_global_generator,
    keeping_nothing,
    unspecified,
)
from microframe.testing.conformance import Skipped
from microframe.testing.optimizer_bench import (
    LAYOUT,
    SIZE,
    BareContext,
    OptimizerBench,
    optimizer_of,
    plain,
    random_gradients,
)

if TYPE_CHECKING:
    from microframe.model import Model
    from microframe.training import Run

_STEPS = 12
_CURVATURE = np.geomspace(0.1, 10, SIZE)
_DESCENT = 200
_LOWERED = 0.2
"""What share of the loss may be left after so many steps."""
_FEW, _MANY = 512, 4096
"""How many steps are observed: few, and if these seem to hold on to memory, many."""
_BYTES_A_STEP = 2
"""A list that grows by an element a step takes four times as much."""

_COMMON = {"weight_decay": 0.1, "l1": 0.1, "l2": 0.1, "clip_value": 0.1, "clip_norm": 0.1, "average": 0.9}


def lowers_quadratic(example: Example) -> None:
    """It lowers a convex quadratic whose curvature differs a hundredfold, at some learning rate."""
    optimizer = optimizer_of(example)
    scale = _sensible_factor(optimizer)
    for dtype in ("float32", "float64"):
        least = np.inf
        for factor in (1.0, 0.1, 10.0):
            least = min(least, _share_left(optimizer, scale * factor, dtype))
            if least < _LOWERED:
                break
        assert least < _LOWERED, (
            f"expected the loss of a convex quadratic to fall below {_LOWERED} of what it was in {_DESCENT} steps, at "
            f"{scale:.3g} times the learning rate or a tenth or ten times that, in {dtype}, received {least:.3g}"
        )


def slots_survive(example: Example) -> None:
    """Training that is restored from its slots, or resumed from a model file, goes on bit for bit."""
    optimizer, gradients = optimizer_of(example), random_gradients(_STEPS)
    # The first half comes first, so that what is kept outside of slots is not what the second half needs.
    first = OptimizerBench(optimizer).follow(gradients[:5])
    whole = OptimizerBench(optimizer).follow(gradients)
    second = OptimizerBench(optimizer)
    second.parameters[...] = first.parameters
    second.state.restore(first.state.slots, first.state.step_count)
    _assert_same_arrays(second.follow(gradients[5:]), whole, "after restoring its slots")
    _assert_resumes(optimizer)


def slots(example: Example) -> None:
    """Each slot is declared by `slots` with what fills it, written in place by `update`, and needed."""
    optimizer = optimizer_of(example)
    for name, fill in optimizer.slots().items():
        assert isinstance(fill, int | float), f"expected a number that fills the slot {name!r}, received {fill!r}"
    bench = OptimizerBench(optimizer)
    before = {name: array.copy() for name, array in bench.state.slots.items()}
    try:
        bench.follow(random_gradients(_STEPS))
    except KeyError as error:
        raise AssertionError(f"expected slots() to declare all that update uses, received {error} too") from error
    for name, array in bench.state.slots.items():
        assert array.shape == (SIZE,), f"expected the slot {name!r} to keep its shape {(SIZE,)}, received {array.shape}"
        changed = not np.array_equal(array, before[name])
        assert changed, f"expected update to write into the slot {name!r}, which is as it was at first"


def layout_independent(example: Example) -> None:
    """An elementwise rule gives the same bits whatever blocks it sees; any rule sees whole parameters otherwise."""
    optimizer, gradients = optimizer_of(example), random_gradients(_STEPS)
    whole = OptimizerBench(optimizer).follow(gradients)
    for block_size in (1, 7, SIZE - 1):
        blocks = OptimizerBench(optimizer, block_size=block_size).follow(gradients)
        _assert_same_arrays(
            blocks, whole, f"in blocks of {block_size}; if it isn't elementwise, set elementwise = False"
        )
    if optimizer.elementwise:
        pieces = OptimizerBench(optimizer, layout=_pieces()).follow(gradients)
        _assert_same_arrays(pieces, whole, "where the same vector has other parameters")


def zero_gradient(example: Example) -> None:
    """Where there is no gradient, and never was, parameters stay; all stay finite for zero and tiny gradients."""
    optimizer = plain(optimizer_of(example))
    for dtype in ("float32", "float64"):
        still = OptimizerBench(optimizer, dtype=dtype).follow([np.zeros(SIZE)] * 3)
        moved = float(np.max(np.abs(still.parameters - still.start)))
        assert moved == 0, (
            f"expected parameters without a gradient to stay in {dtype}, but they move by up to {moved:g}"
        )
        after = OptimizerBench(optimizer, dtype=dtype).follow(random_gradients(3))
        after.follow([np.zeros(SIZE), np.full(SIZE, 1e-30), np.zeros(SIZE)])
        for name, array in after.arrays().items():
            assert np.isfinite(array).all(), (
                f"expected {name} to stay finite in {dtype} for gradients of 0 and 1e-30, received {array}"
            )


def steady_memory(example: Example) -> None:
    """However many the steps, no more memory is held on to."""
    bench = OptimizerBench(optimizer_of(example))
    if _held_by(bench, _FEW) < _BYTES_A_STEP * _FEW:
        return
    # What few steps hold may be garbage that nobody has looked for yet, or a cache that is not full yet.
    held = _held_by(bench, _MANY, collected=True)
    assert held < _BYTES_A_STEP * _MANY, (
        f"expected no more memory to be held on to with each step, received {held} bytes more after {_MANY} further "
        f"steps on vectors of {SIZE} elements, {held / _MANY:.0f} bytes a step"
    )


def dtype_kept(example: Example) -> None:
    """Parameters and slots keep the network's dtype, and in float32 are what they are in float64, to its precision."""
    optimizer = optimizer_of(example)
    double, single = (
        OptimizerBench(optimizer, dtype=dtype).follow(random_gradients(3)).arrays() for dtype in ("float64", "float32")
    )
    for name, array in double.items():
        assert_float(array, "float64", name)
        assert_float(single[name], "float32", name)
        what = f"{name} in float32 to be as in float64"
        assert_close(single[name].astype(np.float64), array, what, relative=1e-3, absolute=1e-3)


def learning_rate_counts(example: Example) -> None:
    """The step follows `ctx.learning_rate`, at which a schedule has been at work, and is nothing where that is."""
    optimizer, gradients = optimizer_of(example), random_gradients(3) + 0.01
    whole = OptimizerBench(optimizer).follow(gradients)
    length = float(np.linalg.norm(whole.parameters - whole.start))
    assert length > 0, "expected the parameters to move along their gradients, but they stay"
    tiny = OptimizerBench(optimizer).follow(gradients, factor=1e-6)
    small = float(np.linalg.norm(tiny.parameters - tiny.start))
    assert small < 1e-3 * length, (
        f"expected next to no steps with a millionth of the learning rate, received steps of length {small:g}, and of "
        f"{length:g} with the whole rate: read ctx.learning_rate, not self.learning_rate"
    )
    later = OptimizerBench(optimizer).follow(gradients[:2]).follow(gradients[2:], factor=0.5)
    assert not np.array_equal(later.parameters, whole.parameters), (
        "expected another step where the learning rate falls between two steps, received the same"
    )


def common_fields(example: Example) -> None:
    """The rule leaves decay, penalties, clipping and averaging, which are applied around it, to the framework."""
    optimizer = optimizer_of(example)
    expected = _update_alone(plain(optimizer))
    for name, value in _COMMON.items():
        received = _update_alone(plain(optimizer, **{name: value}))
        assert_same(received, expected, f"update to do the same whatever {name} is, as that is seen to around it")


def scratch(example: Example) -> None:
    """Arrays of `ctx.empty` are written before they are read, whatever they hold."""
    optimizer = plain(optimizer_of(example))
    usual = OptimizerBench(optimizer).follow(random_gradients(_STEPS))
    received = _update_alone(optimizer)
    assert np.isfinite(received).all(), (
        "expected finite parameters whatever the arrays of ctx.empty hold, received others where these hold NaN"
    )
    assert_same(received, usual.parameters, "the parameters to be the same whatever the arrays of ctx.empty hold")


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the optimizer or its class: what it remembers are slots."""
    optimizer = optimizer_of(example)
    with keeping_nothing(optimizer):
        OptimizerBench(optimizer).follow(1e5 * random_gradients(_STEPS, seed=7))


def no_global_random_state(example: Example) -> None:
    """Nothing is drawn from a global generator."""
    with drawing_from_no_global_generator():
        OptimizerBench(optimizer_of(example)).follow(random_gradients(_STEPS))


def deterministic(example: Example) -> None:
    """The same gradients give the same parameters and slots."""
    one, other = (OptimizerBench(optimizer_of(example)).follow(random_gradients(_STEPS)) for _ in range(2))
    _assert_same_arrays(other, one, "when all is repeated")


def reference(example: Example) -> None:
    """The parameters after several steps are those of the example's reference."""
    if example.reference is None:
        raise Skipped("no example has a reference to compare with")
    whole = (ParameterSlice("kernel", (SIZE,), 0, SIZE, decay=True),)
    for steps in (1, 2, _STEPS):
        gradients = random_gradients(steps)
        bench = OptimizerBench(optimizer_of(example), layout=whole).follow(gradients)
        expected = example.reference(bench.start.copy(), list(gradients))
        assert_close(bench.parameters, expected, f"what the reference gives after step {steps}")


CHECKS = (
    lowers_quadratic,
    slots_survive,
    slots,
    layout_independent,
    zero_gradient,
    steady_memory,
    dtype_kept,
    learning_rate_counts,
    common_fields,
    scratch,
    keeps_nothing,
    no_global_random_state,
    deterministic,
    reference,
)


def _sensible_factor(optimizer: Optimizer) -> float:
    """A factor on the learning rate at which a step moves the parameters by about 3% of their length.

    It follows from steps at next to no rate, where they are in proportion to it, whatever the rate is.
    """
    bench = OptimizerBench(dataclasses.replace(optimizer, learning_rate=1e-6 * optimizer.learning_rate))
    bench.descend(_slope, 5)
    share = float(np.linalg.norm(bench.parameters - bench.start) / np.linalg.norm(bench.start)) / 5
    return 1e-6 * 0.03 / share if 0 < share < np.inf else 1.0


def _share_left(optimizer: Optimizer, factor: float, dtype: str) -> float:
    """The loss of the quadratic after the descent, by that before; the mean of the last steps, which may swing."""
    bench = OptimizerBench(dataclasses.replace(optimizer, learning_rate=factor * optimizer.learning_rate), dtype=dtype)
    before = _quadratic(bench.parameters)
    bench.descend(_slope, _DESCENT - 10)
    after = [_quadratic(bench.descend(_slope, 1).parameters) for _ in range(10)]
    share = float(np.mean(after)) / before
    return share if np.isfinite(share) else np.inf


def _quadratic(parameters: Array) -> float:
    return float(np.dot(_CURVATURE, parameters.astype(np.float64) ** 2)) / 2


def _slope(parameters: Array) -> Array:
    return _CURVATURE.astype(parameters.dtype) * parameters


def _pieces() -> Sequence[ParameterSlice]:
    """The stretches of `LAYOUT`, each cut in two."""
    pieces = []
    for part in LAYOUT:
        cut = part.start + 4
        for name, start, stop in ((f"{part.name}_1", part.start, cut), (f"{part.name}_2", cut, part.stop)):
            pieces.append(ParameterSlice(name, (stop - start,), start, stop, part.decay))
    return pieces


def _assert_same_arrays(received: OptimizerBench, expected: OptimizerBench, what: str) -> None:
    arrays = received.arrays()
    for name, array in expected.arrays().items():
        assert_same(arrays[name], array, f"{name} to be the same {what}")


def _update_alone(optimizer: Optimizer) -> Array:
    """The parameters after steps of `update` with nothing around it, and with NaN in the scratch arrays."""
    bench = OptimizerBench(dataclasses.replace(optimizer, average=None))
    layout = () if optimizer.elementwise else LAYOUT
    for step, gradient in enumerate(random_gradients(_STEPS), 1):
        ctx = BareContext(bench.state.slots, step, optimizer.learning_rate, unspecified, layout)
        optimizer.update(bench.parameters, gradient.copy(), ctx)
    return bench.parameters


def _held_by(bench: OptimizerBench, steps: int, *, collected: bool = False) -> int:
    """The bytes that so many steps, after as many others, take and don't give back; without garbage if `collected`."""
    gradient, sizes = random_gradients(1)[0], []
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        for _ in range(2):
            bench.follow(itertools.repeat(gradient, steps))
            if collected:
                gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return sizes[1] - sizes[0]


class _StopAfter(Listener):
    """Ends training after so many steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def batch_end(self, run: Run, memory: Memory) -> None:
        if run.step == self.steps:
            run.stop("the check wants it")


def _assert_resumes(optimizer: Optimizer) -> None:
    from microframe.model import Model

    stopped = _train(optimizer, [_StopAfter(4)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        stopped.save(path)
        whole = _train(optimizer)
        resumed = _train(optimizer, model=Model.load(path))
    what = "a training that is saved, loaded and resumed to end with"
    assert_same(resumed.network.parameters, whole.network.parameters, f"{what} the parameters of an uninterrupted one")
    assert resumed.checkpoint is not None
    assert whole.checkpoint is not None
    for name, array in whole.checkpoint.arrays.items():
        assert_same(resumed.checkpoint.arrays[name], array, f"{what} the {name} of an uninterrupted one")


def _train(optimizer: Optimizer, listeners: Iterable[Listener] = (), model: Model | None = None) -> Model:
    """Three epochs of three batches; what is left of them where a model is given."""
    from microframe.model import Model
    from microframe.standard.layers import Dense

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
    trained = Model([Dense(2)]) if model is None else model
    trained.fit(
        x,
        y,
        loss="mean_squared_error",
        optimizer=optimizer,
        epochs=3,
        batch_size=4,
        resume=model is not None,
        listeners=list(listeners),
    )
    return trained
