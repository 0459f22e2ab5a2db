"""What every activation must do."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.contexts import InferenceContext, TrainingContext
from microframe.interfaces import Activation
from microframe.testing.checks.guards import (
    ARRANGEMENTS,
    assert_close,
    assert_float,
    assert_repeats,
    assert_same,
    drawing_from_no_global_generator,
    gradient_is_exact,
    interrupted_by,
    keeping_nothing,
    leaving,
    may_overflow,
    switching_often,
    unspecified,
)
from microframe.testing.conformance import Skipped
from microframe.testing.gradients import assert_gradient
from microframe.testing.layer_bench import UnspecifiedContext

_SHAPES: tuple[Shape, ...] = ((3, 6), (1, 6), (0, 6), (4, 1), (2, 3, 4), (2, 3, 3, 2))
_ROWS = (
    (1e4, 0.0, -1e4),
    (1e4, 1e4, 1e4),
    (-1e4, -1e4, -1e4),
    (0.0, 0.0, 0.0),
    (-0.0, -0.0, -0.0),
    (30.0, -30.0, 0.0),
    (100.0, -100.0, -0.0),
)
"""Inputs of which each is extreme by itself or beside its neighbours."""
_FAR = (
    (39.7, -39.7, 0.3),
    (-39.7, -21.1, -10.3),
    (8.3, 6.7, 4.9),
    (39.7, 31.3, 19.1),
    (-4.9, -6.7, -8.3),
)
"""Inputs far from 0, where functions that are computed by parts change over to other formulas."""
_ROUNDING = 1e-9
"""By how much rounding throws a difference quotient off, relative to the terms of what is summed: 1e-16 over the step
1e-6, with room."""
_MANY_ROWS = 300
_THREADS = 8


def shape_and_dtype(example: Example) -> None:
    """Forward and backward fill an array of the input's shape and dtype, for any number of rows."""
    activation = _activation(example)
    for dtype in ("float32", "float64"):
        for shape in _SHAPES:
            x, dy = _samples(shape, dtype)
            y = _forward(activation, x)
            dx = _backward(activation, dy, x, y)
            for name, array in (("forward", y), ("backward", dx)):
                assert not np.isnan(array).any(), (
                    f"expected {name} to write a number into every element of out, of shape {shape}, received NaN or "
                    f"elements left as they were"
                )
            for name, array in zip(("apply", "pull_back"), _through_context(activation, x, dy), strict=True):
                assert array.shape == shape, f"expected {name} to return shape {shape}, received {array.shape}"
                assert_float(array, dtype, f"what {name} returns")


def gradient(example: Example) -> None:
    """Backward gives the gradient of forward; at a kink, any slope between those of its two sides."""
    activation = _activation(example)
    if not gradient_is_exact(activation):
        raise Skipped("the activation says that its gradient is another one on purpose")
    for seed, (shape, scale) in enumerate((((3, 6), 1.0), ((2, 3, 4), 4.0), ((4, 1), 1.0))):
        x, dy = _samples(shape, seed=seed)
        _assert_gradient(activation, scale * x, dy)
    for row in _FAR:
        _assert_gradient(activation, np.array([row]), _samples((1, len(row)))[1])
    for zero in (0.0, -0.0):
        _assert_gradient(activation, np.full((2, 3), zero), _samples((2, 3))[1])


def precision(example: Example) -> None:
    """A float32 network gets what a float64 one gets, to the precision of float32."""
    activation = _activation(example)
    x, dy = _samples((4, 6), "float32")
    exact = _both(activation, x.astype(np.float64), dy.astype(np.float64))
    for name, received, expected in zip(("forward", "backward"), _both(activation, x, dy), exact, strict=True):
        what = f"{name} in float32 to give what it gives in float64"
        assert_close(received.astype(np.float64), expected, what, relative=1e-3, absolute=1e-4)


