"""The gradients of a layer on its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.interfaces import Layer
from microframe.testing.gradients import assert_gradient, assert_kinks_shared, directional_derivative, has_kink
from microframe.testing.layer_bench import LayerBench

_ROUNDING = 1e-9
"""By how much rounding throws a difference quotient off, relative to the terms of what is summed: 1e-16 over the step
1e-6, with room."""
_OUTPUTS = 32
"""How many elements of an output are looked at alone, where there are kinks."""


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


def assert_parameter_gradients(bench: LayerBench, *, training: bool = True, directions: int = 8) -> None:
    """Assert that backward fills in the gradient with respect to each parameter, along so many random directions."""
    gradients = bench.step().gradients
    for name in bench.parameters:
        _Gradient(bench, name, training, directions).check(gradients[name])


def assert_input_gradients(bench: LayerBench, *, training: bool = True, directions: int = 8) -> None:
    """Assert that backward returns the gradient with respect to each input, along so many random directions.

    None says that the output has no gradient for an input.
    """
    gradients = bench.step().input_gradients
    is_missing = len(gradients) == 1 and gradients[0] is None
    assert not is_missing, f"the gradient of {bench.layer.type!r} for its input: expected an array, received None"
    for index, (array, gradient) in enumerate(zip(bench.inputs, gradients, strict=True)):
        if array.dtype == np.float64:
            claimed = _Gradient(bench, index, training, directions)
            if gradient is not None:
                claimed.check(gradient)
            elif not _jumps(claimed.value, array):
                claimed.check(np.zeros_like(array))


class _Gradient:
    """The gradient of sum(dy * output) with respect to one array.

    Args:
        bench: with the layer.
        key: the name of a parameter, or the position of an input.
        training: whether the output is that of training.
        directions: along how many to compare.
    """

    def __init__(self, bench: LayerBench, key: str | int, training: bool, directions: int) -> None:
        self.bench = bench
        self.key = key
        self.training = training
        self.directions = directions
        self.array = bench.parameters[key] if isinstance(key, str) else bench.inputs[key]

    def check(self, gradient: Array) -> None:
        """Assert that `gradient` is the gradient for the dy of the bench."""
        try:
            self._check(gradient)
        except AssertionError as error:
            what = repr(self.key) if isinstance(self.key, str) else f"input {self.key}"
            raise AssertionError(f"the gradient of {self.bench.layer.type!r} for {what}: {error}") from error

    def value(self, array: Array) -> float:
        """sum(dy * output) with `array` in the place of the parameter or the input."""
        return self._value(self.bench.dy, array)

    def _check(self, gradient: Array) -> None:
        if not has_kink(self.value, self.array, seed=self.bench.seed):
            self._compare(gradient, self.bench.dy)
            return
        # An element may lie in kinks of several outputs, such as windows that overlap. Any slope between those of the
        # two sides is right for each, but not so for a sum in which they have different signs.
        dy = np.abs(self.bench.dy)
        self._compare(self._gradient(dy), dy)
        for index in np.random.default_rng(self.bench.seed).permutation(dy.size)[:_OUTPUTS]:
            alone = np.zeros_like(dy)
            alone.flat[index] = 1
            value = partial(self._value, alone)
            if has_kink(value, self.array, seed=self.bench.seed):
                assert_kinks_shared(value, self._gradient(alone), self.array)

    def _compare(self, gradient: Array, dy: Array) -> None:
        rounding = _ROUNDING * float(np.abs(dy * self._output(self.array)).sum())
        assert_gradient(
            partial(self._value, dy),
            gradient,
            self.array,
            directions=self.directions,
            absolute=1e-5 + rounding,
            seed=self.bench.seed,
        )

    def _gradient(self, dy: Array) -> Array:
        """What backward gives for `dy`."""
        step = self.bench.step(dy=dy)
        gradient = step.gradients[self.key] if isinstance(self.key, str) else step.input_gradients[self.key]
        return np.zeros_like(self.array) if gradient is None else gradient

    def _value(self, dy: Array, array: Array) -> float:
        return float(np.vdot(dy, self._output(array)))

    def _output(self, array: Array) -> Array:
        bench = self.bench
        parameters, inputs = dict(bench.parameters), list(bench.inputs)
        if isinstance(self.key, str):
            parameters[self.key] = array
        else:
            inputs[self.key] = array
        ctx = bench.training_context(parameters, {}) if self.training else bench.inference_context(parameters)
        return bench.layer.forward(ctx, *inputs)


def _jumps(value: Callable[[Array], float], x: Array) -> bool:
    """Whether `value` jumps at x, as where the sign of a mask decides: its difference doesn't shrink with the step."""
    far, near = (directional_derivative(value, x, np.ones_like(x), epsilon) for epsilon in (1e-6, 1e-8))
    return abs(near) > 10 * max(abs(far), 1.0)
