from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import numpy as np
import pytest

from microframe import Callback, ConfigError, Metric, Model, TrainingDivergedError, config, load, register
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
from microframe.standard.layers import Dense
from microframe.standard.metrics import Accuracy, Recall
from microframe.standard.optimizers import SGD, Adam

NOISY = [
    {"type": "dense", "units": 8, "activation": "relu"},
    "batch_norm",
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": 3, "activation": "softmax"},
]


class Scripted(Metric):
    """Gives the numbers of a script, one an evaluation, whatever is predicted."""

    better = "lower"

    def value(self, prediction, target, weight=None):
        return SCRIPT.pop(0)


class ScriptedHigher(Scripted):
    """The same, where more is better."""

    better = "higher"


for metric in (Scripted, ScriptedHigher):
    register(metric)
SCRIPT: list[float] = []


class StopAt(Callback):
    """Ends training after one batch of one epoch, both from 1."""

    epoch: int
    batch: int

    def batch_end(self, run, memory):
        if (run.epoch + 1, run.batch) == (self.epoch, self.batch):
            run.stop("the test wants it")


class Factors(Callback):
    """Notes the factor on the learning rate that each epoch leaves, and why training ended."""

    def epoch_end(self, run, memory):
        FACTORS.append(run.learning_rate_factor)

    def training_end(self, run, memory):
        REASONS.append(run.stopping)


FACTORS: list[float] = []
REASONS: list[str | None] = []


@pytest.fixture(autouse=True)
def _forget():
    for notes in (SCRIPT, FACTORS, REASONS):
        notes.clear()


def three_classes(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(count, 4))
    return x, np.digitize(x @ [1, 1, -1, 0], [-0.7, 0.7])


def fit(callbacks: list[Callback], model: Model | None = None, **settings) -> Model:
    """Five batches an epoch, with validation samples."""
    model = model or Model(NOISY)
    given = {"loss": "cross_entropy", "optimizer": Adam(0.01), "epochs": 6, "batch_size": 8, "metrics": []}
    x, y = three_classes()
    settings = given | {"validation": (x, y), "listeners": [Factors()]} | settings
    model.fit(x, y, callbacks=callbacks, **settings)
    return model


def follow(callback: Callback, script: list[float], metric: type[Metric] = Scripted, **settings) -> Model:
    """Train while `metric` takes the values of the script, one an epoch."""
    SCRIPT[:] = script
    return fit([callback], metrics=[metric()], epochs=len(script), **{"validation": None} | settings)


def everything(model: Model) -> dict[str, object]:
    """All that training leaves behind, in a form that compares bit for bit."""
    assert model.checkpoint is not None
    arrays = {"predicting": model.network.parameters, **model.records, **model.checkpoint.arrays}
    for layer, states in model.network.state.items():
        arrays |= {f"{layer}/{name}": array for name, array in states.items()}
    return {
        "arrays": {name: (array.shape, array.dtype.str, array.tobytes()) for name, array in arrays.items()},
        "progress": json.dumps(model.checkpoint.progress, sort_keys=True),
    }


def weights(model: Model) -> list[bytes]:
    """The parameters and the state of the network."""
    states = [array for states in model.network.state.values() for array in states.values()]
    return [array.tobytes() for array in (model.network.parameters, *states)]


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


MONITORING = [EarlyStopping(), ReduceOnPlateau(), Checkpoint(best="best.h5")]


@pytest.mark.parametrize("callback", MONITORING, ids=repr)
def test_without_validation_samples_validation_loss_cannot_be_followed(callback):
    with pytest.raises(ConfigError) as error:
        fit([callback], validation=None, metrics=[Accuracy()])
    assert str(error.value) == (
        "training.callbacks[0].monitor: expected one of 'loss', 'accuracy', received 'validation_loss', but there are "
        "no validation samples (did you mean 'loss'?)"
    )


