from __future__ import annotations

import numpy as np
import pytest

from microframe import Model, TrainingDivergedError
from microframe.standard.layers import Dense
from microframe.standard.optimizers import SGD, Adam


@pytest.mark.parametrize("optimizer", [Adam(0.01), Adam(0.01, average=0.9)])
def test_a_training_that_diverges_goes_back_to_the_last_good_epoch(
    optimizer, fit_noisy, everything, noisy_model, three_classes, disturb
):
    model, good = noisy_model(), fit_noisy(epochs=2, optimizer=optimizer)
    with pytest.raises(TrainingDivergedError, match="epoch 3, batch 3: the loss is nan"):
        fit_noisy(model, optimizer=optimizer, listeners=[disturb(3, 1, 1e300)])
    np.testing.assert_array_equal(model.network.parameters, good.network.parameters)
    np.testing.assert_array_equal(model.predict(three_classes()[0]), good.predict(three_classes()[0]))
    assert model.history.to_dict() == good.history.to_dict()
    model.fit(*three_classes(), resume=True)
    assert everything(model) == everything(fit_noisy(optimizer=optimizer))


def test_a_divergence_names_the_first_layer_whose_values_are_not_finite(fit_line):
    # one step makes all kernels about 1e30, whose products only the second layer takes beyond float32
    layers = [Dense(3, name="first"), Dense(3, name="second"), Dense(1, name="third")]
    with pytest.raises(TrainingDivergedError, match=r"epoch 2, batch 1: the loss is nan.* output of layer 'second'"):
        fit_line(Model(layers), optimizer=SGD(1e30))


def test_a_divergence_in_the_last_batch_of_an_epoch_is_found(fit_line, line_model):
    with pytest.raises(TrainingDivergedError, match=r"epoch 1, batch 1: a parameter is not finite.*'kernel' of layer"):
        fit_line(Model([Dense(1)]), optimizer=SGD(1e300))


def test_after_a_divergence_in_the_first_epoch_the_model_has_its_first_weights(fit_noisy, noisy_model, disturb):
    model = noisy_model()
    with pytest.raises(TrainingDivergedError, match="epoch 1"):
        fit_noisy(model, listeners=[disturb(1, 1, 1e300)])
    fresh = noisy_model().build((4,), seed=7)
    np.testing.assert_array_equal(model.network.parameters, fresh.network.parameters)
    assert model.history.epochs == 0
