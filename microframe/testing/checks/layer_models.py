"""What every layer must do in a model: after saving and loading, and where it is fitted before training."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Example
from microframe.interfaces import Context, FittedLayer, Layer, Scope
from microframe.model import Model
from microframe.registry import registry
from microframe.testing.checks.guards import assert_close, assert_same
from microframe.testing.conformance import Skipped
from microframe.testing.layer_bench import LayerBench, batches_of

_ROWS = 8


def fitting(example: Example) -> None:
    """What fit learns follows from the rows alone, whose batches it goes through once, wherever they are cut."""
    bench = LayerBench(example)
    if not isinstance(bench.layer, FittedLayer):
        raise Skipped("the layer is not fitted before training")
    expected = bench.fitted_state([bench.rows.copy()])
    once = bench.fitted_state(iter([bench.rows.copy()]))
    cut = bench.fitted_state(batches_of(bench.rows))
    for name, array in expected.items():
        assert_same(
            once[name], array, f"the state {name!r} to be the same if the batches can be gone through once only"
        )
        what = f"the state {name!r} to be the same however the rows are cut into batches"
        assert_close(cut[name], array, what, relative=1e-4, absolute=1e-6)


def save_and_load(example: Example) -> None:
    """A model with the layer predicts the same bits after saving and loading."""
    bench = LayerBench(example, batch=_ROWS, dtype="float32")
    with registry.registered_locally(Excerpt):
        layers, x = _network(bench)
        model = Model(layers).build(x.shape[1:])
        model.network.fit_preprocessing(lambda: batches_of(x))
        before = model(x)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.h5"
            model.save(path)
            assert_same(Model.load(path)(x), before, "a loaded model to predict what the saved one did")


class Excerpt(Layer):
    """Some elements of the input, in a shape of their own: one of several arrays that come as one.

    Fields:
        first: the number of elements before them.
        shape: of a sample of the output.

    Shapes: (batch, elements) -> (batch, *shape).
    """

    type = "excerpt_of_the_input"

    first: int
    shape: tuple[int, ...]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        return self.shape

    def forward(self, ctx: Context, x: Array) -> Array:
        size = int(np.prod(self.shape))
        return x[:, self.first : self.first + size].reshape(len(x), *self.shape)

    def backward(self, ctx: Context, dy: Array) -> None:
        """Give no gradient: it is for predictions only."""


def _network(bench: LayerBench) -> tuple[Sequence[Layer], Array]:
    """The layers of a network in which the layer has all its inputs, and the input of the network."""
    if len(bench.inputs) == 1:
        return [dataclasses.replace(bench.layer, inputs=("input",))], bench.inputs[0]
    names = [f"input_{index}" for index in range(len(bench.inputs))]
    excerpts, first = [], 0
    for name, shape in zip(names, bench.input_shapes, strict=True):
        excerpts.append(Excerpt(first, shape, name=name, inputs=("input",)))
        first += int(np.prod(shape))
    together = np.concatenate([x.reshape(_ROWS, -1) for x in bench.inputs], axis=1)
    return [*excerpts, dataclasses.replace(bench.layer, inputs=tuple(names))], together
