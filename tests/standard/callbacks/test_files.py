from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from microframe import Callback, ConfigError, TrainingDivergedError, load
from microframe.standard.callbacks import (
    Checkpoint,
    EarlyStopping,
    MetricsLog,
    ReduceOnPlateau,
    TimeLimit,
    WeightRecorder,
)
from microframe.standard.metrics import Accuracy, Recall
from microframe.standard.optimizers import Adam


def test_the_best_and_the_last_model_are_saved(tmp_path, follow, weights):
    best, last = str(tmp_path / "best.h5"), str(tmp_path / "last.h5")
    final = follow(Checkpoint(best, last, monitor="scripted"), [3, 2, 1, 2])
    at_best = follow(TimeLimit(60), [3, 2, 1])
    assert weights(load(best)) == weights(at_best)
    assert load(best).history.epochs == 3
    assert weights(load(last)) == weights(final)
    assert load(last).history.epochs == 4


def test_saved_models_predict_with_averaged_weights(tmp_path, fit, three_classes):
    last = str(tmp_path / "last.h5")
    x, _ = three_classes
    model = fit([Checkpoint(last=last)], optimizer=Adam(0.01, average=0.9))
    np.testing.assert_array_equal(load(last).outputs(x), model.outputs(x))


def test_the_last_model_is_saved_as_early_stopping_leaves_it(tmp_path, fit, everything, script):
    last = str(tmp_path / "last.h5")
    script[:] = [3, 1, 2, 2]
    model = fit(
        [Checkpoint(last=last), EarlyStopping(monitor="scripted")],
        metrics=["local.scripted"],
        validation=None,
        epochs=4,
        optimizer=Adam(0.01, average=0.9),
    )
    assert everything(load(last)) == everything(model)


def test_the_last_model_is_saved_every_few_epochs_and_at_the_end(tmp_path, fit):
    class Look(Callback):
        def epoch_end(self, run, memory):
            epochs.append(load(path).history.epochs if path.exists() else 0)

    epochs: list[int] = []
    path = tmp_path / "last.h5"
    fit([Checkpoint(last=str(path), every=2)], epochs=5, listeners=[Look()])
    assert epochs == [0, 0, 2, 2, 4]  # a file is written when all callbacks have been told
    assert load(path).history.epochs == 5


@pytest.mark.parametrize(
    ("fields", "written"),
    [
        ({"batches": 2}, [2, 4, 5, 6, 8, 10, 12, 14, 15]),
        ({"batches": 2, "every": 9}, [2, 4, 6, 8, 10, 12, 14, 15]),
        ({"batches": 5, "every": 9}, [5, 10, 15]),
        ({"batches": 7, "every": 2}, [7, 10, 14, 15]),
        ({"batches": 99, "every": 9}, [15]),
    ],
)
def test_the_last_model_is_saved_every_few_batches_as_well(tmp_path, fit, fields, written):
    """Five batches an epoch; a file that falls on the last of them has the whole epoch in it."""

    class Look(Callback):
        def batch_end(self, run, memory):
            if path.exists():
                look()

    def look():
        progress = load(path).checkpoint.progress
        assert progress["step"] == 5 * progress["epoch"] + progress["batch"]
        assert load(path).history.epochs == progress["epoch"]
        steps[progress["step"]] = None

    steps: dict[int, None] = {}
    path = tmp_path / "last.h5"
    fit([Checkpoint(last=str(path), **fields)], epochs=3, listeners=[Look()])
    look()
    assert list(steps) == written


def test_every_few_batches_needs_a_file_for_the_last_model():
    with pytest.raises(ConfigError, match="expected a path for last, which is what is written every few batches"):
        Checkpoint(best="best.h5", batches=5)


def test_without_best_nothing_is_followed(tmp_path, fit):
    fit([Checkpoint(last=str(tmp_path / "last.h5"))], validation=None)


@pytest.mark.parametrize(
    ("callback", "field"),
    [
        (Checkpoint(best="no/best.h5"), "best"),
        (Checkpoint(last="no/last.h5"), "last"),
        (MetricsLog("no/log.csv"), "path"),
    ],
)
def test_a_folder_that_is_missing_is_noticed_before_the_first_epoch(
    tmp_path, monkeypatch, callback, field, fit, factors
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"^training\.callbacks\[0\]\.{field}: expected a file in a folder that"):
        fit([callback])
    assert factors == []