def rows_apart(example: Example) -> None:
    """The output for a row doesn't depend on which other rows are in the batch."""
    activation = _activation(example)
    x, dy = _samples((4, 6))
    together = _both(activation, x, dy)
    for row in range(len(x)):
        alone = _both(activation, x[row : row + 1], dy[row : row + 1])
        for name, one, all_of_them in zip(("forward", "backward"), alone, together, strict=True):
            assert_close(one[0], all_of_them[row], f"{name} to give each row of a batch what it gives it alone")
    x, dy = _samples((_MANY_ROWS, 6))
    together = _both(activation, x, dy)
    for rows in (slice(0, 30), slice(30, _MANY_ROWS)):
        parts = _both(activation, x[rows], dy[rows])
        for name, part, all_of_them in zip(("forward", "backward"), parts, together, strict=True):
            assert_close(part, all_of_them[rows], f"{name} to give a row of {_MANY_ROWS} what it gives it among fewer")


def in_place(example: Example) -> None:
    """Forward may write over x and backward over dy, and a layer gets the same through `apply` and `pull_back`."""
    activation = _activation(example)
    for dtype in ("float32", "float64"):
        x, dy = _samples((3, 6), dtype)
        y, dx = _both(activation, x, dy)
        own_x, own_dy = x.copy(), dy.copy()
        activation.forward(own_x, own_x)
        assert_close(own_x, y, "forward to give the same when out is x itself")
        activation.backward(own_dy, _needed(activation, x), y, own_dy)
        assert_close(own_dy, dx, "backward to give the same when out is dy itself")
        _, inferred = activation.apply(_inference_context(dtype), x.copy())
        assert_close(inferred, y, "`apply` in inference to give what forward does")
        applied, pulled = _through_context(activation, x, dy)
        assert_close(applied, y, "`apply` in training to give what forward does")
        assert_close(pulled, dx, "`pull_back` to give what backward does")


def extremes(example: Example) -> None:
    """Values and gradients are finite at 0, -0 and +-10000, wherever the function itself is."""
    activation = _activation(example)
    for dtype in ("float32", "float64"):
        x = np.array(_ROWS, dtype)
        y = _forward(activation, x)
        exact, at_hundredth = (_forward(activation, np.array(_ROWS) / divisor) for divisor in (1, 100))
        grows = may_overflow(exact, at_hundredth, dtype)
        _assert_finite(y, grows, f"forward in {dtype}", x)
        for dy in (np.ones_like(x), _samples(x.shape, dtype)[1]):
            dx = _backward(activation, dy, x, y)
            _assert_finite(dx, grows | ~np.isfinite(y).all(axis=-1, keepdims=True), f"backward in {dtype}", x)


def arguments_unmodified(example: Example) -> None:
    """Neither x nor dy nor y is modified where out is another array; `pull_back` leaves dy and y as they are."""
    activation = _activation(example)
    x, dy = _samples((3, 6))
    with leaving(x=x):
        y = _forward(activation, x)
    with leaving(x=x, dy=dy, y=y):
        _backward(activation, dy, x, y)
    ctx = _training_context("float64")
    kept, y = activation.apply(ctx, x)
    with leaving(dy=dy, y=y):
        activation.pull_back(ctx, dy, kept, y)


def memory_layouts(example: Example) -> None:
    """Arrays may be strided or in Fortran's order, and those that are read may be read-only."""
    activation = _activation(example)
    x, dy = _samples((3, 6))
    y, dx = _both(activation, x, dy)
    for name, arranged in ARRANGEMENTS.items():
        what = f"to give the same where arrays are {name}"
        for out in (unspecified(x.shape), arranged(unspecified(x.shape), writeable=True)):
            activation.forward(arranged(x), out)
            assert_close(out, y, f"forward {what}")
            activation.backward(arranged(dy), _needed(activation, arranged(x)), arranged(y), out)
            assert_close(out, dx, f"backward {what}")
        own = arranged(x, writeable=True)
        activation.forward(own, own)
        assert_close(own, y, f"forward in place {what}")


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the activation or its class: what backward needs is handed to it."""
    activation = _activation(example)
    with keeping_nothing(activation):
        x, dy = (1e5 * array for array in _samples((7, 5)))  # larger, and of another shape, than any seen before
        y, _ = _both(activation, x, dy)
        _through_context(activation, x, dy)
        activation.probabilities(y)


def interleaved(example: Example) -> None:
    """Two passes, forward, forward, backward, backward, don't disturb each other."""
    activation = _activation(example)
    samples = [_samples((3, 6), seed=seed) for seed in range(2)]
    expected = [_both(activation, x, dy)[1] for x, dy in samples]
    outputs = [_forward(activation, x) for x, _ in samples]
    for (x, dy), y, dx in zip(samples, outputs, expected, strict=True):
        assert_close(_backward(activation, dy, x, y), dx, "each of two interleaved passes to give its own gradient")