def test_a_misspelt_column_is_refused_before_the_first_epoch_with_the_nearest_one():
    class Fail(Callback):
        def batch_end(self, run, memory):
            raise AssertionError("a batch was trained on")

    with pytest.raises(ConfigError) as error:
        fit([TimeLimit(9), EarlyStopping(monitor="validation_acuracy")], metrics=[Accuracy()], listeners=[Fail()])
    assert str(error.value) == (
        "training.callbacks[1].monitor: expected one of 'loss', 'accuracy', 'validation_loss', 'validation_accuracy', "
        "received 'validation_acuracy' (did you mean 'validation_accuracy'?)"
    )


def test_a_listener_goes_by_its_type_in_an_error():
    with pytest.raises(ConfigError, match=r"^early_stopping\.monitor: expected"):
        fit([], listeners=[EarlyStopping(monitor="accuracy")])


def test_a_metric_with_a_number_for_each_class_cannot_be_followed():
    with pytest.raises(ConfigError, match="a single number, received 'recall', which has one for each class"):
        fit([EarlyStopping(monitor="recall")], metrics=[Recall(average="none")])


def test_training_stops_when_patience_is_over():
    model = follow(EarlyStopping(2, monitor="scripted"), [3, 2, 5, 1, 1, 1.5, 0.5])
    assert model.history["scripted"].tolist() == [3, 2, 5, 1, 1, 1.5]
    assert REASONS == ["no improvement of scripted for 2 epochs (best 1 at epoch 4)"]


def test_training_goes_on_while_there_is_improvement():
    model = follow(EarlyStopping(1, monitor="scripted"), [5, 4, 3, 2, 1])
    assert model.history.epochs == 5
    assert REASONS == [None]


@pytest.mark.parametrize(
    ("metric", "direction", "name", "epochs"),
    [
        (Scripted, "auto", "scripted", 4),
        (ScriptedHigher, "auto", "scripted_higher", 2),
        (Scripted, "max", "scripted", 2),
        (ScriptedHigher, "min", "scripted_higher", 4),
    ],
)
def test_the_direction_is_the_metrics_own_unless_given(metric, direction, name, epochs):
    callback = EarlyStopping(1, monitor=name, direction=direction)
    assert follow(callback, [4, 3, 2, 1], metric).history.epochs == epochs


def test_the_direction_holds_for_validation_too():
    SCRIPT[:] = [1, 5, 2, 4, 3, 3, 4, 2]  # for training and validation in turn
    callback = EarlyStopping(1, monitor="validation_scripted_higher")
    assert fit([callback], metrics=[ScriptedHigher()], epochs=4).history.epochs == 2


@pytest.mark.parametrize(("direction", "epochs"), [("auto", 6), ("min", 6), ("max", 2)])
@pytest.mark.parametrize("monitor", ["loss", "validation_loss"])
def test_a_smaller_loss_is_better(monitor, direction, epochs):
    model = Model([Dense(3, activation="softmax")])  # whose loss falls with every full batch
    fit([EarlyStopping(1, monitor=monitor, direction=direction)], model, optimizer=SGD(0.01), batch_size="all")
    assert model.history.epochs == epochs


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 5), (0.5, 3), (0.49, 5)])
def test_an_improvement_must_surpass_min_delta(min_delta, epochs):
    callback = EarlyStopping(2, monitor="scripted", min_delta=min_delta)
    assert follow(callback, [3, 2.5, 2.5, 2, 1.5]).history.epochs == epochs


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_no_improvement(strange):
    model = follow(EarlyStopping(2, monitor="scripted"), [strange, 3, strange, 2, strange, strange, 1])
    assert model.history.epochs == 6
    assert REASONS == ["no improvement of scripted for 2 epochs (best 2 at epoch 4)"]


def test_a_value_that_never_is_a_number_ends_training():
    assert follow(EarlyStopping(1, monitor="scripted"), [np.nan, 1]).history.epochs == 1
    assert REASONS == ["no improvement of scripted for 1 epoch (it was never a finite number)"]