def test_a_folder_is_not_a_file(tmp_path, fit):
    with pytest.raises(ConfigError, match=r"expected a file, received .*, which is a folder"):
        fit([Checkpoint(last=str(tmp_path))])


ORDERS = {"checkpoint first": 1, "checkpoint last": -1}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("every", ["batch", "epoch"])
@pytest.mark.parametrize(("batches", "batch"), [(None, 0), (1, 2), (3, 3)])
def test_training_resumed_from_a_saved_model_equals_one_that_was_never_interrupted(
    tmp_path, order, every, batches, batch, fit, everything, three_classes
):
    def callbacks(name: str) -> list[Callback]:
        monitoring = [EarlyStopping(9), ReduceOnPlateau(patience=1), WeightRecorder(every, initial=True)]
        return [Checkpoint(last=str(tmp_path / name), batches=batches), *monitoring][:: ORDERS[order]]

    class Crash(Callback):
        def batch_end(self, run, memory):
            if (run.epoch, run.batch) == (3, batch + 1):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks("model.h5"), listeners=[Crash()])
    resumed = load(tmp_path / "model.h5")
    assert (resumed.history.epochs, resumed.checkpoint.progress["batch"]) == (3, batch)
    x, y = three_classes
    resumed.fit(x, y, validation=(x, y), resume=True)
    whole = fit(callbacks("whole.h5"))
    assert everything(resumed) == everything(whole)
    saved = load(tmp_path / "model.h5")
    assert everything(saved) == everything(whole)


OVERWRITING = {
    "best": lambda path, **fields: Checkpoint(best=path, **fields),
    "last": lambda path, **fields: Checkpoint(last=path, **fields),
    "log": MetricsLog,
}


@pytest.mark.parametrize("kind", OVERWRITING)
def test_an_existing_file_is_refused_before_the_first_epoch_and_left_alone(tmp_path, monkeypatch, fit, factors, kind):
    monkeypatch.chdir(tmp_path)
    Path("file.csv").write_text("precious")
    with pytest.raises(ConfigError) as error:
        fit([TimeLimit(60), OVERWRITING[kind]("file.csv")])
    assert str(error.value) == (
        "training.callbacks[1].overwrite: expected true to replace a file (--set callbacks.1.overwrite=true), "
        "received false, and 'file.csv' exists"
    )
    assert factors == []
    with pytest.raises(ConfigError, match=r"\.overwrite: expected true to replace a file, received false"):
        fit([], listeners=[OVERWRITING[kind]("file.csv")])
    assert Path("file.csv").read_text() == "precious"


@pytest.mark.parametrize("kind", OVERWRITING)
def test_an_existing_file_is_replaced_on_request(tmp_path, fit, kind):
    path = tmp_path / "file.csv"
    fit([OVERWRITING[kind](str(path))])
    before = path.stat().st_mtime_ns
    fit([OVERWRITING[kind](str(path), overwrite=True)])
    assert path.stat().st_mtime_ns > before


@pytest.mark.parametrize("kind", OVERWRITING)
def test_what_is_of_another_kind_is_replaced_neither_on_request_nor_by_a_resumed_training(
    tmp_path, fit, noisy_model, diverge_in, kind
):
    path = tmp_path / "file.csv"
    path.write_text("precious")
    with pytest.raises(
        ConfigError, match=r"to replace, or none, received '.*file\.csv', which is there and is something"
    ):
        fit([OVERWRITING[kind](str(path), overwrite=True)])
    path.unlink()
    model, callback = noisy_model(), OVERWRITING[kind](str(path))
    with pytest.raises(TrainingDivergedError):
        fit([callback], model, listeners=[diverge_in(2)])
    path.write_text("precious")
    with pytest.raises(ConfigError, match="which is there and is something else"):
        fit([callback], model, resume=True)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("kind", OVERWRITING)
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_resumed_training_writes_to_its_own_files(tmp_path, fit, noisy_model, diverge_in, everything, kind, epoch):
    model, callback = noisy_model(), OVERWRITING[kind](str(tmp_path / "file.csv"))
    with pytest.raises(TrainingDivergedError):
        fit([callback], model, listeners=[diverge_in(epoch)])
    fit([callback], model, resume=True)
    whole = fit([OVERWRITING[kind](str(tmp_path / "whole.csv"))])
    assert everything(model) == everything(whole)


