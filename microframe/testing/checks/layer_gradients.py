"""What the backward pass of every layer must do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from microframe.component import Example
from microframe.testing.checks.guards import assert_close, assert_same, gradient_is_exact
from microframe.testing.conformance import Skipped
from microframe.testing.layer_bench import LayerBench, at_every_shape
from microframe.testing.layers import assert_input_gradients, assert_parameter_gradients

_DIRECTIONS = 4
"""Fewer than elsewhere, as there are several benches."""
_MANY_ROWS = 260
"""More than the powers of two, up to 256, that a layer may cut batches by."""
_PIECES = (slice(0, 9), slice(9, 100), slice(100, _MANY_ROWS))


def parameter_gradients(example: Example) -> None:
    """Backward fills in the gradient with respect to each parameter."""
    _require_parameters(LayerBench(example))
    _require_exact(example)
    for bench in _benches(example):
        assert_parameter_gradients(bench, directions=_DIRECTIONS)


def input_gradients(example: Example) -> None:
    """Backward returns the gradient with respect to each input."""
    bench = LayerBench(example)
    if bench.layer.input_dtype == "int64":
        raise Skipped("the inputs are whole numbers")
    _require_exact(example)
    for bench in _benches(example):
        assert_input_gradients(bench, directions=_DIRECTIONS)


def gradients_overwritten(example: Example) -> None:
    """Backward fills in every gradient whole, whatever was there before, and adds to none."""
    bench = LayerBench(example)
    _require_parameters(bench)
    first = bench.step().gradients
    for name, gradient in first.items():
        assert not np.isnan(gradient).any(), (
            f"expected backward to fill the gradient of {name!r} whole, but it left values there or added to them"
        )
    gradients = {name: np.full_like(array, 7) for name, array in first.items()}
    ctx = bench.training_context(gradients=dict(gradients))
    bench.layer.forward(ctx, *bench.inputs)
    bench.layer.backward(ctx, bench.dy)
    for name, gradient in gradients.items():
        what = f"the gradient of {name!r} to be written over what is in its array, and neither added nor put elsewhere"
        assert_same(gradient, first[name], what)
    for name, gradient in LayerBench(example, batch=0).step().gradients.items():
        assert np.isfinite(gradient).all(), f"expected a finite gradient of {name!r} for no rows, received {gradient}"


def unneeded_input_gradient(example: Example) -> None:
    """Where nobody needs the gradient of the input, backward still fills in those of the parameters."""
    bench = LayerBench(example)
    _require_parameters(bench)
    ctx = bench.training_context()
    ctx.needs_input_gradient = False
    bench.layer.forward(ctx, *bench.inputs)
    bench.layer.backward(ctx, bench.dy)
    for name, gradient in bench.step().gradients.items():
        assert_same(
            ctx.gradients[name], gradient, f"the gradient of {name!r} to be the same when no input needs its own"
        )


def many_rows(example: Example) -> None:
    """A large batch gives each row what small ones give it, and the gradients of parameters are the sums of theirs."""
    bench = LayerBench(example, batch=_MANY_ROWS)
    what = f"of a batch of {_MANY_ROWS} rows to be that of smaller ones"
    together = bench.infer()
    for rows in _PIECES:
        assert_close(bench.infer(*[x[rows] for x in bench.inputs]), together[rows], f"the output {what}")
    if bench.layer.differs_in_training or not gradient_is_exact(bench.layer):
        return
    whole = bench.step()
    steps = [bench.step(inputs=[x[rows] for x in bench.inputs], dy=bench.dy[rows]) for rows in _PIECES]
    for name, gradient in whole.gradients.items():
        total = sum(step.gradients[name] for step in steps)
        assert_close(gradient, total, f"the gradient of {name!r} {what}, added up")
    for index, dx in enumerate(whole.input_gradients):
        parts = [part for step in steps if (part := step.input_gradients[index]) is not None]
        if dx is not None:
            assert_close(dx, np.concatenate(parts), f"the gradient of input {index} {what}")


def _benches(example: Example) -> Iterator[LayerBench]:
    """The layer for a few rows, for one, and for inputs far from 0 unless the output is infinite there."""
    for shown in at_every_shape(example):
        yield LayerBench(shown)
        yield LayerBench(shown, batch=1, seed=1)
        far = LayerBench(shown, scale=10, seed=2)
        if far.has_random_inputs and np.isfinite(far.step().output).all():
            yield far


def _require_parameters(bench: LayerBench) -> None:
    if not bench.parameters:
        raise Skipped("the layer has no parameters")


def _require_exact(example: Example) -> None:
    if not gradient_is_exact(example.component):
        raise Skipped("the layer says that its gradient is another one on purpose")
