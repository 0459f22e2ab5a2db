from __future__ import annotations

import pytest

from microframe import ConfigError, config
from microframe.configuration import Training
from microframe.standard.callbacks import (
    Checkpoint,
    EarlyStopping,
    MetricsLog,
    ReduceOnPlateau,
    TimeLimit,
    WeightRecorder,
    microframe_components,
)

EVERY = [
    EarlyStopping(),
    EarlyStopping(3, restore_best=False, monitor="loss", direction="max", min_delta=0.5),
    ReduceOnPlateau(),
    ReduceOnPlateau(0.1, patience=2, cooldown=3, minimum=1e-5),
    Checkpoint(best="best.h5"),
    Checkpoint(last="last.h5", every=3),
    MetricsLog("log.csv"),
    WeightRecorder(),
    WeightRecorder("batch", initial=True),
    TimeLimit(60),
]


@pytest.mark.parametrize("callback", EVERY, ids=repr)
def test_a_callback_survives_its_configuration(callback):
    again = Training.from_value({"loss": "cross_entropy", "callbacks": [config(callback)]}, (), [])
    assert again.callbacks == (callback,)


def test_every_standard_callback_is_covered_here():
    assert {type(callback) for callback in EVERY} == set(microframe_components())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(patience=0), "a whole number of at least 1"),
        (lambda: EarlyStopping(direction="up"), "one of 'auto', 'min', 'max'"),
        (lambda: ReduceOnPlateau(factor=1.0), "greater than 0 and less than 1"),
        (Checkpoint, "a path for best, for last, or for both"),
        (lambda: Checkpoint("a.h5", "a.h5"), "two different paths"),
        (lambda: MetricsLog("log.txt"), r"a path that ends in \.csv or \.jsonl"),
        (lambda: WeightRecorder("step"), "one of 'batch', 'epoch'"),
        (lambda: TimeLimit(0), "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