def test_after_a_divergence_the_files_are_those_of_the_last_good_epoch(tmp_path, fit, weights, noisy_model, diverge_in):
    model, last, log = noisy_model(), tmp_path / "last.h5", tmp_path / "log.csv"
    callbacks = [Checkpoint(last=str(last), every=2), MetricsLog(str(log))]
    with pytest.raises(TrainingDivergedError, match="epoch 4"):
        fit(callbacks, model, listeners=[diverge_in(4)])
    assert load(last).history.epochs == 3
    assert weights(load(last)) == weights(model) == weights(fit([], epochs=3))
    assert [row["epoch"] for row in read_csv(log)] == ["1", "2", "3"]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def read_json_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


READERS = {"log.csv": read_csv, "log.jsonl": read_json_lines}


@pytest.mark.parametrize("name", READERS)
def test_the_log_has_a_row_for_each_epoch(tmp_path, name, fit):
    model = fit([MetricsLog(str(tmp_path / name))], metrics=[Accuracy()])
    rows = READERS[name](tmp_path / name)
    assert list(rows[0]) == ["epoch", *model.history]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for column, values in model.history.items():
        assert [float(row[column]) for row in rows] == values.tolist()


@pytest.mark.parametrize("name", READERS)
def test_each_row_is_in_the_file_at_once(tmp_path, name, fit):
    class Look(Callback):
        def epoch_end(self, run, memory):
            counts.append(len(READERS[name](tmp_path / name)))

    counts: list[int] = []
    fit([MetricsLog(str(tmp_path / name))], epochs=3, listeners=[Look()])
    assert counts == [1, 2, 3]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("moment", [(1, 2), (3, 2), (3, 5)])
def test_a_resumed_training_continues_the_log_and_a_new_one_replaces_it(tmp_path, name, moment, fit, stop_at):
    path, log = tmp_path / name, MetricsLog(str(tmp_path / name), overwrite=True)
    fit([log])
    whole = path.read_text()
    model = fit([log], listeners=[stop_at(*moment)])
    assert len(path.read_text()) < len(whole)
    fit([log], model, resume=True)
    assert path.read_text() == whole


def test_rows_beyond_the_point_of_resuming_are_replaced(tmp_path, fit, stop_at):
    path = tmp_path / "log.csv"
    early = fit([MetricsLog(str(path))], listeners=[stop_at(2, 5)])
    fit([MetricsLog(str(path), overwrite=True)])
    whole = path.read_text()
    path.write_text(whole + "7,torn li")
    fit([MetricsLog(str(path))], early, resume=True)
    assert path.read_text() == whole


def test_a_metric_of_several_numbers_is_logged_class_by_class(tmp_path, fit):
    logs = [MetricsLog(str(tmp_path / name)) for name in READERS]
    model = fit(logs, metrics=[Recall(average="none")], validation=None)
    recall = model.history["recall"].tolist()
    rows = read_csv(tmp_path / "log.csv")
    assert list(rows[0]) == ["epoch", "loss", "recall[0]", "recall[1]", "recall[2]", "learning_rate"]
    assert [[float(row[f"recall[{number}]"]) for number in range(3)] for row in rows] == recall
    assert [row["recall"] for row in read_json_lines(tmp_path / "log.jsonl")] == recall


def test_what_is_not_finite_is_an_empty_cell_or_null(tmp_path, follow):
    follow(MetricsLog(str(tmp_path / "log.csv")), [np.nan, np.inf, 1])
    follow(MetricsLog(str(tmp_path / "log.jsonl")), [np.nan, np.inf, 1])
    assert [row["scripted"] for row in read_csv(tmp_path / "log.csv")] == ["", "", "1.0"]
    assert [row["scripted"] for row in read_json_lines(tmp_path / "log.jsonl")] == [None, None, 1.0]
