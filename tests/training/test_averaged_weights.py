from __future__ import annotations

import numpy as np
import pytest

from microframe import Model
from microframe.standard.callbacks import WeightRecorder
from microframe.standard.optimizers import SGD


def test_averaged_weights_predict(fit_line):
    model = fit_line(optimizer=SGD(0.1, average=0.8), batch_size=5, callbacks=[WeightRecorder("batch")])
    weights = model.records["weights"]
    average = weights[0]
    for step in weights[1:]:
        average = 0.8 * average + 0.2 * step
    np.testing.assert_allclose(model.network.parameters, average, rtol=1e-12)
    assert model.checkpoint is not None
    np.testing.assert_array_equal(model.checkpoint.arrays["optimizer/parameters"], weights[-1])


def test_averaged_weights_are_what_validation_and_test_measure(fit_line, straight_line):
    x, y = straight_line()
    model = Model.from_config(
        {
            "layers": [{"type": "dense", "units": 1}],
            "data": {"source": "line", "test": 0.2},
            "training": {
                "loss": "mean_squared_error",
                "optimizer": {"type": "sgd", "average": 0.9},
                "metrics": ["mean_absolute_error"],
                "epochs": 2,
            },
        }
    )
    model.fit()
    assert model.parts is not None
    assert model.configuration.data is not None
    data = model.configuration.data.source.load()
    rows = model.parts.test
    assert model.results["test"] == pytest.approx(model.evaluate(data.inputs[rows], data.target[rows]), rel=1e-5)
    model = fit_line(optimizer=SGD(0.1, average=0.9), validation=(x, y))
    assert model.history["validation_loss"][-1] == pytest.approx(model.evaluate(x, y)["loss"], rel=1e-12)
    assert model.history["validation_loss"][-1] != pytest.approx(model.history["loss"][-1], rel=0.01)
