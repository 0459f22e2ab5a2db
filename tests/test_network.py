from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from microframe.component import Part
from microframe.errors import ConfigError, UsageError
from microframe.interfaces import Activation, Initializer, Layer
from microframe.network import Network, first_nonfinite
from microframe.standard.layers import (
    ActivationLayer,
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    MinMax,
    Standardize,
)
from microframe.testing import assert_gradient
from microframe.training_pass import TrainingPass


class Shift(Layer):
    """x + step + b, with a state that counts the training steps; for what no standard layer does."""

    initializer: Part[Initializer] = Part("zeros")

    def build(self, scope, *input_shapes):
        (input_shape,) = input_shapes
        scope.parameter("offset", (), self.initializer)
        scope.state("steps", (), fill=3)
        return input_shape

    def forward(self, ctx, *inputs):
        return inputs[0] + ctx.state["steps"] + ctx.parameters["offset"]

    def backward(self, ctx, dy):
        ctx.gradients["offset"][...] = dy.sum()
        return dy


def rng(seed=0):
    return np.random.default_rng(seed)


def branched(dtype="float64"):
    return Network(
        [
            Dense(3, "relu", name="a"),
            Dense(3, name="b"),
            Dense(3, name="c", inputs=("a",)),
            Add(name="sum", inputs=("b", "c", "a")),
            Concatenate(inputs=("input", "sum")),
            Dense(2, "leaky_relu"),
        ],
        (4,),
        dtype,
        rng(),
    )


def test_shapes_lead_from_the_input_to_the_output():
    network = branched()
    assert network.shapes == [(4,), (3,), (3,), (3,), (3,), (7,), (2,)]
    assert (network.input_shape, network.output_shape) == ((4,), (2,))


def test_the_output_of_a_graph_equals_the_one_computed_by_hand():
    network = branched()
    x = rng(1).standard_normal((5, 4))
    weights = {name: (arrays.get("kernel"), arrays.get("bias")) for name, arrays in network.weights.items()}
    a = np.maximum(x @ weights["a"][0] + weights["a"][1], 0)
    b = a @ weights["b"][0] + weights["b"][1]
    c = a @ weights["c"][0] + weights["c"][1]
    z = np.hstack([x, b + c + a]) @ weights["dense_1"][0] + weights["dense_1"][1]
    expected = np.where(z > 0, z, 0.01 * z)
    np.testing.assert_allclose(network.forward(x), expected, rtol=1e-12)
    np.testing.assert_allclose(TrainingPass(network, rng()).forward(x), expected, rtol=1e-12)


def test_the_gradients_of_a_graph_are_right_for_parameters_and_input():
    network = branched()
    training = TrainingPass(network, rng(), input_gradient=True)
    x, dy = rng(1).standard_normal((5, 4)), rng(2).standard_normal((5, 2))
    training.forward(x)
    dx = training.backward(dy).copy()
    assert_gradient(lambda x: float(np.vdot(dy, network.forward(x))), dx, x)

    def of_parameters(parameters):
        network.parameters[...] = parameters
        return float(np.vdot(dy, network.forward(x)))

    assert_gradient(of_parameters, network.gradients.copy(), network.parameters.copy())


def test_a_chain_gives_the_input_gradient_only_when_asked():
    network = Network([Dense(3, "relu"), Dense(2)], (4,), "float64", rng())
    x, dy = rng(1).standard_normal((5, 4)), rng(2).standard_normal((5, 2))
    plain, full = TrainingPass(network, rng()), TrainingPass(network, rng(), input_gradient=True)
    plain.forward(x)
    full.forward(x)
    assert plain.backward(dy) is None
    assert_gradient(lambda x: float(np.vdot(dy, network.forward(x))), full.backward(dy).copy(), x)


