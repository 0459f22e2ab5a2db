"""What the conformance suite asks of layers, as far as the planted bugs don't show it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from microframe import Activation, Example, FittedLayer, Layer, Part
from microframe.registry import registry
from microframe.standard.layers import Add, BatchNorm, Dense, Dropout, Standardize
from microframe.testing import check_component
from microframe.testing.layer_bench import LayerBench, at_every_shape


class Doubled(Layer):
    """2 x."""

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        return 2 * x

    def backward(self, ctx, dy):
        return 2 * dy


def results(subject):
    return {result.check: result for result in check_component(subject)}


def failed(subject):
    return {name: result.reason for name, result in results(subject).items() if result.outcome == "failed"}


def test_without_inputs_every_shape_is_tried_that_fits_as_many_inputs_but_none_without_axes():
    class OfSequences(Doubled):
        def build(self, scope, shape):
            if len(shape) != 2:
                raise ValueError("a sequence")
            return shape

    assert [shown.inputs for shown in at_every_shape(Example(Doubled()))] == [
        ((6,),),
        ((5, 4),),
        ((6, 6, 4),),
        ((4, 4, 4, 2),),
    ]
    assert [shown.inputs for shown in at_every_shape(Example(OfSequences()))] == [((5, 4),)]
    assert [len(shown.inputs) for shown in at_every_shape(Example(Add()))] == [2, 2, 2]
    given = Example(Doubled(), inputs=((7,),))
    assert at_every_shape(given) == [given]


def test_a_shape_that_build_refuses_is_no_fault_but_one_that_forward_cannot_take_is():
    class OfRows(Doubled):
        def forward(self, ctx, x):
            return 2 * x @ np.eye(x.shape[1], dtype=x.dtype)

    class Honest(OfRows):
        def build(self, scope, shape):
            if len(shape) != 1:
                raise ValueError("rows of features")
            return shape

    assert failed(Honest) == {}
    assert failed(OfRows).keys() == {"output_shape", "input_gradients"}
    assert "matmul: Input operand 1 has a mismatch in its core dimension 0" in failed(OfRows)["output_shape"]


def test_a_layer_is_fitted_on_several_batches_which_can_be_gone_through_once():
    received = []

    class Fitted(FittedLayer):
        def build(self, scope, shape):
            scope.state("count", (), dtype="int64")
            return shape

        def fit(self, state, batches):
            assert isinstance(batches, Iterator)
            received[:] = batches
            state["count"][...] = sum(map(len, received))

        def forward(self, ctx, x):
            return x

        def backward(self, ctx, dy):
            return dy

    bench = LayerBench(Example(Fitted(), inputs=((3,),)), dtype="float32")
    assert bench.state["count"] == 8
    assert [batch.shape for batch in received] == [(4, 3), (3, 3), (1, 3)]
    assert {batch.dtype for batch in received} == {np.dtype("float32")}


def test_whole_numbers_are_what_a_layer_of_whole_numbers_is_fitted_on():
    class Vocabulary(FittedLayer):
        input_dtype = "int64"

        def build(self, scope, shape):
            scope.state("largest", (), dtype="int64")
            return shape

        def fit(self, state, batches):
            state["largest"][...] = max(batch.max() for batch in batches)

        def forward(self, ctx, x):
            return x / ctx.state["largest"].astype(ctx.empty(()).dtype)

        def backward(self, ctx, dy):
            return None

    bench = LayerBench(Example(Vocabulary(), inputs=(np.array([[3], [8], [5]]),)))
    assert bench.state["largest"] == 8


@pytest.mark.parametrize("training", [True, False])
def test_the_arrays_of_a_context_hold_nothing_that_could_be_taken_for_zeros(training):
    bench = LayerBench(Example(Doubled(), inputs=((3,),)), dtype="float32")
    ctx = bench.training_context() if training else bench.inference_context()
    for _ in range(2):
        scratch = ctx.empty((2, 3))
        assert np.isnan(scratch).all()
        assert scratch.dtype == np.float32
        assert ctx.empty((2,), dtype=np.bool_).all()
        assert (ctx.empty((2,), dtype=np.int64) > 1e18).all()
        scratch.fill(0)
        if training:
            ctx.used = 0


def test_a_layer_with_inputs_of_different_shapes_is_saved_and_loaded_too():
    class Weighted(Layer):
        def build(self, scope, shape, weights):
            if weights != shape[:1]:
                raise ValueError(f"weights of shape {shape[:1]}")
            return shape[1:]

        def forward(self, ctx, x, weights):
            ctx.save(x, weights)
            return np.einsum("btf,bt->bf", x, weights)

        def backward(self, ctx, dy):
            x, weights = ctx.saved
            return weights[..., None] * dy[:, None], np.einsum("btf,bf->bt", x, dy)

    results_of = results(Example(Weighted(), inputs=((4, 3), (4,))))
    assert results_of["save_and_load"].outcome == "passed"
    assert {result.outcome for result in results_of.values()} == {"passed", "skipped"}


def test_a_gradient_that_is_another_on_purpose_is_not_compared_also_if_it_is_that_of_a_field():
    class Reversed(Doubled):
        gradient_is_exact = False

        def backward(self, ctx, dy):
            return -dy

    class Step(Activation):
        needs_input = True
        gradient_is_exact = False

        def forward(self, x, out):
            np.copyto(out, x > 0)

        def backward(self, dy, x, y, out):
            np.multiply(dy, np.abs(x) <= 1, out)

    class Binarized(Layer):
        activation: Part[Activation] = Part("tanh")

        def build(self, scope, shape):
            return shape

        def forward(self, ctx, x):
            kept, y = self.activation.apply(ctx, np.multiply(x, 2, out=ctx.empty(x.shape)))
            ctx.save(kept, y)
            return y

        def backward(self, ctx, dy):
            return 2 * self.activation.pull_back(ctx, dy, *ctx.saved)

        @classmethod
        def examples(cls):
            return [cls(), cls(Step())]

    reason = "the layer says that its gradient is another one on purpose"
    with registry.registered_locally(Step):
        reversed_, binarized, dense = (results(subject) for subject in (Reversed, Binarized, Dense(3, Step())))
    for each in (reversed_, binarized, dense):
        assert {result.outcome for result in each.values()} == {"passed", "skipped"}
    assert reversed_["input_gradients"].reason == dense["parameter_gradients"].reason == reason
    assert binarized["input_gradients"].reason == f"1 of 2 examples: {reason}"


def test_what_fails_says_how():
    class Last(Standardize):
        def fit(self, state, batches):
            for batch in batches:
                super().fit(state, [batch])

    class Unbiased(BatchNorm):
        def forward(self, ctx, x):
            y = super().forward(ctx, x)
            if ctx.training:
                ctx.state["moving_variance"][...] += 0.01 * x.var(axis=0, ddof=1)
            return y

    class Fixed(Dropout):
        def forward(self, ctx, x):
            if ctx.training:
                ctx.rng = np.random.default_rng(0)
            return super().forward(ctx, x)

    assert "to be the same however the rows are cut into batches" in failed(Example(Last(), ((3,),)))["fitting"]
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        assert "to be finite after a step with a single row" in failed(Example(Unbiased(), ((3,),)))["state"]
    assert "expected noise from ctx.rng, other noise at each step" in failed(Fixed(0.5))["noise"]


@pytest.mark.parametrize("layer", [Dropout(0.5), BatchNorm()])
def test_noise_that_is_drawn_and_a_batch_that_is_read_both_pass_the_check_of_noise(layer):
    assert results(layer)["noise"].outcome == "passed"
