from __future__ import annotations

import numpy as np
import pytest

from microframe.errors import ConfigError
from microframe.network import Declarations, Network
from microframe.standard.layers import Add, Concatenate, Dense, Multiply, Reshape
from microframe.testing import assert_gradient
from microframe.training_pass import TrainingPass

BRANCHES = (
    Dense(4, name="a"),
    Dense(4, "leaky_relu", name="b", inputs=("a",)),
    Dense(4, name="c", inputs=("a",)),
)


def branched(*layers):
    return Network([*BRANCHES, *layers], (3,), "float64", np.random.default_rng(0))


@pytest.mark.parametrize(
    ("layer", "merge"),
    [
        (Add, lambda a, b, c: a + b + c),
        (Multiply, lambda a, b, c: a * b * c),
        (Concatenate, lambda *values: np.concatenate(values, axis=-1)),
    ],
)
def test_the_output_is_made_of_all_inputs_in_order(layer, merge):
    network = branched(layer(inputs=("b", "c", "a")))
    x = np.random.default_rng(1).standard_normal((5, 3))
    values = {node.name: value for node, value in network.activations(x)}
    expected = merge(values["b"], values["c"], values["a"])
    np.testing.assert_array_equal(network.forward(x), expected)
    np.testing.assert_array_equal(TrainingPass(network, np.random.default_rng(0)).forward(x), expected)


@pytest.mark.parametrize(
    "merges",
    [
        (Add(inputs=("b", "c", "a")),),
        (Multiply(inputs=("b", "c", "a")),),
        (Concatenate(inputs=("b", "c", "a")),),
        (Add(inputs=("b", "c"), name="sum"), Add(inputs=("a", "a"), name="twice"), Multiply(inputs=("sum", "twice"))),
        (Multiply(inputs=("b", "b"), name="square"), Concatenate(inputs=("c", "input", "square", "c"))),
        (
            Reshape((2, 2), name="b2", inputs=("b",)),
            Reshape((2, 2), name="c2", inputs=("c",)),
            Concatenate(0, inputs=("b2", "c2", "b2")),
            Dense(2),
        ),
    ],
    ids=["add", "multiply", "concatenate", "one input twice", "a square and the network's input", "first axis"],
)
def test_gradients_through_branches_that_meet_again_are_right(merges):
    network = branched(*merges)
    training = TrainingPass(network, np.random.default_rng(0), input_gradient=True)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5, 3))
    dy = rng.standard_normal((5, *network.output_shape))
    for _ in range(2):  # the second time in reused arrays
        training.forward(x)
        dx = training.backward(dy).copy()
    assert_gradient(lambda x: float(np.vdot(dy, network.forward(x))), dx, x)

    def of_parameters(parameters):
        network.parameters[...] = parameters
        return float(np.vdot(dy, network.forward(x)))

    assert_gradient(of_parameters, network.gradients.copy(), network.parameters.copy())


def test_a_factor_of_zero_does_not_spoil_the_gradient_of_a_product():
    network = Network([Multiply(inputs=("input", "input", "input"))], (2,), "float64")
    training = TrainingPass(network, np.random.default_rng(0), input_gradient=True)
    training.forward(np.array([[0.0, 2.0]]))
    np.testing.assert_array_equal(training.backward(np.ones((1, 2))), [[0, 3 * 2**2]])


@pytest.mark.parametrize("layer", [Add(), Multiply(), Concatenate()])
def test_one_input_is_not_enough(layer):
    with pytest.raises(ValueError, match="at least two inputs"):
        layer.build(Declarations(), (3,))


@pytest.mark.parametrize("layer", [Add(), Multiply()])
@pytest.mark.parametrize("shapes", [((3,), (4,)), ((3,), (1,)), ((3,), (3, 1)), ((3,), (3,), (2,))])
def test_inputs_of_different_shape_are_rejected(layer, shapes):
    with pytest.raises(ValueError, match="inputs of one shape"):
        layer.build(Declarations(), *shapes)


@pytest.mark.parametrize(
    ("axis", "shapes", "expected"),
    [
        (-1, ((3,), (4,), (1,)), (8,)),
        (0, ((3,), (4,)), (7,)),
        (0, ((3, 2), (4, 2)), (7, 2)),
        (1, ((3, 2), (3, 5)), (3, 7)),
        (-2, ((3, 2, 6), (3, 1, 6)), (3, 3, 6)),
    ],
)
def test_concatenate_adds_the_extents_along_its_axis(axis, shapes, expected):
    assert Concatenate(axis).build(Declarations(), *shapes) == expected


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [(-1, ((3, 2), (4, 2))), (0, ((3, 2), (3, 4))), (1, ((2, 3), (2,))), (-1, ((3,), (3, 1))), (0, ((2,), (2, 2)))],
)
def test_concatenate_wants_the_other_axes_alike(axis, shapes):
    with pytest.raises(ValueError, match=f"inputs of one shape but for axis {axis}"):
        Concatenate(axis).build(Declarations(), *shapes)


@pytest.mark.parametrize("axis", [-2, 1, 5])
def test_concatenate_along_an_axis_that_is_not_there_is_an_error(axis):
    with pytest.raises(ValueError, match=f"an axis {axis} "):
        Concatenate(axis).build(Declarations(), (3,), (3,))


def test_the_error_of_a_network_names_the_shapes_and_the_layer():
    with pytest.raises(ConfigError) as error:
        branched(Dense(2, name="d", inputs=("b",)), Add(name="sum", inputs=("c", "d")))
    expected = "layers[4]: expected inputs of one shape, received (4,) and (2,) as the input shape of 'sum' (add)"
    assert str(error.value) == expected
