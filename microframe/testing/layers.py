"""The gradients of a layer on its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.interfaces import Layer
from microframe.testing.gradients import assert_gradient, directional_derivative
from microframe.testing.layer_bench import LayerBench


def assert_layer_gradients(
    layer: Layer,
    *inputs: Shape | Array,
    batch: int = 3,
    training: bool = True,
    seed: int = 0,
) -> None:
    """Assert that `backward` gives the gradient of sum(weights * output), for random weights.

    The layer is built alone, in float64, and checked with respect to every parameter and every input. Parameters
    start from their initializers, moved a little so that none is constant; a `FittedLayer` is fitted on random data.
    Inputs and dy are read-only, so that a layer which modifies them fails.

    Args:
        layer: what to check.
        inputs: for each input the shape of one sample, or an array of samples.
        batch: the number of samples.
        training: True to compare with what forward computes in training, where each evaluation finds the same state
            and draws the same noise; False to compare with inference, for a layer that is the same in both.
        seed: of everything random.

    Raises:
        AssertionError: a gradient differs or is missing; says which.
    """
    bench = LayerBench(Example(layer, inputs=inputs), batch=batch, seed=seed)
    assert_parameter_gradients(bench, training=training)
    assert_input_gradients(bench, training=training)


def assert_parameter_gradients(bench: LayerBench, *, training: bool = True) -> None:
    """Assert that backward fills in the gradient with respect to each parameter."""
    gradients = bench.step().gradients
    for name, array in bench.parameters.items():
        _assert_gradient(bench, repr(name), partial(_value, bench, training, name), gradients[name], array)


def assert_input_gradients(bench: LayerBench, *, training: bool = True) -> None:
    """Assert that backward returns the gradient with respect to each input; None says that the output has none."""
    gradients = bench.step().input_gradients
    is_missing = len(gradients) == 1 and gradients[0] is None
    assert not is_missing, f"the gradient of {bench.layer.type!r} for its input: expected an array, received None"
    for index, (array, gradient) in enumerate(zip(bench.inputs, gradients, strict=True)):
        if array.dtype == np.float64:
            value = partial(_value, bench, training, index)
            if gradient is not None:
                _assert_gradient(bench, f"input {index}", value, gradient, array)
            elif not _jumps(value, array):
                _assert_gradient(bench, f"input {index}", value, np.zeros_like(array), array)


def _assert_gradient(bench: LayerBench, what: str, value: Any, gradient: Array, array: Array) -> None:
    try:
        assert_gradient(value, gradient, array, seed=bench.seed)
    except AssertionError as error:
        raise AssertionError(f"the gradient of {bench.layer.type!r} for {what}: {error}") from error


def _jumps(value: Callable[[Array], float], x: Array) -> bool:
    """Whether `value` jumps at x, as where the sign of a mask decides: its difference doesn't shrink with the step."""
    far, near = (directional_derivative(value, x, np.ones_like(x), epsilon) for epsilon in (1e-6, 1e-8))
    return abs(near) > 10 * max(abs(far), 1.0)


def _value(bench: LayerBench, training: bool, key: str | int, array: Array) -> float:
    """sum(dy * output) with `array` in the place of a parameter (by name) or an input (by position)."""
    parameters, inputs = dict(bench.parameters), list(bench.inputs)
    if isinstance(key, str):
        parameters[key] = array
    else:
        inputs[key] = array
    ctx = bench.training_context(parameters, {}) if training else bench.inference_context(parameters)
    return float(np.vdot(bench.dy, bench.layer.forward(ctx, *inputs)))
