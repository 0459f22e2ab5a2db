from __future__ import annotations

import numpy as np
import pytest

from microframe import Callback, ConfigError, Model, TrainingDivergedError, UsageError, load
from microframe.standard.callbacks import WeightRecorder
from microframe.standard.layers import Dense
from microframe.standard.optimizers import SGD


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


def test_weights_are_recorded_after_each_epoch(fit):
    by_batch, by_epoch = (fit([WeightRecorder(every)], epochs=3) for every in ("batch", "epoch"))
    last = by_batch.records["batch"] == 5
    for name in ("weights", "epoch", "batch"):
        np.testing.assert_array_equal(by_epoch.records[name], by_batch.records[name][last])
    np.testing.assert_array_equal(by_epoch.records["loss"], by_epoch.history["loss"])
    np.testing.assert_array_equal(by_epoch.records["weights"][-1], by_epoch.network.parameters)
    assert by_epoch.records["weights"].dtype == np.float32


@pytest.mark.parametrize("every", ["batch", "epoch"])
@pytest.mark.parametrize("moment", [(1, 1), (2, 3), (2, 5), (6, 4)])
def test_records_of_an_interrupted_epoch_are_there_once_and_in_order(tmp_path, every, moment, fit, everything, stop_at):
    recorder = WeightRecorder(every, initial=True)
    whole = fit([recorder])
    stopped = fit([recorder], listeners=[stop_at(*moment)])
    count = len(stopped.records["epoch"])
    assert count == 1 + (5 * (moment[0] - 1) + moment[1] if every == "batch" else moment[0] - (moment[1] < 5))
    for name, array in stopped.records.items():
        np.testing.assert_array_equal(array, whole.records[name][:count])
    stopped.save(tmp_path / "model.h5")
    for resumed in (stopped, load(tmp_path / "model.h5")):
        fit([recorder], resumed, resume=True)
        assert everything(resumed) == everything(whole)


def test_records_of_an_epoch_that_diverged_are_dropped(fit, everything, noisy_model, diverge_in):
    model, recorder = noisy_model(), WeightRecorder("batch", initial=True)
    with pytest.raises(TrainingDivergedError):
        fit([recorder], model, listeners=[diverge_in(3)])
    np.testing.assert_array_equal(model.records["epoch"], [0, *[1] * 5, *[2] * 5])
    fit([recorder], model, resume=True)
    assert everything(model) == everything(fit([recorder]))


def test_records_of_an_epoch_that_was_resumed_and_then_diverged_are_there_once(fit, everything, stop_at):
    class Disturb(Callback):
        def batch_end(self, run, memory):
            run.learning_rate_factor = 1e300

    recorder = WeightRecorder("batch", initial=True)
    model = fit([recorder], listeners=[stop_at(3, 2)])
    with pytest.raises(TrainingDivergedError):
        fit([recorder], model, resume=True, listeners=[Disturb()])
    np.testing.assert_array_equal(model.records["epoch"], [0, *[1] * 5, *[2] * 5, 3, 3])
    fit([recorder], model, resume=True)
    assert everything(model) == everything(fit([recorder]))


def test_records_of_a_first_epoch_that_diverged_start_anew(fit, everything, noisy_model, diverge_in):
    model, recorder = noisy_model(), WeightRecorder("batch", initial=True)
    with pytest.raises(TrainingDivergedError):
        fit([recorder], model, listeners=[diverge_in(1)])
    fit([recorder], model, resume=True)
    assert everything(model) == everything(fit([recorder]))


def test_a_new_training_makes_new_records(fit):
    model = fit([WeightRecorder()], epochs=2)
    fit([WeightRecorder()], model, epochs=3)
    assert model.records["epoch"].tolist() == [1, 2, 3]


def test_a_recorder_can_listen_and_join_later(fit):
    model = fit([], epochs=2)
    fit([], model, epochs=4, resume=True, listeners=[WeightRecorder()])
    assert model.records["epoch"].tolist() == [3, 4]
    fit([], model, epochs=5, resume=True, listeners=[WeightRecorder()])
    assert model.records["epoch"].tolist() == [3, 4, 5]


def test_there_can_be_one_recorder_only(fit):
    with pytest.raises(ConfigError, match="expected one weight_recorder, received several"):
        fit([WeightRecorder("batch"), WeightRecorder("epoch")])


def test_records_are_saved_with_the_model(tmp_path, fit):
    model = fit([WeightRecorder("batch")])
    model.save(tmp_path / "model.h5")
    for name, array in load(tmp_path / "model.h5").records.items():
        np.testing.assert_array_equal(array, model.records[name])


def rows(count, width=1):
    return np.zeros((count, width), np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda memory, arrays, records: memory.update(waiting=1), "at most 0 rows that wait, received 1"),
        (lambda memory, arrays, records: memory.update(waiting="1"), "Expected `int`, got `str`"),
        (lambda memory, arrays, records: memory.update(recorded=-1), "Expected `int` >= 0"),
        (lambda memory, arrays, records: memory.update(recorded=3), "at least 3 rows of float32"),
        (lambda memory, arrays, records: arrays.update({"callbacks/0/weights": rows(1)}), "as 'weights', received"),
        (lambda memory, arrays, records: arrays.update({"callbacks/0/epoch": np.zeros(6, np.int64)}), "no array"),
        (lambda memory, arrays, records: records.update(weights=rows(2)), r"as records\['weights'\], received"),
        (lambda memory, arrays, records: records.update(loss=np.float64(1)), r"as records\['loss'\], received"),
    ],
)
def test_rows_that_were_never_recorded_so_are_refused(fit, change, message):
    model = fit([WeightRecorder()], epochs=2)
    change(model.checkpoint.progress["memories"][0], model.checkpoint.arrays, model.records)
    with pytest.raises(UsageError, match=rf"^training\.callbacks\[0\]: .* 'weight_recorder' remembers: .*{message}"):
        fit([WeightRecorder()], model, epochs=3, resume=True)