def test_activations_are_the_outputs_of_all_layers_in_order():
    network = branched()
    x = rng(1).standard_normal((5, 4))
    outputs = list(network.activations(x))
    assert [node.name for node, _ in outputs] == ["a", "b", "c", "sum", "concatenate_1", "dense_1"]
    assert [output.shape[1:] for _, output in outputs] == network.shapes[1:]
    np.testing.assert_array_equal(outputs[-1][1], network.forward(x))


def test_parameters_lie_one_after_another_without_gaps():
    network = branched()
    stops = [piece.stop for piece in network.layout]
    assert [piece.start for piece in network.layout] == [0, *stops[:-1]]
    assert stops[-1] == network.parameters.size == (4 + 1) * 3 + 2 * (3 + 1) * 3 + (7 + 1) * 2
    assert network.layout[0].name == "a/kernel"
    assert all(piece.stop - piece.start == np.prod(piece.shape) for piece in network.layout)


def test_weights_are_views_of_the_flat_vector():
    network = branched()
    network.parameters[...] = np.arange(network.parameters.size)
    np.testing.assert_array_equal(network.weights["a"]["kernel"], np.arange(12).reshape(4, 3))
    network.weights["dense_1"]["bias"][...] = -1
    np.testing.assert_array_equal(network.parameters[-2:], [-1, -1])
    assert all(
        np.shares_memory(array, network.parameters) for arrays in network.weights.values() for array in arrays.values()
    )


