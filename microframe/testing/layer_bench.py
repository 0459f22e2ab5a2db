"""A layer alone, with random parameters and inputs, for checks to run forward and backward."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.contexts import InferenceContext, TrainingContext
from microframe.interfaces import FittedLayer, Layer
from microframe.network import Declarations
from microframe.testing.checks.guards import unspecified

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
_CUTS = 4, 7
"""Where the rows that a layer is fitted on are cut into batches; there are 8, so that the last has a single one."""


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


class UnspecifiedContext(TrainingContext):
    """A context whose arrays are filled with NaN each time that they are handed out."""

    __slots__ = ()

    def empty(self, shape: Shape, dtype: Any = None) -> Array:
        array = super().empty(shape, dtype)
        array[...] = unspecified(array.shape, array.dtype)
        return array


class LayerBench:
    """A layer built alone, in one dtype and for one batch size, with random values for all that it reads.

    Parameters start from their initializers, moved a little so that none is constant; a `FittedLayer` is fitted on
    random data. All arrays handed to the layer are read-only but for those that it is to fill.

    Args:
        example: a layer, with the shapes or samples of its inputs.
        batch: the number of samples.
        dtype: of the network that the layer is supposedly in.
        seed: of everything random.
        scale: what random inputs are multiplied by; samples that the example gives stay as they are.

    Attributes:
        layer: what is checked.
        inputs: one array for each input.
        parameters: by name.
        state: as it is before the first step, by name.
        output_shape: what build returned.
        has_random_inputs: whether any of them is random, and not given by the example.
        rows: what a `FittedLayer` is fitted on, cut into batches that can be gone through once.
        dy: a random gradient with respect to the output.
    """

    def __init__(
        self, example: Example, *, batch: int = 3, dtype: str = "float64", seed: int = 0, scale: float = 1.0
    ) -> None:
        layer = example.component
        assert isinstance(layer, Layer)
        self.layer = layer
        self.dtype = np.dtype(dtype)
        self.seed = seed
        self._declared = Declarations()
        rng = np.random.default_rng(seed)
        self.input_shapes = input_shapes(example)
        self.output_shape: Shape = layer.build(self._declared, *self.input_shapes)
        given = example.inputs or self.input_shapes
        self.dy = rng.standard_normal((batch, *self.output_shape)).astype(self.dtype)
        self.rows = self._rows(given[0], rng)
        self.state = self.fitted_state(batches_of(self.rows))
        self.parameters: dict[str, Array] = {}
        for name, (shape, initializer, _) in self._declared.parameters.items():
            array = self.parameters[name] = np.empty(shape, self.dtype)
            initializer.fill(array, rng)
            array += 0.1 * rng.standard_normal(shape).astype(self.dtype)
        self.has_random_inputs = any(not isinstance(each, np.ndarray) for each in given)
        self.inputs = tuple(self._samples(each, batch, rng, scale) for each in given)
        for array in (self.dy, *self.parameters.values(), *self.inputs, *self.state.values()):
            array.flags.writeable = False

    def fitted_state(self, batches: Iterable[Array]) -> dict[str, Array]:
        """What a `FittedLayer` learns from `batches`; for another layer, the state that it starts with."""
        state = self._declared.new_state(self.dtype)
        if isinstance(self.layer, FittedLayer):
            self.layer.fit(state, batches)
        return state

    def training_context(
        self, parameters: Mapping[str, Array] | None = None, gradients: Mapping[str, Array] | None = None
    ) -> TrainingContext:
        """A context as for the first training step, with noise from `seed`; gradients and scratch start as NaN."""
        own = self.parameters if parameters is None else parameters
        filled = {name: np.full(array.shape, np.nan, self.dtype) for name, array in own.items()}
        state = {name: array.copy() for name, array in self.state.items()}
        rng = np.random.default_rng(self.seed)
        return UnspecifiedContext(
            own, filled if gradients is None else gradients, state, rng, self.dtype, needs_input_gradient=True
        )

    def inference_context(self, parameters: Mapping[str, Array] | None = None) -> InferenceContext:
        """A context as for a prediction, whose scratch starts as NaN."""
        own = self.parameters if parameters is None else parameters
        return InferenceContext(own, self.state, partial(unspecified, dtype=self.dtype))

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

    def _samples(self, given: Any, batch: int, rng: np.random.Generator, scale: float) -> Array:
        """An input of `batch` rows: those given, over and over, or random ones of the shape given."""
        dtype = np.dtype(self.layer.input_dtype or self.dtype)
        if isinstance(given, np.ndarray):
            return given[np.arange(batch) % len(given)].astype(dtype)
        size = (batch, *given)
        if self.layer.input_dtype == "int64":
            return rng.integers(0, _CATEGORIES, size)
        return (scale * rng.standard_normal(size)).astype(dtype)

    def _rows(self, given: Any, rng: np.random.Generator) -> Array:
        """What to fit on: like the first input, but random ones with another mean and deviation than 0 and 1."""
        rows = self._samples(given, _CUTS[-1] + 1, rng, 2.0)
        return rows if isinstance(given, np.ndarray) or rows.dtype.kind != "f" else rows + rows.dtype.type(1)


def batches_of(rows: Array) -> Iterator[Array]:
    """Rows in batches of several sizes, which can be gone through once, as those that a `FittedLayer` gets."""
    return (batch.copy() for batch in np.split(rows, _CUTS))


def at_every_shape(example: Example) -> list[Example]:
    """The example; where it names no inputs, once for each shape that the layer can be built for, the commonest first.

    These are of the sizes that are tried for as many inputs as the first that fits has; samples without any axis are
    for layers that nothing else fits.
    """
    if example.inputs:
        return [example]
    first, *others = _fitting_shapes(example)
    alike = [shapes for shapes in others if len(shapes) == len(first) and shapes[0]]
    return [replace(example, inputs=shapes) for shapes in (first, *alike)]


def input_shapes(example: Example) -> tuple[Shape, ...]:
    """The shape of one sample of each input: those of the example, or the first that the layer can be built for."""
    if example.inputs:
        return tuple(each.shape[1:] if isinstance(each, np.ndarray) else tuple(each) for each in example.inputs)
    return next(_fitting_shapes(example))


def _fitting_shapes(example: Example) -> Iterator[tuple[Shape, ...]]:
    """Of the shapes to be tried, those that the layer can be built for; there is at least one.

    Raises:
        AssertionError: there is none.
    """
    layer = example.component
    assert isinstance(layer, Layer)
    count = 0
    for shapes in _TRIED:
        try:
            layer.build(Declarations(), *shapes)
        except (ValueError, TypeError, IndexError):
            continue
        count += 1
        yield shapes
    assert count, (
        f"{layer.type!r} can be built for none of the input shapes {', '.join(map(str, _TRIED))}: give one that fits "
        f"in examples(), as microframe.Example(layer, inputs=((8, 8),))"
    )