def no_global_random_state(example: Example) -> None:
    """Nothing is drawn from a global generator."""
    activation = _activation(example)
    with drawing_from_no_global_generator():
        x, dy = _samples((3, 6))
        _both(activation, x, dy)
        _through_context(activation, x, dy)


def deterministic(example: Example) -> None:
    """The same input gives the same output and gradient."""
    activation = _activation(example)
    x, dy = _samples((3, 6))
    y = _forward(activation, x)
    assert_repeats(lambda: _forward(activation, x), "the output")
    assert_repeats(lambda: _backward(activation, dy, x, y), "the gradient")


def threads(example: Example) -> None:
    """Several threads at once compute what one does."""
    activation = _activation(example)

    def compute(batch: tuple[Array, Array]) -> tuple[Array, Array]:
        with np.errstate(all="ignore"):  # of each thread its own
            return _both(activation, *batch)

    one, other = (_samples((3, 6), seed=seed) for seed in range(2))
    received = interrupted_by(lambda: compute(other), lambda: compute(one), within_lines=True)
    _assert_same_in_threads(received, compute(one))
    batches = [_samples((64, 64), "float32", seed) for seed in range(_THREADS)]
    expected = [compute(batch) for batch in batches]
    with switching_often(), ThreadPoolExecutor(_THREADS) as pool:
        for received, alone in zip(pool.map(compute, batches * 2), expected * 2, strict=True):
            _assert_same_in_threads(received, alone)


def probabilities(example: Example) -> None:
    """`probabilities` gives None, or numbers from 0 to 1 that sum to 1 over the classes unless they are independent."""
    activation = _activation(example)
    shapes: tuple[Shape, ...] = ((5, 4), (5, 1), (2, 3, 4))
    for shape in shapes:
        y = _forward(activation, 3 * _samples(shape)[0])
        with leaving(y=y):
            shares = activation.probabilities(y)
        if shares is None:
            raise Skipped("its outputs are no probabilities")
        # A lone output may stand for two classes, of which it is the second.
        fitting = {shape, (*shape[:-1], max(shape[-1], 2))}
        assert shares.shape in fitting, (
            f"expected probabilities of shape {max(fitting)} from outputs of shape {shape}, received {shares.shape}"
        )
        assert ((shares >= 0) & (shares <= 1)).all(), (
            f"expected probabilities from 0 to 1, received values from {shares.min():g} to {shares.max():g}"
        )
        if shape[-1] == 1 or not _is_elementwise(activation, shape):
            assert_close(shares.sum(axis=-1), np.ones(shape[:-1]), "the probabilities of a row to sum to 1")


def reference(example: Example) -> None:
    """The output is that of the example's reference."""
    if example.reference is None:
        raise Skipped("no example has a reference to compare with")
    for shape in ((3, 6), (2, 3, 4)):
        x, _ = _samples(shape)
        received = _forward(_activation(example), x)
        assert_close(received, example.reference(x.copy()), "what the reference gives")


