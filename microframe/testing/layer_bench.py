"""A layer alone, with random parameters and inputs, for checks to run forward and backward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.contexts import InferenceContext, TrainingContext
from microframe.interfaces import FittedLayer, Layer
from microframe.network import Declarations

_TRIED = (
    ((6,),),
    ((5, 4),),
    ((6, 6, 4),),
    ((6,), (6,)),
    ((5, 4), (5, 4)),
    ((6, 6, 4), (6, 6, 4)),
    ((4, 4, 4, 2),),
    ((),),
)
"""The shapes of input samples that are tried where an example says none, the commonest first."""
_CATEGORIES = 2
"""How many whole numbers, from 0, stand among the inputs of a layer that reads indices."""


@dataclass(frozen=True)
class Step:
    """What one forward and one backward pass gave; copies.

    Attributes:
        output: of forward.
        gradients: what backward filled in, by parameter.
        input_gradients: what backward returned, one for each input.
    """

    output: Array
    gradients: dict[str, Array]
    input_gradients: tuple[Array | None, ...]


class LayerBench:
    """A layer built alone, in one dtype and for one batch size, with random values for all that it reads.

    Parameters start from their initializers, moved a little so that none is constant; a `FittedLayer` is fitted on
    random data. All arrays handed to the layer are read-only but for those that it is to fill.

    Args:
        example: a layer, with the shapes or samples of its inputs.
        batch: the number of samples.
        dtype: of the network that the layer is supposedly in.
        seed: of everything random.

    Attributes:
        layer: what is checked.
        inputs: one array for each input.
        parameters: by name.
        state: as it is before the first step, by name.
        output_shape: what build returned.
        dy: a random gradient with respect to the output.
    """

    def __init__(self, example: Example, *, batch: int = 3, dtype: str = "float64", seed: int = 0) -> None:
        layer = example.component
        assert isinstance(layer, Layer)
        self.layer = layer
        self.dtype = np.dtype(dtype)
        self.seed = seed
        rng = np.random.default_rng(seed)
        self.input_shapes = input_shapes(example)
        declared = Declarations()
        self.output_shape: Shape = layer.build(declared, *self.input_shapes)
        self.dy = rng.standard_normal((batch, *self.output_shape)).astype(self.dtype)
        self.state = declared.new_state(self.dtype)
        if isinstance(layer, FittedLayer):
            layer.fit(self.state, [rng.normal(1, 2, (batch + 2, *shape)) for shape in self.input_shapes])
        self.parameters: dict[str, Array] = {}
        for name, (shape, initializer, _) in declared.parameters.items():
            array = self.parameters[name] = np.empty(shape, self.dtype)
            initializer.fill(array, rng)
            array += 0.1 * rng.standard_normal(shape).astype(self.dtype)
        given = example.inputs or self.input_shapes
        self.inputs = tuple(self._samples(each, batch, rng) for each in given)
        for array in (self.dy, *self.parameters.values(), *self.inputs, *self.state.values()):
            array.flags.writeable = False

    def training_context(
        self, parameters: Mapping[str, Array] | None = None, gradients: Mapping[str, Array] | None = None
    ) -> TrainingContext:
        """A context as for the first training step, with noise from `seed`; gradients start as NaN."""
        own = self.parameters if parameters is None else parameters
        filled = {name: np.full(array.shape, np.nan, self.dtype) for name, array in own.items()}
        state = {name: array.copy() for name, array in self.state.items()}
        rng = np.random.default_rng(self.seed)
        return TrainingContext(
            own, filled if gradients is None else gradients, state, rng, self.dtype, needs_input_gradient=True
        )

    def inference_context(self, parameters: Mapping[str, Array] | None = None) -> InferenceContext:
        """A context as for a prediction."""
        own = self.parameters if parameters is None else parameters
        return InferenceContext(own, self.state, partial(np.empty, dtype=self.dtype))

    def infer(self, *inputs: Array) -> Array:
        """The output in inference, for the bench's own inputs unless others are given."""
        return self.layer.forward(self.inference_context(), *(inputs or self.inputs))

    def step(self, *, inputs: Sequence[Array] | None = None, dy: Array | None = None) -> Step:
        """A whole training step, for the bench's own inputs and dy unless others are given."""
        ctx = self.training_context()
        output = self.layer.forward(ctx, *(self.inputs if inputs is None else inputs)).copy()
        return Step(output, *self.backward(ctx, self.dy if dy is None else dy))

    def backward(self, ctx: TrainingContext, dy: Array) -> tuple[dict[str, Array], tuple[Array | None, ...]]:
        """The gradients for parameters and for inputs, after forward with `ctx`."""
        results = self.layer.backward(ctx, dy)
        each = results if isinstance(results, tuple) else (results,)
        count = len(self.inputs)
        assert len(each) == count, f"expected backward to return {count} gradients, one an input, received {len(each)}"
        copies = tuple(None if gradient is None else gradient.copy() for gradient in each)
        return {name: array.copy() for name, array in ctx.gradients.items()}, copies

    def _samples(self, given: Any, batch: int, rng: np.random.Generator) -> Array:
        """An input of `batch` rows: those given, over and over, or random ones of the shape given."""
        indices = self.layer.input_dtype == "int64"
        dtype = np.dtype(self.layer.input_dtype or self.dtype)
        if isinstance(given, np.ndarray):
            return given[np.arange(batch) % len(given)].astype(dtype)
        size = (batch, *given)
        return rng.integers(0, _CATEGORIES, size) if indices else rng.standard_normal(size).astype(dtype)


def input_shapes(example: Example) -> tuple[Shape, ...]:
    """The shape of one sample of each input: those of the example, or the first that the layer can be built for."""
    layer = example.component
    assert isinstance(layer, Layer)
    if example.inputs:
        return tuple(each.shape[1:] if isinstance(each, np.ndarray) else tuple(each) for each in example.inputs)
    for shapes in _TRIED:
        try:
            layer.build(Declarations(), *shapes)
        except (ValueError, TypeError, IndexError):
            continue
        return shapes
    raise AssertionError(
        f"{layer.type!r} can be built for none of the input shapes {', '.join(map(str, _TRIED))}: give one that fits "
        f"in examples(), as microframe.Example(layer, inputs=((8, 8),))"
    )
