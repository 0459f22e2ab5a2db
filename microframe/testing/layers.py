"""The gradients of a layer on its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from microframe.arrays import Array, Shape
from microframe.contexts import InferenceContext, TrainingContext
from microframe.interfaces import FittedLayer, Layer
from microframe.network import Declarations
from microframe.testing.gradients import assert_gradient


def assert_layer_gradients(
    layer: Layer,
    *input_shapes: Shape,
    batch: int = 3,
    training: bool = True,
    seed: int = 0,
    categories: int = 2,
) -> None:
    """Assert that `backward` gives the gradient of sum(weights * output), for random weights.

    The layer is built alone, in float64, and checked with respect to every parameter and every input. Parameters
    start from their initializers, moved a little so that none is constant; a `FittedLayer` is fitted on random data.
    Inputs and dy are read-only, so that a layer which modifies them fails.

    Args:
        layer: what to check; must be differentiable around random inputs.
        input_shapes: the shape of one sample of each input.
        batch: the number of samples.
        training: True to compare with what forward computes in training, where each evaluation finds the same state
            and draws the same noise; False to compare with inference, for a layer that is the same in both.
        seed: of everything random.
        categories: the inputs of a layer whose `input_dtype` is int64 are drawn from 0 to categories - 1.

    Raises:
        AssertionError: a gradient differs or is missing; says which.
    """
    bench = _Bench(layer, input_shapes, batch, seed, categories)
    for key, gradient in bench.gradients().items():
        place = f"the gradient of {layer.type!r} for " + (f"input {key}" if isinstance(key, int) else repr(key))
        assert gradient is not None, f"{place}: expected an array, received None"
        try:
            assert_gradient(partial(bench.value, training, key), gradient, bench.values[key], seed=seed)
        except AssertionError as error:
            raise AssertionError(f"{place}: {error}") from error


class _Bench:
    """A layer alone, with random values of its parameters (by name) and its inputs (by position)."""

    def __init__(self, layer: Layer, input_shapes: tuple[Shape, ...], batch: int, seed: int, categories: int) -> None:
        self._layer = layer
        self._reads_indices = layer.input_dtype == "int64"
        self._seed = seed
        rng = np.random.default_rng(seed)
        declared = Declarations()
        self._dy = rng.standard_normal((batch, *layer.build(declared, *input_shapes)))
        self._state = declared.new_state(np.dtype(np.float64))
        if isinstance(layer, FittedLayer):
            layer.fit(self._state, [rng.normal(1, 2, (batch + 2, *shape)) for shape in input_shapes])
        self.values: dict[str | int, Array] = {}
        for name, (shape, initializer, _) in declared.parameters.items():
            self.values[name] = np.empty(shape)
            initializer.fill(self.values[name], rng)
            self.values[name] += 0.1 * rng.standard_normal(shape)
        for index, shape in enumerate(input_shapes):
            size = (batch, *shape)
            self.values[index] = rng.integers(0, categories, size) if self._reads_indices else rng.standard_normal(size)
        for array in (self._dy, *self.values.values()):
            array.flags.writeable = False

    def value(self, training: bool, key: str | int, array: Array) -> float:
        """sum(dy * output) with `array` in the place of the parameter or input `key`."""
        values = {**self.values, key: array}
        parameters, inputs = _parameters(values), _inputs(values)
        ctx = self._training_context(parameters, {}) if training else self._inference_context(parameters)
        return float(np.vdot(self._dy, self._layer.forward(ctx, *inputs)))

    def gradients(self) -> dict[str | int, Array | None]:
        """What backward says, for every key of `values` but the whole numbers, which have no gradient."""
        parameters, inputs = _parameters(self.values), _inputs(self.values)
        gradients: dict[str, Array] = {name: np.full(array.shape, np.nan) for name, array in parameters.items()}
        ctx = self._training_context(parameters, gradients)
        self._layer.forward(ctx, *inputs)
        result = self._layer.backward(ctx, self._dy)
        found: dict[str | int, Array | None] = dict(gradients.items())
        if not self._reads_indices:
            results = result if isinstance(result, tuple) else (result,)
            assert len(results) == len(inputs), f"expected {len(inputs)} input gradients, received {len(results)}"
            found.update(enumerate(results))
        return found

    def _training_context(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> TrainingContext:
        state = {name: array.copy() for name, array in self._state.items()}
        rng = np.random.default_rng(self._seed)
        return TrainingContext(parameters, gradients, state, rng, np.dtype(np.float64), needs_input_gradient=True)

    def _inference_context(self, parameters: Mapping[str, Array]) -> InferenceContext:
        return InferenceContext(parameters, self._state, partial(np.empty, dtype=np.float64))


def _parameters(values: Mapping[str | int, Array]) -> dict[str, Array]:
    return {key: array for key, array in values.items() if isinstance(key, str)}


def _inputs(values: Mapping[str | int, Array]) -> list[Array]:
    return [array for key, array in values.items() if isinstance(key, int)]
