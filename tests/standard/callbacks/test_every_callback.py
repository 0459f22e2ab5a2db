from __future__ import annotations

import pytest

from microframe import ConfigError
from microframe.standard.callbacks import (
    Checkpoint,
    EarlyStopping,
    MetricsLog,
    ReduceOnPlateau,
    TimeLimit,
    WeightRecorder,
)


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
