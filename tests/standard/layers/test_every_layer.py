"""What holds for every standard layer of this package, whatever it computes."""

from __future__ import annotations

import dataclasses
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from microframe.component import config
from microframe.contexts import InferenceContext, TrainingContext
from microframe.errors import ConfigError
from microframe.interfaces import Layer
from microframe.network import Declarations, Network
from microframe.standard.layers import (
    ActivationLayer,
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    LayerNorm,
    MinMax,
    Multiply,
    Reshape,
    Standardize,
)
from microframe.testing import assert_layer_gradients

CASES = {
    "dense": (Dense(4), (3,)),
    "dense, activation in place": (Dense(4, "relu"), (3,)),
    "dense, no bias": (Dense(4, "leaky_relu", use_bias=False), (3,)),
    "dense, sequences": (Dense(4, "relu"), (5, 3)),
    "dense, images": (Dense(2), (4, 5, 3)),
    "activation": (ActivationLayer("relu"), (2, 3)),
    "linear activation": (ActivationLayer("linear"), (3,)),
    "flatten": (Flatten(), (2, 3, 4)),
    "reshape": (Reshape((3, -1)), (2, 6)),
    "dropout": (Dropout(0.4), (6,)),
    "no dropout": (Dropout(0), (6,)),
    "gaussian noise": (GaussianNoise(0.3), (6,)),
    "batch norm": (BatchNorm(), (4,)),
    "batch norm, images": (BatchNorm(momentum=0.5, epsilon=0.1), (3, 2, 4)),
    "layer norm": (LayerNorm(), (4,)),
    "layer norm, sequences": (LayerNorm(epsilon=0.1), (5, 4)),
    "embedding": (Embedding(7, 3), ()),
    "embedding, sequences": (Embedding(7, 3), (5,)),
    "add": (Add(), (4,), (4,)),
    "add, three": (Add(), (2, 3), (2, 3), (2, 3)),
    "multiply": (Multiply(), (4,), (4,)),
    "multiply, three": (Multiply(), (2, 3), (2, 3), (2, 3)),
    "concatenate": (Concatenate(), (4,), (2,), (3,)),
    "concatenate, first axis": (Concatenate(0), (4, 2), (1, 2)),
    "concatenate, middle axis": (Concatenate(-2), (2, 3, 2), (2, 1, 2)),
    "standardize": (Standardize(), (3,)),
    "standardize, images": (Standardize(), (4, 5, 3)),
    "min max": (MinMax(), (3,)),
    "min max, sequences": (MinMax(-2, 5), (4, 3)),
}
CATEGORIES = 7

every_layer = pytest.mark.parametrize(("layer", "shapes"), [(case[0], case[1:]) for case in CASES.values()], ids=CASES)


@dataclass
class Bench:
    """A layer built alone, with its arrays."""

    layer: Layer
    shapes: tuple[tuple[int, ...], ...]
    dtype: str = "float32"
    parameters: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)
    state: dict = field(default_factory=dict)

    def __post_init__(self):
        declared = Declarations()
        self.output_shape = self.layer.build(declared, *self.shapes)
        for name, (shape, initializer, _) in declared.parameters.items():
            self.parameters[name] = np.empty(shape, self.dtype)
            self.gradients[name] = np.empty(shape, self.dtype)
            initializer.fill(self.parameters[name], np.random.default_rng(0))
        self.state = declared.new_state(np.dtype(self.dtype))

    def training(self, seed=0):
        return TrainingContext(
            self.parameters, self.gradients, self.state, np.random.default_rng(seed), np.dtype(self.dtype), True
        )

    def inference(self):
        return InferenceContext(self.parameters, self.state, partial(np.empty, dtype=self.dtype))

    def inputs(self, batch, seed=1):
        rng = np.random.default_rng(seed)
        if self.layer.input_dtype == "int64":
            return [rng.integers(0, CATEGORIES, (batch, *shape)) for shape in self.shapes]
        return [rng.standard_normal((batch, *shape)).astype(self.dtype) for shape in self.shapes]

    def dy(self, batch, seed=2):
        return np.random.default_rng(seed).standard_normal((batch, *self.output_shape)).astype(self.dtype)

    def step(self, ctx, inputs, dy):
        """One training step: the output and all gradients, copied."""
        ctx.used = 0
        y = self.layer.forward(ctx, *inputs).copy()
        result = self.layer.backward(ctx, dy)
        results = result if isinstance(result, tuple) else (result,)
        return [y, *(dx.copy() for dx in results), *(gradient.copy() for gradient in self.gradients.values())]