@pytest.mark.parametrize("optimizer", [Adam(0.01), Adam(0.01, average=0.9)])
def test_the_weights_and_the_state_of_the_best_epoch_are_restored(optimizer):
    script = [3, 2, 1, 2, 2, 3]
    best = follow(TimeLimit(60), script[:3], optimizer=optimizer)
    stopped = follow(EarlyStopping(2, monitor="scripted"), script, optimizer=optimizer)
    assert stopped.history.epochs == 5
    assert weights(stopped) == weights(best)
    last = follow(EarlyStopping(2, restore_best=False, monitor="scripted"), script, optimizer=optimizer)
    assert weights(last) != weights(best)


def test_the_best_weights_are_restored_when_training_runs_out_of_epochs():
    best = follow(TimeLimit(60), [1])
    assert weights(follow(EarlyStopping(monitor="scripted"), [1, 2, 3])) == weights(best)


def test_the_test_part_is_measured_with_the_restored_weights():
    SCRIPT[:] = [1, 2, 3, 0]
    model = Model.from_config(
        {
            "layers": [{"type": "dense", "units": 1}],
            "dtype": "float64",
            "data": {"source": "diabetes", "test": 0.2},
            "training": {
                "loss": "mean_squared_error",
                "optimizer": {"type": "sgd", "average": 0.5},
                "metrics": ["local.scripted"],
                "epochs": 3,
                "callbacks": [{"type": "early_stopping", "monitor": "scripted"}],
            },
        }
    )
    model.fit()
    assert model.parts is not None
    assert model.configuration.data is not None
    data, rows = model.configuration.data.source.load(), model.parts.test
    expected = model.evaluate(data.inputs[rows], data.target[rows], metrics=[])["loss"]
    assert model.results["test"]["loss"] == pytest.approx(expected, rel=1e-12)


def test_a_stopped_training_can_go_on_from_its_last_weights():
    script = [3, 1, 2, 2, 2, 0.5, 0.4]
    whole = follow(EarlyStopping(5, monitor="scripted"), script)
    model = follow(EarlyStopping(5, monitor="scripted"), script[:4])
    fit([EarlyStopping(5, monitor="scripted")], model, **{**_scripted(script[4:]), "epochs": 7, "resume": True})
    assert everything(model) == everything(whole)


def _scripted(script: list[float]) -> dict[str, object]:
    SCRIPT[:] = script
    return {"metrics": [Scripted()], "validation": None}


