"""When exactly a checkpoint is written every few batches: neither too seldom nor twice."""

from __future__ import annotations

import os

import pytest

from microframe import Callback, load
from microframe.standard.callbacks import Checkpoint


@pytest.fixture
def written(monkeypatch) -> list[tuple[int, int]]:
    """For each file that takes its place, how many epochs are in it, and how many batches of the next one."""
    places, replace = [], os.replace

    def noted(source, target):
        replace(source, target)
        progress = load(target).checkpoint.progress
        places.append((progress["epoch"], progress["batch"]))

    monkeypatch.setattr(os, "replace", noted)
    return places


WRITTEN = {
    "every 2 batches": ({"batches": 2}, [(0, 2), (0, 4), (1, 0), (1, 1), (1, 3), (2, 0)]),
    "every 2 batches, hardly an epoch": ({"batches": 2, "every": 9}, [(0, 2), (0, 4), (1, 1), (1, 3), (2, 0)]),
    "as many batches as an epoch has": ({"batches": 5}, [(1, 0), (2, 0)]),
    "the same, hardly an epoch": ({"batches": 5, "every": 9}, [(1, 0), (2, 0)]),
    "every batch": (
        {"batches": 1},
        [*((0, batch) for batch in range(1, 5)), *((1, batch) for batch in range(5)), (2, 0)],
    ),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_each_file_is_written_once_and_at_the_end_of_training_once_more(tmp_path, fit, written, case):
    """Five batches an epoch; the last of them is written with what is measured after it, and not before as well."""
    fields, expected = WRITTEN[case]
    fit([Checkpoint(last=str(tmp_path / "last.h5"), **fields)], epochs=2)
    assert written == [*expected, (2, 0)]


def test_the_last_batch_of_an_epoch_writes_nothing_until_the_epoch_is_measured(tmp_path, fit, written):
    class Look(Callback):
        def epoch_end(self, run, memory):
            seen.append(len(written))

    seen: list[int] = []
    fit([Checkpoint(last=str(tmp_path / "last.h5"), batches=5)], epochs=3, listeners=[Look()])
    assert seen == [0, 1, 2]
