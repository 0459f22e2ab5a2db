"""What every layer must do."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.contexts import InferenceContext
from microframe.interfaces import FittedLayer, Layer
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
from microframe.testing.conformance import Skipped
from microframe.testing.layer_bench import LayerBench, Step
from microframe.testing.layers import assert_input_gradients, assert_parameter_gradients

_THREADS = 8


def output_shape(example: Example) -> None:
    """Forward gives what build said, for any number of rows, in training and in inference."""
    for batch in (3, 1, 2, 0):
        bench = LayerBench(example, batch=batch)
        expected = (batch, *bench.output_shape)
        assert isinstance(bench.output_shape, tuple), (
            f"expected build to return a tuple of whole numbers, received {bench.output_shape!r}"
        )
        assert bench.infer().shape == expected, (
            f"expected an output of shape {expected}, as build said, received {bench.infer().shape}"
        )
        step = bench.step()
        assert step.output.shape == expected, (
            f"expected an output of shape {expected} in training, as build said, received {step.output.shape}"
        )
        for index, (x, dx) in enumerate(zip(bench.inputs, step.input_gradients, strict=True)):
            assert dx is None or dx.shape == x.shape, (
                f"expected a gradient of input {index} of its shape {x.shape}, received {dx.shape}"
            )


def parameter_gradients(example: Example) -> None:
    """Backward fills in the gradient with respect to each parameter."""
    bench = LayerBench(example)
    if not bench.parameters:
        raise Skipped("the layer has no parameters")
    assert_parameter_gradients(bench)
    assert_parameter_gradients(LayerBench(example, batch=1, seed=1))


def input_gradients(example: Example) -> None:
    """Backward returns the gradient with respect to each input."""
    bench = LayerBench(example)
    if bench.layer.input_dtype == "int64":
        raise Skipped("the inputs are whole numbers")
    assert_input_gradients(bench)
    assert_input_gradients(LayerBench(example, batch=1, seed=1))


def gradients_overwritten(example: Example) -> None:
    """Backward fills in every gradient whole, whatever was there before, and adds to none."""
    bench = LayerBench(example)
    if not bench.parameters:
        raise Skipped("the layer has no parameters")
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


def unneeded_input_gradient(example: Example) -> None:
    """Where nobody needs the gradient of the input, backward still fills in those of the parameters."""
    bench = LayerBench(example)
    if not bench.parameters:
        raise Skipped("the layer has no parameters")
    ctx = bench.training_context()
    ctx.needs_input_gradient = False
    bench.layer.forward(ctx, *bench.inputs)
    bench.layer.backward(ctx, bench.dy)
    for name, gradient in bench.step().gradients.items():
        assert_same(
            ctx.gradients[name], gradient, f"the gradient of {name!r} to be the same when no input needs its own"
        )


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


def dtype_kept(example: Example) -> None:
    """A float32 network stays in float32, outputs and gradients, and a float64 one in float64."""
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
    """State is written in training alone, into the arrays that were declared."""
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


def save_and_load(example: Example) -> None:
    """A model with the layer predicts the same bits after saving and loading."""
    from microframe.model import Model

    bench = LayerBench(example, dtype="float32")
    shape, *others = bench.input_shapes
    if any(other != shape for other in others):
        raise Skipped("the layer has several inputs of different shapes")
    layer = dataclasses.replace(bench.layer, inputs=("input",) * (1 + len(others)))
    model = Model([layer]).build(shape)
    if isinstance(bench.layer, FittedLayer):
        rng = np.random.default_rng(0)
        model.network.fit_preprocessing(lambda: [rng.normal(1, 2, (5, *shape))])
    x = bench.inputs[0]
    before = model(x)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        model.save(path)
        assert_same(Model.load(path)(x), before, "a loaded model to predict what the saved one did")


CHECKS = (
    output_shape,
    parameter_gradients,
    input_gradients,
    gradients_overwritten,
    unneeded_input_gradient,
    training_and_inference,
    rows_apart,
    dtype_kept,
    arguments_unmodified,
    state,
    keeps_nothing,
    interleaved_passes,
    steps_repeat,
    no_global_random_state,
    memory_layouts,
    inference_function,
    threads,
    reference,
    save_and_load,
)


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
