from __future__ import annotations

import numpy as np
import pytest

from microframe import Model


@pytest.fixture(scope="module")
def model(run_model):
    return run_model("residual")


@pytest.fixture(scope="module")
def images(model):
    return model.configuration.data.source.load().inputs.astype(np.float32)


def test_shortcuts_lead_around_pairs_of_layers(model):
    nodes = {node.name: node for node in model.network.nodes}
    names = ["input", *nodes]
    sources = {name: [names[source] for source in node.sources] for name, node in nodes.items()}
    assert sources["block_1"] == ["stem", "outer_1"]
    assert sources["block_2"] == ["block_1", "outer_2"]
    assert sources["inner_2"] == ["block_1"]


def test_the_output_is_that_of_the_formula(model, images):
    weights, state = model.network.weights, model.network.state["standardize_1"]

    def dense(name, x):
        return x @ weights[name]["kernel"] + weights[name]["bias"]

    def block(number, x):
        return x + dense(f"outer_{number}", np.maximum(dense(f"inner_{number}", x), 0))

    stem = np.maximum(dense("stem", (images - state["mean"]) / state["scale"]), 0)
    odds = np.exp(dense("digit", block(2, block(1, stem))))
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(images), expected, rtol=1e-3, atol=1e-6)


def test_it_reads_digits_that_it_was_not_trained_on(model):
    assert len(model.parts.test) == 359
    assert model.results["test"]["accuracy"] >= 0.95


def test_python_and_the_command_line_train_the_same_network_bit_for_bit(model, configuration):
    other = Model.from_config(configuration("residual"))
    other.fit()
    np.testing.assert_array_equal(other.network.parameters, model.network.parameters)
