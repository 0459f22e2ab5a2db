"""What every layer must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.contexts import InferenceContext
from microframe.interfaces import Layer
from microframe.testing.checks.guards import (
    ARRANGEMENTS,
    assert_close,
    assert_float,
    assert_same,
    drawing_from_no_global_generator,
    interrupted_by,
    keeping_nothing,
    leaving,
    switching_often,
)
from microframe.testing.checks.layer_gradients import (
    gradients_overwritten,
    input_gradients,
    many_rows,
    parameter_gradients,
    unneeded_input_gradient,
)
from microframe.testing.checks.layer_models import fitting, save_and_load
from microframe.testing.conformance import Skipped
from microframe.testing.layer_bench import LayerBench, Step, at_every_shape

_THREADS = 8
_FAR = 1e4
"""The scale of large inputs."""
_VAST = 1e12
"""What an exponential or a high power has exceeded by the time that it overflows, and nothing else has."""
_STEPS = 4
"""How many steps with noise are compared: that all of them draw the same by chance is next to impossible."""


def output_shape(example: Example) -> None:
    """Forward gives what build said, for any number of rows, in training and in inference."""
    for shown in at_every_shape(example):
        for batch in (3, 1, 2, 0):
            _assert_shapes(LayerBench(shown, batch=batch), batch)


def training_and_inference(example: Example) -> None:
    """Training computes what inference does, unless the layer says with `differs_in_training` that it doesn't."""
    bench = LayerBench(example)
    if bench.layer.differs_in_training:
        raise Skipped("the layer says that training differs")
    what = (
        "forward to give the same in training and in inference; if it is not meant to, set differs_in_training = True"
    )
    assert_close(bench.step().output, bench.infer(), what)


def rows_apart(example: Example) -> None:
    """In inference the output for a row doesn't depend on which other rows are in the batch."""
    bench = LayerBench(example, batch=4)
    together = bench.infer()
    for row in range(4):
        alone = bench.infer(*[x[row : row + 1] for x in bench.inputs])
        assert_close(alone[0], together[row], "each row of a batch to give what it gives alone, in inference")


def extremes(example: Example) -> None:
    """Outputs and gradients are finite for inputs of the order of 10000, wherever the function itself is."""
    bench = LayerBench(example)
    if not bench.has_random_inputs or bench.layer.input_dtype == "int64":
        raise Skipped("the inputs are not any numbers")
    for what, run in (("the output", LayerBench.infer), ("the output in training", _output_in_training)):
        exact = _rows(run(LayerBench(example, scale=_FAR)))
        vast = _vast(example, run, exact)
        for dtype in ("float32", "float64"):
            output = _rows(run(LayerBench(example, dtype=dtype, scale=_FAR)))
            excused = vast | (np.abs(exact) > np.finfo(dtype).max).any(axis=1)
            _assert_finite(output[~excused], f"{what} in {dtype}")
    for dtype in ("float32", "float64"):
        step = LayerBench(example, dtype=dtype, scale=_FAR).step()
        if np.isfinite(step.output).all():
            for name, gradient in step.gradients.items():
                _assert_finite(gradient, f"the gradient of {name!r} in {dtype}")
            for index, dx in enumerate(step.input_gradients):
                if dx is not None:
                    _assert_finite(dx, f"the gradient of input {index} in {dtype}")


def dtype_kept(example: Example) -> None:
    """A float32 network stays in float32, outputs and gradients, and a float64 one in float64.

    What a layer computes in between is not looked at: float64 may be meant there, as for sums and for running means,
    and nothing tells that from an oversight.
    """
    for dtype in ("float32", "float64"):
        bench = LayerBench(example, dtype=dtype)
        assert_float(bench.infer(), dtype, "the output")
        step = bench.step()
        assert_float(step.output, dtype, "the output in training")
        for index, gradient in enumerate(step.input_gradients):
            if gradient is not None:
                assert_float(gradient, dtype, f"the gradient of input {index}")


