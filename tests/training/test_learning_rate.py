from __future__ import annotations

import numpy as np

from microframe import Callback
from microframe.standard.optimizers import SGD


def test_the_schedule_scales_each_step(fit_line, straight_line, line_by_hand):
    model = fit_line(optimizer=SGD(0.1, schedule={"type": "step", "every": 1, "multiplier": 0.5}))
    w, b = line_by_hand(*straight_line(), rates=[0.1, 0.05, 0.025, 0.0125])
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_the_schedule_goes_on_within_an_epoch(fit_line):
    class Rates(Callback):
        def batch_end(self, run, memory):
            rates.append(run.learning_rate)

    rates: list[float] = []
    optimizer = SGD(0.1, schedule={"type": "polynomial"})
    fit_line(optimizer=optimizer, batch_size=5, epochs=2, listeners=[Rates()])
    np.testing.assert_allclose(rates, 0.1 * (1 - np.arange(1, 9) / 8), atol=1e-15)


def test_a_callback_can_change_the_learning_rate(fit_line, straight_line, line_by_hand, disturb):
    model = fit_line(listeners=[disturb(1, 1, 0.5), disturb(3, 1, 0.25)])
    w, b = line_by_hand(*straight_line(), rates=[0.1, 0.05, 0.05, 0.025])
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_the_change_of_a_callback_and_the_schedule_multiply(fit_line, straight_line, line_by_hand, disturb):
    optimizer = SGD(0.1, schedule={"type": "step", "every": 1, "multiplier": 0.5})
    model = fit_line(optimizer=optimizer, listeners=[disturb(1, 1, 0.5)])
    w, b = line_by_hand(*straight_line(), rates=[0.1, 0.025, 0.0125, 0.00625])
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