def test_the_learning_rate_is_reduced_on_a_plateau():
    follow(ReduceOnPlateau(0.1, patience=2, monitor="scripted"), [3, 2, 2, 2, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(FACTORS, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_epochs_of_the_cooldown_do_not_count():
    follow(ReduceOnPlateau(0.5, patience=2, cooldown=1, monitor="scripted"), [1] * 9)
    np.testing.assert_allclose(FACTORS, [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125])


def test_an_improvement_within_the_cooldown_is_remembered():
    follow(ReduceOnPlateau(0.5, patience=1, cooldown=2, monitor="scripted"), [5, 5, 1, 3, 3, 3])
    np.testing.assert_allclose(FACTORS, [1, 0.5, 0.5, 0.5, 0.25, 0.25])


def test_the_learning_rate_goes_no_lower_than_the_minimum():
    follow(ReduceOnPlateau(0.1, patience=1, minimum=0.002, monitor="scripted"), [1] * 5)
    np.testing.assert_allclose(FACTORS, [1, 0.2, 0.2, 0.2, 0.2], rtol=1e-12)


def test_a_minimum_above_the_learning_rate_does_not_raise_it():
    follow(ReduceOnPlateau(0.1, patience=1, minimum=1.0, monitor="scripted"), [1] * 3)
    assert FACTORS == [1, 1, 1]


def test_the_best_and_the_last_model_are_saved(tmp_path):
    best, last = str(tmp_path / "best.h5"), str(tmp_path / "last.h5")
    final = follow(Checkpoint(best, last, monitor="scripted"), [3, 2, 1, 2])
    at_best = follow(TimeLimit(60), [3, 2, 1])
    assert weights(load(best)) == weights(at_best)
    assert load(best).history.epochs == 3
    assert weights(load(last)) == weights(final)
    assert load(last).history.epochs == 4


def test_saved_models_predict_with_averaged_weights(tmp_path):
    last = str(tmp_path / "last.h5")
    x, _ = three_classes()
    model = fit([Checkpoint(last=last)], optimizer=Adam(0.01, average=0.9))
    np.testing.assert_array_equal(load(last).outputs(x), model.outputs(x))


def test_the_last_model_is_saved_as_early_stopping_leaves_it(tmp_path):
    last = str(tmp_path / "last.h5")
    SCRIPT[:] = [3, 1, 2, 2]
    model = fit(
        [Checkpoint(last=last), EarlyStopping(monitor="scripted")],
        metrics=[Scripted()],
        validation=None,
        epochs=4,
        optimizer=Adam(0.01, average=0.9),
    )
    assert everything(load(last)) == everything(model)


def test_the_last_model_is_saved_every_few_epochs_and_at_the_end(tmp_path):
    class Look(Callback):
        def epoch_end(self, run, memory):
            epochs.append(load(path).history.epochs if path.exists() else 0)

    epochs: list[int] = []
    path = tmp_path / "last.h5"
    fit([Checkpoint(last=str(path), every=2)], epochs=5, listeners=[Look()])
    assert epochs == [0, 0, 2, 2, 4]  # a file is written when all callbacks have been told
    assert load(path).history.epochs == 5


def test_without_best_nothing_is_followed(tmp_path):
    fit([Checkpoint(last=str(tmp_path / "last.h5"))], validation=None)


@pytest.mark.parametrize(
    ("callback", "field"),
    [
        (Checkpoint(best="no/best.h5"), "best"),
        (Checkpoint(last="no/last.h5"), "last"),
        (MetricsLog("no/log.csv"), "path"),
    ],
)
def test_a_folder_that_is_missing_is_noticed_before_the_first_epoch(tmp_path, monkeypatch, callback, field):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"^training\.callbacks\[0\]\.{field}: expected a file in a folder that"):
        fit([callback])
    assert FACTORS == []


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a file, received .*, which is a folder"):
        fit([Checkpoint(last=str(tmp_path))])


ORDERS = {"checkpoint first": 1, "checkpoint last": -1}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("every", ["batch", "epoch"])
def test_training_resumed_from_a_saved_model_equals_one_that_was_never_interrupted(tmp_path, order, every):
    def callbacks(name: str) -> list[Callback]:
        monitoring = [EarlyStopping(9), ReduceOnPlateau(patience=1), WeightRecorder(every, initial=True)]
        return [Checkpoint(last=str(tmp_path / name)), *monitoring][:: ORDERS[order]]

    class Crash(Callback):
        def batch_end(self, run, memory):
            if (run.epoch, run.batch) == (3, 2):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks("model.h5"), listeners=[Crash()])
    resumed = load(tmp_path / "model.h5")
    assert resumed.history.epochs == 3
    x, y = three_classes()
    resumed.fit(x, y, validation=(x, y), resume=True)
    whole = fit(callbacks("model.h5"))
    assert everything(resumed) == everything(whole)
    saved = load(tmp_path / "model.h5")
    assert everything(saved) == everything(whole)


def test_weights_are_recorded_after_each_update():
    x = np.array([[1.0], [2.0], [3.0]])
    model = Model([Dense(1, kernel_initializer="zeros")], dtype="float64")
    settings = {"loss": "mean_squared_error", "optimizer": SGD(0.01), "epochs": 2, "batch_size": 2, "shuffle": False}
    model.fit(x, x, **settings, callbacks=[WeightRecorder("batch", initial=True)])
    expected, losses, w, b = [[0.0, 0.0]], [], 0.0, 0.0
    for inputs in (x[:2], x[2:]) * 2:
        error = w * inputs + b - inputs
        losses.append(np.mean(error**2))
        w, b = w - 0.02 * np.mean(error * inputs), b - 0.02 * np.mean(error)
        expected.append([w, b])
    np.testing.assert_allclose(model.records["weights"], expected, rtol=1e-12)
    np.testing.assert_allclose(model.records["loss"], [np.nan, *losses], rtol=1e-12)
    np.testing.assert_array_equal(model.records["epoch"], [0, 1, 1, 2, 2])
    np.testing.assert_array_equal(model.records["batch"], [0, 1, 2, 1, 2])
    assert {name: array.dtype.name for name, array in model.records.items()} == {
        "weights": "float64",
        "epoch": "int64",
        "batch": "int64",
        "loss": "float64",
    }


def test_weights_are_recorded_after_each_epoch():
    by_batch, by_epoch = (fit([WeightRecorder(every)], epochs=3) for every in ("batch", "epoch"))
    last = by_batch.records["batch"] == 5
    for name in ("weights", "epoch", "batch"):
        np.testing.assert_array_equal(by_epoch.records[name], by_batch.records[name][last])
    np.testing.assert_array_equal(by_epoch.records["loss"], by_epoch.history["loss"])
    np.testing.assert_array_equal(by_epoch.records["weights"][-1], by_epoch.network.parameters)
    assert by_epoch.records["weights"].dtype == np.float32


@pytest.mark.parametrize("every", ["batch", "epoch"])
@pytest.mark.parametrize("moment", [(1, 1), (2, 3), (2, 5), (6, 4)])
def test_records_of_an_interrupted_epoch_are_there_once_and_in_order(tmp_path, every, moment):
    recorder = WeightRecorder(every, initial=True)
    whole = fit([recorder])
    stopped = fit([recorder], listeners=[StopAt(*moment)])
    count = len(stopped.records["epoch"])
    assert count == 1 + (5 * (moment[0] - 1) + moment[1] if every == "batch" else moment[0] - (moment[1] < 5))
    for name, array in stopped.records.items():
        np.testing.assert_array_equal(array, whole.records[name][:count])
    stopped.save(tmp_path / "model.h5")
    for resumed in (stopped, load(tmp_path / "model.h5")):
        fit([recorder], resumed, resume=True)
        assert everything(resumed) == everything(whole)


def test_records_of_an_epoch_that_diverged_are_dropped():
    class Disturb(Callback):
        def batch_end(self, run, memory):
            if (run.epoch, run.batch) == (2, 1):
                run.learning_rate_factor = 1e300

    model, recorder = Model(NOISY), WeightRecorder("batch", initial=True)
    with pytest.raises(TrainingDivergedError):
        fit([recorder], model, listeners=[Disturb()])
    np.testing.assert_array_equal(model.records["epoch"], [0, *[1] * 5, *[2] * 5])
    fit([recorder], model, resume=True)
    assert everything(model) == everything(fit([recorder]))


def test_records_of_a_first_epoch_that_diverged_start_anew():
    class Disturb(Callback):
        def batch_end(self, run, memory):
            run.learning_rate_factor = 1e300

    model, recorder = Model(NOISY), WeightRecorder("batch", initial=True)
    with pytest.raises(TrainingDivergedError):
        fit([recorder], model, listeners=[Disturb()])
    fit([recorder], model, resume=True)
    assert everything(model) == everything(fit([recorder]))


def test_a_new_training_makes_new_records():
    model = fit([WeightRecorder()], epochs=2)
    fit([WeightRecorder()], model, epochs=3)
    assert model.records["epoch"].tolist() == [1, 2, 3]


def test_a_recorder_can_listen_and_join_later():
    model = fit([], epochs=2)
    fit([], model, epochs=4, resume=True, listeners=[WeightRecorder()])
    assert model.records["epoch"].tolist() == [3, 4]
    fit([], model, epochs=5, resume=True, listeners=[WeightRecorder()])
    assert model.records["epoch"].tolist() == [3, 4, 5]


def test_there_can_be_one_recorder_only():
    with pytest.raises(ConfigError, match="expected one weight_recorder, received several"):
        fit([WeightRecorder("batch"), WeightRecorder("epoch")])


def test_records_are_saved_with_the_model(tmp_path):
    model = fit([WeightRecorder("batch")])
    model.save(tmp_path / "model.h5")
    for name, array in load(tmp_path / "model.h5").records.items():
        np.testing.assert_array_equal(array, model.records[name])


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def read_json_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


READERS = {"log.csv": read_csv, "log.jsonl": read_json_lines}


@pytest.mark.parametrize("name", READERS)
def test_the_log_has_a_row_for_each_epoch(tmp_path, name):
    model = fit([MetricsLog(str(tmp_path / name))], metrics=[Accuracy()])
    rows = READERS[name](tmp_path / name)
    assert list(rows[0]) == ["epoch", *model.history]
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for column, values in model.history.items():
        assert [float(row[column]) for row in rows] == values.tolist()


@pytest.mark.parametrize("name", READERS)
def test_each_row_is_in_the_file_at_once(tmp_path, name):
    class Look(Callback):
        def epoch_end(self, run, memory):
            counts.append(len(READERS[name](tmp_path / name)))

    counts: list[int] = []
    fit([MetricsLog(str(tmp_path / name))], epochs=3, listeners=[Look()])
    assert counts == [1, 2, 3]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("moment", [(1, 2), (3, 2), (3, 5)])
def test_a_resumed_training_continues_the_log_and_a_new_one_replaces_it(tmp_path, name, moment):
    path, log = tmp_path / name, MetricsLog(str(tmp_path / name))
    fit([log])
    whole = path.read_text()
    model = fit([log], listeners=[StopAt(*moment)])
    assert len(path.read_text()) < len(whole)
    fit([log], model, resume=True)
    assert path.read_text() == whole


def test_rows_beyond_the_point_of_resuming_are_replaced(tmp_path):
    path = tmp_path / "log.csv"
    early = fit([MetricsLog(str(path))], listeners=[StopAt(2, 5)])
    fit([MetricsLog(str(path))])
    whole = path.read_text()
    path.write_text(whole + "7,torn li")
    fit([MetricsLog(str(path))], early, resume=True)
    assert path.read_text() == whole


def test_a_metric_of_several_numbers_is_logged_class_by_class(tmp_path):
    logs = [MetricsLog(str(tmp_path / name)) for name in READERS]
    model = fit(logs, metrics=[Recall(average="none")], validation=None)
    recall = model.history["recall"].tolist()
    rows = read_csv(tmp_path / "log.csv")
    assert list(rows[0]) == ["epoch", "loss", "recall[0]", "recall[1]", "recall[2]", "learning_rate"]
    assert [[float(row[f"recall[{number}]"]) for number in range(3)] for row in rows] == recall
    assert [row["recall"] for row in read_json_lines(tmp_path / "log.jsonl")] == recall


def test_what_is_not_finite_is_an_empty_cell_or_null(tmp_path):
    follow(MetricsLog(str(tmp_path / "log.csv")), [np.nan, np.inf, 1])
    follow(MetricsLog(str(tmp_path / "log.jsonl")), [np.nan, np.inf, 1])
    assert [row["scripted"] for row in read_csv(tmp_path / "log.csv")] == ["", "", "1.0"]
    assert [row["scripted"] for row in read_json_lines(tmp_path / "log.jsonl")] == [None, None, 1.0]


def test_training_ends_with_the_batch_at_which_the_time_is_up(monkeypatch):
    class Pass(Callback):
        def batch_end(self, run, memory):
            clock[0] += 1

    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    model = fit([], listeners=[Pass(), TimeLimit(8), Factors()])
    assert model.checkpoint is not None
    assert model.checkpoint.progress["step"] == 8
    assert REASONS == ["the time limit of 8 seconds is up"]
    fit([], model, resume=True, listeners=[Pass(), TimeLimit(8)])
    assert model.checkpoint.progress["step"] == 16


def test_a_generous_time_limit_changes_nothing():
    assert weights(fit([TimeLimit(1e6)])) == weights(fit([]))
    assert REASONS == [None, None]
