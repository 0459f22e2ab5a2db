from __future__ import annotations

import numpy as np
import pytest

from microframe import Model
from microframe.standard.losses import HalfSquaredError

TABLE = [
    (1, 2.2033552846771594, -0.05129978, 0.0404871),
    (101, 0.22075089864023806, 0.64409922, 1.15197811),
    (201, 0.060117006556965086, 0.88902233, 1.43499569),
    (301, 0.042213678511840574, 1.00490716, 1.48852746),
    (1101, 0.0140876590551607, 1.429024, 1.30600394),
]
"""The iteration, counted from 0, its loss before the update, and weight and bias after it, which have 8 decimals."""


@pytest.fixture(scope="module")
def model(run_model):
    return run_model("line")


def column(values):
    return np.array(values)[:, None]


def test_the_neuron_starts_from_the_first_draw_of_the_legacy_generator(configuration):
    weights = Model.from_config(configuration("line")).build((1,)).network.weights["dense_1"]
    assert weights["kernel"].item() == pytest.approx(-0.07506147, abs=5e-9)
    assert weights["bias"].item() == 0


@pytest.mark.parametrize(("iteration", "loss", "weight", "bias"), TABLE)
def test_training_takes_the_course_of_the_notebook(model, iteration, loss, weight, bias):
    recorded = model.network.views(model.records["weights"][iteration])["dense_1"]
    assert model.history["loss"][iteration] == pytest.approx(loss, abs=1e-12)
    assert recorded["kernel"].item() == pytest.approx(weight, abs=5e-9)
    assert recorded["bias"].item() == pytest.approx(bias, abs=5e-9)


def test_python_and_the_command_line_train_the_same_network_bit_for_bit(model, configuration):
    other = Model.from_config(configuration("line"))
    other.fit()
    np.testing.assert_array_equal(other.records["weights"], model.records["weights"])
    np.testing.assert_array_equal(other.history["loss"], model.history["loss"])


def test_the_loss_of_a_single_sample_is_what_hand_calculation_gives():
    target, prediction, gradient = column([0.0]), column([0.5]), np.empty((1, 1))
    assert HalfSquaredError().value_and_gradient(prediction, target, gradient) == 0.125
    assert gradient.item() == 0.5


def test_the_loss_of_four_samples_is_what_hand_calculation_gives():
    target, prediction = column([0.0, 1.0, 1.0, 1.0]), column([0.5, 0.646, 0.525, 0.668])
    gradient = np.empty((4, 1))
    assert HalfSquaredError().value(prediction, target) == pytest.approx(0.089, abs=5e-4)
    HalfSquaredError().gradient(prediction, target, gradient)
    np.testing.assert_allclose(gradient[:, 0], [0.125, -0.088, -0.119, -0.083], rtol=0, atol=5.1e-4)
