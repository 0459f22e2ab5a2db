from __future__ import annotations

import numpy as np
import pytest

from microframe.errors import DataError
from microframe.network import Network
from microframe.standard.layers import Dense, Embedding, Flatten, Reshape
from microframe.training_pass import TrainingPass


def network_of(*layers, shape=(2,)):
    return Network(layers, shape, "float64", np.random.default_rng(0))


def test_each_index_becomes_its_row_of_the_table():
    network = network_of(Embedding(5, 3))
    table = network.weights["embedding_1"]["embeddings"]
    indices = np.array([[0, 4], [2, 2]])
    np.testing.assert_array_equal(network.forward(indices), table[indices])


def test_a_network_that_begins_with_an_embedding_reads_int64():
    assert network_of(Embedding(5, 3)).input_dtype == np.int64


def test_the_gradient_of_a_row_is_the_sum_over_the_places_that_read_it():
    network = network_of(Embedding(4, 2))
    training = TrainingPass(network, np.random.default_rng(0))
    for _ in range(2):  # the second step must not add to the first
        training.forward(np.array([[1, 3], [1, 1]]))
        training.backward(np.arange(8.0).reshape(2, 2, 2))
    expected = [[0, 0], [0 + 4 + 6, 1 + 5 + 7], [0, 0], [2, 3]]
    np.testing.assert_array_equal(network.views(network.gradients)["embedding_1"]["embeddings"], expected)


@pytest.mark.parametrize("value", [5, 6, -1, -5, 2**62, -(2**63)])
@pytest.mark.parametrize("training", [True, False])
def test_an_index_out_of_range_is_an_error_that_names_it(value, training):
    network = network_of(Embedding(5, 3))
    forward = TrainingPass(network, np.random.default_rng(0)).forward if training else network.forward
    with pytest.raises(DataError, match=f"embedding: expected whole numbers from 0 to 4, received {value}$"):
        forward(np.array([[0, 4], [value, 1]]))


@pytest.mark.parametrize("between", [[Reshape((2,))], [Reshape((2, 1)), Flatten()]])
def test_indices_that_come_as_floating_point_numbers_are_read_as_whole_numbers(between):
    network = network_of(*between, Embedding(5, 3))
    table = network.weights["embedding_1"]["embeddings"]
    assert network.input_dtype == np.float64
    np.testing.assert_array_equal(network.forward(np.array([[0.0, 4.0]])), table[[[0, 4]]])


@pytest.mark.parametrize("value", [1.5, -1.0, 5.0, 1e300, np.inf, np.nan])
def test_a_number_that_is_no_index_is_an_error_that_names_it(value):
    network = network_of(Reshape((2,)), Embedding(5, 3, name="words"))
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match="words: expected whole numbers") as error:
        network.forward(np.array([[1.0, value]]))
    assert float(str(error.value).rpartition(" ")[2]) == pytest.approx(value, nan_ok=True)


def test_layers_above_train_through_an_embedding_with_zero_gradient():
    network = network_of(Dense(2, kernel_initializer="zeros"), Embedding(5, 3))
    training = TrainingPass(network, np.random.default_rng(0), input_gradient=True)
    network.gradients.fill(np.nan)
    y = training.forward(np.ones((4, 2)))
    dx = training.backward(np.ones_like(y))
    np.testing.assert_array_equal(dx, np.zeros((4, 2)))
    np.testing.assert_array_equal(network.views(network.gradients)["dense_1"]["kernel"], np.zeros((2, 2)))