@every_layer
def test_backward_is_the_gradient_of_forward(layer, shapes):
    assert_layer_gradients(layer, *shapes, categories=CATEGORIES)


@every_layer
def test_backward_is_the_gradient_of_forward_for_one_sample(layer, shapes):
    assert_layer_gradients(layer, *shapes, batch=1, seed=3, categories=CATEGORIES)


@every_layer
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_the_output_has_the_shape_that_build_announces(layer, shapes, batch):
    bench = Bench(layer, shapes)
    y = layer.forward(bench.inference(), *bench.inputs(batch))
    assert y.shape == (batch, *bench.output_shape)


@every_layer
@pytest.mark.parametrize("batch", [1, 3])
def test_in_training_output_and_gradients_have_their_shapes_too(layer, shapes, batch):
    bench = Bench(layer, shapes)
    y, *gradients = bench.step(bench.training(), bench.inputs(batch), bench.dy(batch))
    assert y.shape == (batch, *bench.output_shape)
    assert [dx.shape for dx in gradients[: len(shapes)]] == [(batch, *shape) for shape in shapes]


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_keeps_the_dtype_of_the_network(layer, shapes, dtype):
    bench = Bench(layer, shapes, dtype)
    arrays = bench.step(bench.training(), bench.inputs(3), bench.dy(3))
    arrays.append(layer.forward(bench.inference(), *bench.inputs(3)))
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@every_layer
def test_inputs_and_dy_are_not_modified(layer, shapes):
    bench = Bench(layer, shapes)
    inputs, dy = bench.inputs(3), bench.dy(3)
    bench.step(bench.training(), inputs, dy)
    layer.forward(bench.inference(), *inputs)
    for now, before in zip([*inputs, dy], [*bench.inputs(3), bench.dy(3)], strict=True):
        np.testing.assert_array_equal(now, before)


@every_layer
def test_a_step_in_reused_arrays_equals_a_first_step(layer, shapes):
    bench, other = Bench(layer, shapes), Bench(layer, shapes)
    ctx = bench.training()
    bench.step(ctx, bench.inputs(3, seed=5), bench.dy(3, seed=6))
    ctx.rng = np.random.default_rng(0)
    again = bench.step(ctx, bench.inputs(3), bench.dy(3))
    for a, b in zip(again, other.step(other.training(), other.inputs(3), other.dy(3)), strict=True):
        np.testing.assert_array_equal(a, b)


@every_layer
def test_no_array_is_allocated_after_the_first_step(layer, shapes):
    bench = Bench(layer, shapes)
    batch = 1_000_000 // sum(x.nbytes for x in bench.inputs(1))
    inputs, dy, ctx = bench.inputs(batch), bench.dy(batch), bench.training()
    smallest = min(array.nbytes for array in (*inputs, dy))

    def step():
        ctx.used = 0
        layer.forward(ctx, *inputs)
        layer.backward(ctx, dy)

    step()
    tracemalloc.start()
    try:
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < smallest / 4


@every_layer
def test_inference_from_eight_threads_equals_inference_from_one(layer, shapes):
    bench = Bench(layer, shapes)
    ctx = bench.inference()
    batches = [bench.inputs(50, seed=seed) for seed in range(32)]
    alone = [layer.forward(ctx, *batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: layer.forward(ctx, *batch), batches))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


@every_layer
def test_a_layer_is_what_its_configuration_says(layer, shapes):
    problems = []
    assert Layer.from_value(config(layer), (), problems) == layer
    assert not problems


@pytest.mark.parametrize(
    "layer", [Dense(2), Flatten(), Reshape((1,)), Dropout(0.5), BatchNorm(), LayerNorm(), Standardize(), MinMax()]
)
def test_a_layer_of_one_input_rejects_two(layer):
    twice = dataclasses.replace(layer, inputs=("input", "input"))
    with pytest.raises(ConfigError, match="expected one input"):
        Network([twice], (3,))


@pytest.mark.parametrize("layer", [Dense(2), BatchNorm(), LayerNorm(), Standardize(), MinMax()])
def test_a_layer_that_works_on_the_last_axis_needs_one(layer):
    with pytest.raises(ValueError, match="at least one axis beside the batch"):
        layer.build(Declarations(), ())