def test_a_scalar_parameter_and_state_are_kept_like_any_other():
    network = Network([Shift(), Dense(1), Shift()], (2,), "float64", rng())
    network.weights["shift_1"]["offset"][...] = 5
    assert network.parameters[0] == 5
    assert network.state["shift_2"]["steps"] == 3
    np.testing.assert_array_equal(next(iter(network.activations(np.zeros((1, 2)))))[1], [[8, 8]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_has_the_dtype_of_the_network(dtype):
    network = Network([Standardize(), Dense(3, "relu"), BatchNorm()], (2,), dtype, rng())
    state = list(network.state["batch_norm_1"].values())
    output = network.forward(np.ones((4, 2), dtype))
    assert {array.dtype for array in (network.parameters, network.gradients, output, *state)} == {np.dtype(dtype)}


def test_one_seed_gives_one_network():
    np.testing.assert_array_equal(branched().parameters, branched().parameters)


def test_without_generator_parameters_are_zero():
    assert not Network([Dense(3)], (2,)).parameters.any()


def test_a_network_without_parameters_can_be_built_and_run():
    network = Network([Flatten()], (2, 3))
    assert network.parameters.shape == (0,)
    training = TrainingPass(network, rng())
    assert training.forward(np.ones((4, 2, 3), np.float32)).shape == (4, 6)
    training.backward(np.ones((4, 6), np.float32))


def test_inputs_are_indices_where_every_reader_wants_indices():
    assert Network([Embedding(3, 2)], ()).input_dtype == np.int64
    assert Network([Dense(2)], (1,)).input_dtype == np.float32
    both = [Embedding(3, 2), Flatten(), Concatenate(inputs=("input", "flatten_1"))]
    assert Network(both, (1,), "float64").input_dtype == np.float64


def test_inputs_are_float64_where_every_reader_wants_float64():
    assert Network([Standardize(), Dense(2)], (1,)).input_dtype == np.float64
    both = [Standardize(), MinMax(inputs=("input",)), Concatenate(inputs=("standardize_1", "min_max_1"))]
    assert Network(both, (1,)).input_dtype == np.float64
    assert Network([Standardize(), Concatenate(inputs=("input", "standardize_1"))], (1,)).input_dtype == np.float32
    assert Network([Dense(2), Standardize()], (1,)).input_dtype == np.float32


def test_state_has_the_dtype_that_it_is_declared_with_or_else_that_of_the_network():
    class Counting(Flatten):
        def build(self, scope, input_shape):
            scope.state("count", (), dtype="int64")
            scope.state("exact", (2,), 0.1, dtype="float64")
            scope.state("plain", (2,), 0.1)
            return super().build(scope, input_shape)

    state = Network([Counting()], (2,)).state["counting_1"]
    assert {name: array.dtype.name for name, array in state.items()} == {
        "count": "int64",
        "exact": "float64",
        "plain": "float32",
    }


def test_a_graph_that_does_not_connect_is_one_error_with_all_problems():
    with pytest.raises(ConfigError) as error:
        Network([Dense(1, name="1st"), Dense(1, inputs=("nobody",))], (2,))
    assert len(error.value.problems) == 3


def test_a_layer_that_cannot_read_its_input_is_named_with_the_shape():
    with pytest.raises(ConfigError) as error:
        Network([Dense(2), Flatten(), Dense(3)], ())
    assert str(error.value) == (
        "layers[0]: expected an input with at least one axis beside the batch, "
        "received () as the input shape of 'dense_1' (dense)"
    )


def test_a_layer_of_one_input_that_is_given_two_says_so():
    with pytest.raises(ConfigError, match=r"expected one input, received \(2,\) and \(3,\) as the input shape of"):
        Network([Dense(3), Dense(1, inputs=("input", "dense_1"))], (2,))


@pytest.mark.parametrize(
    ("layers", "index"),
    [([Embedding(10**9, 10**9)], 0), ([Embedding(2, 10**9), Embedding(2, 10**9)], 1), ([Embedding(2, 1)] * 64, 63)],
    ids=["array", "elements", "axes"],
)
def test_shapes_that_no_array_can_have_are_refused_where_they_come_up(layers, index):
    with pytest.raises(ConfigError) as error:
        Network(layers, ())
    (problem,) = error.value.problems
    assert problem.path == ("layers", index)
    assert problem.expected == "arrays of at most 63 axes and 2^59 elements"


def test_an_input_that_no_array_can_hold_is_refused():
    with pytest.raises(ConfigError, match=r"input_shape: expected arrays of at most 63 axes and 2\^59 elements"):
        Network([Flatten()], (2**30, 2**30))


def test_an_axis_without_elements_leaves_the_others_bounded():
    assert Network([Flatten()], (2**59, 0)).output_shape == (0,)
    with pytest.raises(ConfigError, match="input_shape"):
        Network([Flatten()], (2**60, 0))


def test_an_initializer_that_does_not_fit_is_named_by_its_field():
    layers = [Dense(3, bias_initializer={"type": "constant", "value": [1, 2]}), Dense(1, bias_initializer="orthogonal")]
    with pytest.raises(ConfigError) as error:
        Network(layers, (2,), rng=rng())
    places = [(*problem.path, problem.received) for problem in error.value.problems]
    assert places == [
        ("layers", 0, "bias_initializer", "a parameter of shape (3,)"),
        ("layers", 1, "bias_initializer", "a parameter of shape (1,)"),
    ]


def test_an_array_can_be_declared_once_only():
    class Twice(Shift):
        def build(self, scope, *input_shapes):
            super().build(scope, *input_shapes)
            scope.state("offset", ())

    with pytest.raises(ConfigError, match="each array to be declared once, not 'offset' twice"):
        Network([Twice()], (2,))


def test_the_name_of_an_array_is_a_plain_word():
    class Misnamed(Shift):
        def build(self, scope, *input_shapes):
            scope.parameter("a/b", (), self.initializer)

    with pytest.raises(ConfigError, match="a plain word of ASCII as the name of an array, not 'a/b'"):
        Network([Misnamed()], (2,))


@pytest.mark.parametrize("last", [Dense(2, "relu"), ActivationLayer("relu")])
def test_the_final_activation_can_be_split_off(last):
    network = Network([Dense(2), last], (3,), "float64", rng())
    logits, activation = network.split_final_activation()
    x = rng(1).standard_normal((20, 3))
    z = logits.forward(x)
    assert z.min() < 0
    activation.forward(z, z)
    np.testing.assert_array_equal(z, network.forward(x))


def test_what_is_split_off_shares_all_arrays():
    network = Network([BatchNorm(), Dense(2, "relu")], (3,), "float64", rng())
    logits, _ = network.split_final_activation()
    assert logits.parameters is network.parameters
    assert logits.gradients is network.gradients
    assert logits.state is network.state
    network.parameters += 1
    np.testing.assert_array_equal(logits.weights["dense_1"]["bias"], [1, 1])


def test_splitting_leaves_the_network_as_it_was():
    network = Network([Dense(2, "relu")], (3,), "float64", rng())
    x = rng(1).standard_normal((20, 3))
    before = network.forward(x)
    network.split_final_activation()
    np.testing.assert_array_equal(network.forward(x), before)
    assert network.nodes[0].layer == Dense(2, "relu")


def test_a_network_that_ends_without_activation_is_not_split():
    network = Network([Dense(2, "relu"), Flatten()], (3,))
    assert network.split_final_activation() == (network, None)


def test_a_linear_activation_is_split_off_as_any_other():
    _, activation = Network([Dense(2)], (3,)).split_final_activation()
    assert isinstance(activation, Activation)


def test_preprocessing_in_a_branch_is_fitted_on_what_that_branch_reads():
    network = Network(
        [Dense(2, name="a"), Standardize(name="b", inputs=("input",)), Concatenate(inputs=("a", "b"))],
        (3,),
        "float64",
        rng(),
    )
    x = rng(1).normal(5, 2, (30, 3))
    network.fit_preprocessing(lambda: iter(np.split(x, 3)))
    np.testing.assert_allclose(network.state["b"]["mean"], x.mean(axis=0))


def test_a_layer_may_not_draw_in_inference():
    class Careless(Dropout):
        def forward(self, ctx, *inputs):
            return inputs[0] * ctx.rng.random()

    network = Network([Careless(0.5)], (2,))
    with pytest.raises(UsageError, match="in training only"):
        network.forward(np.ones((1, 2), np.float32))


@pytest.mark.parametrize("layers", [[Dense(3, "relu"), Dense(2)], [Dense(2), Add(inputs=("dense_1", "input"))]])
def test_inference_keeps_nothing(layers):
    network = Network(layers, (2,), rng=rng())
    x = np.ones((100_000, 2), np.float32)
    network.forward(x)
    tracemalloc.start()
    try:
        network.forward(x)
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < x.nbytes / 10


def test_a_training_step_through_a_graph_allocates_no_array_after_the_first():
    network = branched("float32")
    training = TrainingPass(network, rng(), input_gradient=True)
    x, dy = np.ones((100_000, 4), np.float32), np.ones((100_000, 2), np.float32)

    def step():
        training.forward(x)
        training.backward(dy)

    step()
    tracemalloc.start()
    try:
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < dy.nbytes / 4


def test_inference_from_eight_threads_equals_inference_from_one():
    network = branched()
    batches = [rng(seed).standard_normal((100, 4)) for seed in range(200)]
    expected = [network.forward(x) for x in batches]
    with ThreadPoolExecutor(8) as pool:
        outputs = list(pool.map(network.forward, batches))
    for output, alone in zip(outputs, expected, strict=True):
        np.testing.assert_array_equal(output, alone)


def test_the_first_value_that_is_not_finite_is_found_in_a_parameter_or_an_output():
    network = Network([Dense(2, name="a"), Dense(2, name="b")], (2,), rng=rng())
    x = np.ones((3, 2), np.float32)
    assert first_nonfinite(network, x) is None
    network.weights["b"]["bias"][0] = np.nan
    assert first_nonfinite(network, x) == "the parameter 'bias' of layer 'b'"
    network.weights["a"]["kernel"][...] = 3e38
    with np.errstate(over="ignore"):
        assert first_nonfinite(network, x) == "the output of layer 'a'"