def arguments_unmodified(example: Example) -> None:
    """Inputs, parameters, the output and the gradient with respect to it stay as they are."""
    bench = LayerBench(example)
    inputs, dy = [x.copy() for x in bench.inputs], bench.dy.copy()
    parameters = {name: array.copy() for name, array in bench.parameters.items()}
    arrays = {f"input_{index}": x for index, x in enumerate(inputs)} | parameters
    ctx = bench.training_context(parameters)
    with leaving(**arrays):
        bench.layer.forward(bench.inference_context(parameters), *inputs)
    with leaving(**arrays):
        output = bench.layer.forward(ctx, *inputs)
    with leaving(dy=dy, output=output, **arrays):
        bench.backward(ctx, dy)


def state(example: Example) -> None:
    """State is written in training alone, into the arrays that were declared, and stays finite after a single row."""
    bench = LayerBench(example)
    if not bench.state:
        raise Skipped("the layer has no state")
    declared = {name: array.copy() for name, array in bench.state.items()}
    handed = dict(declared)
    with leaving(**declared):
        bench.layer.forward(InferenceContext(bench.parameters, handed, bench.inference_context().empty), *bench.inputs)
    _assert_in_place(handed, declared)
    ctx = bench.training_context()
    declared = dict(ctx.state)
    bench.layer.forward(ctx, *bench.inputs)
    bench.backward(ctx, bench.dy)
    _assert_in_place(ctx.state, declared)
    _assert_state_survives(LayerBench(example, batch=1))


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the layer or its class: what backward needs goes through the context."""
    assert isinstance(example.component, Layer)
    with keeping_nothing(example.component):
        # Other values than those of other checks, after which a cache of them would not change.
        bench = LayerBench(example, batch=5, seed=2)
        bench.infer()
        bench.step()


def interleaved_passes(example: Example) -> None:
    """Two passes, forward, forward, backward, backward, don't disturb each other."""
    one, other = LayerBench(example), LayerBench(example, seed=1)
    expected = one.step(), other.step()
    contexts = one.training_context(), other.training_context()
    outputs = [bench.layer.forward(ctx, *bench.inputs) for bench, ctx in zip((one, other), contexts, strict=True)]
    for bench, ctx, output, alone in zip((one, other), contexts, outputs, expected, strict=True):
        copied = output.copy()
        _assert_same_step(Step(copied, *bench.backward(ctx, bench.dy)), alone, "each of two interleaved passes to give")


def steps_repeat(example: Example) -> None:
    """The same inputs, parameters, state and generator give the same, in the arrays of an earlier step as well."""
    bench = LayerBench(example)
    expected = bench.step()
    _assert_same_step(bench.step(), expected, "a second step with the same generator to give")
    ctx = bench.training_context()
    bench.layer.forward(ctx, *LayerBench(example, seed=1).inputs)
    bench.backward(ctx, bench.dy)
    again = bench.training_context()
    ctx.used, ctx.rng, ctx.state = 0, again.rng, again.state
    output = bench.layer.forward(ctx, *bench.inputs).copy()
    _assert_same_step(Step(output, *bench.backward(ctx, bench.dy)), expected, "a step in the arrays of another to give")


def no_global_random_state(example: Example) -> None:
    """Noise comes from the generator of the context."""
    with drawing_from_no_global_generator():
        bench = LayerBench(example)
        bench.infer()
        bench.step()