def save_and_load(example: Example) -> None:
    """A model with the activation predicts the same bits after saving and loading."""
    from microframe.model import Model
    from microframe.standard.layers import Dense

    model = Model([Dense(6, activation=_activation(example))]).build((4,))
    x, _ = _samples((5, 4), "float32")
    before = model(x)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        model.save(path)
        assert_same(Model.load(path)(x), before, "a loaded model to predict what the saved one did")


CHECKS = (
    shape_and_dtype,
    gradient,
    precision,
    rows_apart,
    in_place,
    extremes,
    arguments_unmodified,
    memory_layouts,
    keeps_nothing,
    interleaved,
    no_global_random_state,
    deterministic,
    threads,
    probabilities,
    reference,
    save_and_load,
)


def _training_context(dtype: str) -> TrainingContext:
    return UnspecifiedContext({}, {}, {}, np.random.default_rng(0), np.dtype(dtype), needs_input_gradient=True)


def _inference_context(dtype: str) -> InferenceContext:
    return InferenceContext({}, {}, partial(unspecified, dtype=np.dtype(dtype)))


def _activation(example: Example) -> Activation:
    activation = example.component
    assert isinstance(activation, Activation)
    return activation


def _samples(shape: Shape, dtype: str = "float64", seed: int = 0) -> tuple[Array, Array]:
    """Random inputs, and random gradients with respect to the output."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 2, shape).astype(dtype), rng.standard_normal(shape).astype(dtype)


def _needed(activation: Activation, x: Array) -> Array | None:
    return x if activation.needs_input else None


def _forward(activation: Activation, x: Array) -> Array:
    out = unspecified(x.shape, x.dtype)
    activation.forward(x, out)
    return out


def _backward(activation: Activation, dy: Array, x: Array, y: Array) -> Array:
    out = unspecified(dy.shape, dy.dtype)
    activation.backward(dy, _needed(activation, x), y, out)
    return out


def _both(activation: Activation, x: Array, dy: Array) -> tuple[Array, Array]:
    """The output, and the gradient with respect to the input."""
    y = _forward(activation, x)
    return y, _backward(activation, dy, x, y)


def _through_context(activation: Activation, x: Array, dy: Array) -> tuple[Array, Array]:
    """The same two as a layer gets them in training."""
    ctx = _training_context(x.dtype.name)
    kept, y = activation.apply(ctx, x.copy())
    return y, activation.pull_back(ctx, dy, kept, y)


def _assert_gradient(activation: Activation, x: Array, dy: Array) -> None:
    y = _forward(activation, x)
    dx = _backward(activation, dy, x, y)
    rounding = _ROUNDING * float(np.abs(dy * y).sum())
    assert np.isfinite(dx).all(), f"expected a finite gradient at inputs up to {np.abs(x).max():g}, received {dx}"
    assert_gradient(
        lambda moved: float(np.vdot(_forward(activation, moved), dy)), dx, x, absolute=1e-5 + rounding, relative=1e-4
    )


def _assert_finite(values: Array, excused: Array, what: str, x: Array) -> None:
    """Assert that `values`, (rows, elements) as the inputs `x`, are finite but for infinite ones that are excused."""
    wrong = ~np.isfinite(values) & (np.isnan(values) | ~excused)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        row = ", ".join(f"{value:g}" for value in x[place[0]])
        received = f"{values[place]:g} for {x[place]:g} in ({row})"
        raise AssertionError(f"expected {what} to give finite numbers, received {received}")


def _assert_same_in_threads(received: tuple[Array, Array], alone: tuple[Array, Array]) -> None:
    for name, one, other in zip(("forward", "backward"), received, alone, strict=True):
        assert_same(one, other, f"{name} in one of several threads to give what it gives alone")


def _is_elementwise(activation: Activation, shape: Shape) -> bool:
    """Whether the probability of each class follows from its own input alone."""
    x, _ = _samples(shape)
    moved = x.copy()
    moved[..., 0] += 10
    before, after = (activation.probabilities(_forward(activation, each)) for each in (x, moved))
    assert before is not None
    assert after is not None
    return np.array_equal(before[..., 1:], after[..., 1:])
