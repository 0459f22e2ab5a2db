from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microframe import Model

PLUGIN = Path(__file__).parent / "notebook_momentum" / "notebook_momentum.py"

STANDARD_MOMENTUM = {
    0: 0.44937397,
    1: 0.12987244,
    2: 0.05843183,
    3: 0.03885629,
    4: 0.03001807,
    5: 0.02461015,
    22: 0.005848209,
    99: 0.001267527,
}
NOTEBOOK_MOMENTUM = {
    0: 0.45465070,
    1: 0.13697961,
    2: 0.06206941,
    3: 0.04092746,
    4: 0.03159958,
    5: 0.02592744,
    22: 0.006146497,
    99: 0.001315958,
}
"""The losses of the notebook by epoch, counted from 0."""


@pytest.fixture(scope="module")
def model(run_model):
    return run_model("bit-inversion")


@pytest.fixture(scope="module")
def model_of_plugin(run_model):
    optimizer = 'training.optimizer={ type = "notebook_momentum", learning_rate = 0.1 }'
    return run_model("bit-inversion", "--plugin", PLUGIN, "--set", optimizer)


def losses(model, epochs):
    return [model.history["loss"][epoch] for epoch in epochs]


def test_bits_and_first_weights_are_drawn_in_the_order_of_the_notebook(configuration):
    draws = np.random.RandomState(0)
    hidden, output = draws.normal(0, 0.1, (10, 10)), draws.normal(0, 0.1, (10, 10))
    bits = draws.binomial(1, 0.5, (300, 10))
    model = Model.from_config(configuration("bit-inversion")).build((10,))
    dataset = model.configuration.data.source.load()
    np.testing.assert_array_equal(model.network.weights["hidden"]["kernel"], hidden)
    np.testing.assert_array_equal(model.network.weights["output"]["kernel"], output)
    np.testing.assert_array_equal(dataset.inputs, bits)
    np.testing.assert_array_equal(dataset.target, 1 - bits)


def test_standard_momentum_gives_the_losses_of_the_table(model):
    expected = list(STANDARD_MOMENTUM.values())
    np.testing.assert_allclose(losses(model, STANDARD_MOMENTUM), expected, rtol=0, atol=1e-8)


def test_an_optimizer_plugin_gives_the_losses_of_the_notebooks_own_momentum(model_of_plugin):
    expected = list(NOTEBOOK_MOMENTUM.values())
    np.testing.assert_allclose(losses(model_of_plugin, NOTEBOOK_MOMENTUM), expected, rtol=0, atol=1e-8)


def test_either_network_inverts_every_bit_of_its_rows(model, model_of_plugin):
    dataset = model.configuration.data.source.load()
    for trained in (model, model_of_plugin):
        np.testing.assert_array_equal(trained.predict(dataset.inputs) > 0.5, dataset.target == 1)


def test_python_and_the_command_line_train_the_same_network_bit_for_bit(run_model, configuration):
    other = Model.from_config(configuration("bit-inversion", epochs=2))
    other.fit()
    model = run_model("bit-inversion", "--epochs", "2")
    np.testing.assert_array_equal(other.network.parameters, model.network.parameters)