def noise(example: Example) -> None:
    """Noise is drawn anew at each step, from the generator of the context."""
    bench = LayerBench(example, batch=16)
    if not bench.layer.differs_in_training:
        raise Skipped("the layer says that training doesn't differ")
    # Rows that are equal differ afterwards by noise alone: the batch looks the same to each of them.
    inputs = [np.repeat(x[:1], len(x), axis=0) for x in bench.inputs]
    ctx = bench.training_context()
    outputs = []
    for step in range(_STEPS):
        ctx.used, ctx.rng = 0, np.random.default_rng(step)
        outputs.append(bench.layer.forward(ctx, *inputs).copy())
    first, *others = outputs
    is_noisy = not np.allclose(first, first[:1], equal_nan=True)
    assert not is_noisy or any(not np.array_equal(first, other, equal_nan=True) for other in others), (
        f"expected noise from ctx.rng, other noise at each step, received the same at {_STEPS} steps"
    )


def memory_layouts(example: Example) -> None:
    """Inputs and gradients may be strided, in Fortran's order, or read-only."""
    bench = LayerBench(example)
    expected, inferred = bench.step(), bench.infer()
    for name, arranged in ARRANGEMENTS.items():
        inputs = [arranged(x) for x in bench.inputs]
        what = f"inputs that are {name} to give what others do"
        assert_close(bench.infer(*inputs), inferred, what)
        step = bench.step(inputs=inputs, dy=arranged(bench.dy))
        assert_close(step.output, expected.output, what)
        for parameter, gradient in step.gradients.items():
            assert_close(gradient, expected.gradients[parameter], f"{what} ({parameter!r})")
        for dx, other in zip(step.input_gradients, expected.input_gradients, strict=True):
            if dx is not None and other is not None:
                assert_close(dx, other, what)


def inference_function(example: Example) -> None:
    """The function that `inference` gives computes what forward does, to the bit, also when parameters have changed."""
    bench = LayerBench(example)
    parameters, state = ({name: array.copy() for name, array in own.items()} for own in (bench.parameters, bench.state))
    ctx = InferenceContext(parameters, state, bench.inference_context().empty)
    function = bench.layer.inference(ctx)
    assert_same(function(*bench.inputs), bench.infer(), "`inference` to compute what forward does")
    for array in (*parameters.values(), *state.values()):
        if array.dtype.kind == "f":  # whole numbers may be indices
            np.multiply(array, 2, out=array)
    expected = bench.layer.forward(ctx, *bench.inputs)
    what = "`inference` to compute what forward does with parameters and state as they are when it is called"
    assert_same(function(*bench.inputs), expected, what)


def threads(example: Example) -> None:
    """Predictions from eight threads at once are those from one."""
    bench = LayerBench(example, batch=16)
    function = bench.layer.inference(bench.inference_context())
    batches = [[np.roll(x, shift, axis=0) for x in bench.inputs] for shift in range(_THREADS)]
    outputs = [function(*inputs) for inputs in batches]
    expected = [LayerBench(example, batch=16).infer(*inputs).copy() for inputs in batches]
    for kept, alone in zip(outputs, expected, strict=True):
        assert_same(kept, alone, "an output to stay as it is when others are computed, which share no memory with it")
    between = interrupted_by(lambda: _quiet(function, batches[1]), lambda: _quiet(function, batches[0]))
    assert_same(between, expected[0], "a prediction to be the same while another thread predicts")
    with switching_often(), ThreadPoolExecutor(_THREADS) as pool:
        for received, alone in zip(pool.map(partial(_quiet, function), batches * 2), expected * 2, strict=True):
            assert_same(received, alone, "a prediction from one of several threads to be what it is alone")


def reference(example: Example) -> None:
    """The output is that of the example's reference."""
    if example.reference is None:
        raise Skipped("no example has a reference to compare with")
    bench = LayerBench(example)
    assert_close(bench.infer(), example.reference(bench.parameters, *bench.inputs), "what the reference gives")


CHECKS = (
    output_shape,
    parameter_gradients,
    input_gradients,
    gradients_overwritten,
    unneeded_input_gradient,
    many_rows,
    training_and_inference,
    rows_apart,
    extremes,
    dtype_kept,
    arguments_unmodified,
    state,
    keeps_nothing,
    interleaved_passes,
    steps_repeat,
    no_global_random_state,
    noise,
    memory_layouts,
    inference_function,
    threads,
    reference,
    fitting,
    save_and_load,
)


