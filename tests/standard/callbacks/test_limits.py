from __future__ import annotations

import time

from microframe import Callback
from microframe.standard.callbacks import TimeLimit


def test_training_ends_with_the_batch_at_which_the_time_is_up(monkeypatch, notes, fit, reasons):
    class Pass(Callback):
        def batch_end(self, run, memory):
            clock[0] += 1

    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    model = fit([], listeners=[Pass(), TimeLimit(8), notes])
    assert model.checkpoint is not None
    assert model.checkpoint.progress["step"] == 8
    assert reasons == ["the time limit of 8 seconds is up"]
    fit([], model, resume=True, listeners=[Pass(), TimeLimit(8)])
    assert model.checkpoint.progress["step"] == 16


def test_a_generous_time_limit_changes_nothing(fit, weights, reasons):
    assert weights(fit([TimeLimit(1e6)])) == weights(fit([]))
    assert reasons == [None, None]