def _assert_shapes(bench: LayerBench, batch: int) -> None:
    shape = bench.output_shape
    assert isinstance(shape, tuple), f"expected build to return a tuple of whole numbers, received {shape!r}"
    _assert_numbers(bench.infer(), (batch, *shape), "the output", bench.inputs)
    step = bench.step()
    _assert_numbers(step.output, (batch, *shape), "the output in training", bench.inputs)
    for index, (x, dx) in enumerate(zip(bench.inputs, step.input_gradients, strict=True)):
        assert dx is None or dx.shape == x.shape, (
            f"expected a gradient of input {index} of its shape {x.shape}, received {dx.shape}"
        )


def _assert_numbers(output: Array, expected: Shape, what: str, inputs: Sequence[Array]) -> None:
    assert output.shape == expected, f"expected {what} of shape {expected}, as build said, received {output.shape}"
    assert not np.isnan(output).any() or any(np.isnan(x).any() for x in inputs), (
        f"expected {what} to be of numbers, received NaN or elements left as they were in an array of ctx.empty"
    )


def _assert_state_survives(bench: LayerBench) -> None:
    """Assert that after a step neither state nor what is inferred with it is less finite than before."""
    ctx = bench.training_context()
    bench.layer.forward(ctx, *bench.inputs)
    bench.backward(ctx, bench.dy)
    for name, array in ctx.state.items():
        assert np.isfinite(array[np.isfinite(bench.state[name])]).all(), (
            f"expected the state {name!r} to be finite after a step with a single row, received {array}"
        )
    inference = bench.inference_context()
    after = bench.layer.forward(InferenceContext(bench.parameters, ctx.state, inference.empty), *bench.inputs)
    assert np.isfinite(after).all() or not np.isfinite(bench.infer()).all(), (
        "expected finite outputs in inference after a step with a single row"
    )


def _output_in_training(bench: LayerBench) -> Array:
    return bench.step().output


def _vast(example: Example, run: Callable[[LayerBench], Array], exact: Array) -> Array:
    """For each row of what `run` gives, `exact`, whether it may be infinite: it grows without bounds.

    So it does if it is vast at the largest inputs, of those halved again and again, at which it is finite. Where it is
    small there, as a softmax is, only something on the way to it grows.
    """
    unknown = ~np.isfinite(exact).all(axis=1)
    vast = np.zeros_like(unknown)
    scale = _FAR
    while unknown.any() and scale > 1:
        scale /= 2
        rows = _rows(run(LayerBench(example, scale=scale)))
        is_finite = np.isfinite(rows).all(axis=1)
        vast |= unknown & is_finite & (np.abs(rows).max(axis=1, initial=0) > _VAST)
        unknown &= ~is_finite
    return vast | unknown


def _rows(output: Array) -> Array:
    return output.reshape(len(output), -1)


def _assert_finite(array: Array, what: str) -> None:
    assert np.isfinite(array).all(), f"expected {what} to be finite for inputs of the order of 10000, received {array}"


def _assert_in_place(arrays: Mapping[str, Array], declared: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        assert name in declared, f"expected the state that build declares, but {name!r} is new"
        assert array is declared[name], f"expected the state {name!r} to be written in place, but it was replaced"


def _quiet(function: Callable[..., Array], inputs: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):  # of each thread its own
        return function(*inputs)


def _assert_same_step(received: Step, expected: Step, what: str) -> None:
    assert_same(received.output, expected.output, f"{what} its own output")
    for name, gradient in expected.gradients.items():
        assert_same(received.gradients[name], gradient, f"{what} its own gradient of {name!r}")
    for index, (one, other) in enumerate(zip(received.input_gradients, expected.input_gradients, strict=True)):
        if one is not None and other is not None:
            assert_same(one, other, f"{what} its own gradient of input {index}")
