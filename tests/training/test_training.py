from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from microframe import Callback, History, Model
from microframe.standard.layers import Dense
from microframe.standard.metrics import Accuracy, MeanAbsoluteError
from microframe.standard.optimizers import SGD, Adam


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_goes_down(dtype, classifier, three_classes):
    model = classifier(dtype)
    x, y = three_classes(90)
    history = model.fit(x, y, loss="cross_entropy", optimizer=Adam(0.03), metrics=[Accuracy()], epochs=30)
    assert history["loss"][-1] < 0.4 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9
    assert model.network.parameters.dtype == dtype
    assert np.mean(model.predict(x) == y) == pytest.approx(history["accuracy"][-1], abs=0.05)


def test_the_history_has_a_column_for_each_number_and_a_value_for_each_epoch(fit_line):
    model = fit_line(metrics=[MeanAbsoluteError()], epochs=5, validation=0.25)
    names = ["loss", "mean_absolute_error", "validation_loss", "validation_mean_absolute_error", "learning_rate"]
    assert list(model.history) == names
    assert {name: column.shape for name, column in model.history.items()} == dict.fromkeys(names, (5,))
    assert model.history.epochs == 5
    assert list(fit_line().history) == ["loss", "learning_rate"]


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples_before_each_update(fit_line, line_model, straight_line):
    x, y = straight_line(10)
    model = fit_line(optimizer=SGD(1e-12), batch_size=4, epochs=1)
    assert model.history["loss"][0] == pytest.approx(np.mean(straight_line()[1] ** 2), rel=1e-6)
    model = line_model()
    model.fit(x, y, loss="mean_squared_error", optimizer=SGD(1e-12), batch_size=4, epochs=1)
    assert model.history["loss"][0] == pytest.approx(np.mean(y**2), rel=1e-6)


@pytest.mark.parametrize("batch", [1, 6, "all"])
def test_training_in_order_takes_the_steps_of_the_formula(batch, fit_line, straight_line, line_by_hand):
    size = None if batch == "all" else batch
    model = fit_line(batch_size=batch, shuffle=False, epochs=3)
    w, b = line_by_hand(*straight_line(), rates=[0.1] * 3, batch=size)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_shuffling_changes_the_order_of_the_samples_and_the_seed_which(fit_line):
    ordered = fit_line(batch_size=1, shuffle=False).network.parameters
    shuffled, other = (fit_line(batch_size=1, seed=seed).network.parameters for seed in (1, 2))
    assert not np.array_equal(ordered, shuffled)
    assert not np.array_equal(shuffled, other)


def test_each_epoch_has_an_order_of_its_own(line_model):
    class Losses(Callback):
        def batch_end(self, run, memory):
            losses.append(run.loss)

    losses: list[float] = []
    x = np.arange(8.0)[:, None]
    line_model().fit(
        x, x, loss="mean_squared_error", optimizer=SGD(1e-12), epochs=2, batch_size=1, listeners=[Losses()]
    )
    first, second = losses[:8], losses[8:]
    for epoch in (first, second):
        np.testing.assert_allclose(sorted(epoch), np.arange(8.0) ** 2, rtol=1e-6, atol=1e-6)
    assert not np.allclose(first, second)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(fit_noisy, everything):
    assert everything(fit_noisy()) == everything(fit_noisy())
    assert everything(fit_noisy(seed=8)) != everything(fit_noisy())


def test_global_random_state_plays_no_part(fit_noisy):
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tested
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is what is tested
    fit_noisy()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002 - the global state is what is tested


def test_sample_weights_are_worth_repetitions(line_model, straight_line):
    x, y = straight_line(4)
    y[1] += 3
    weights = np.array([0, 3, 1, 0])
    weighted, repeated = line_model(), line_model()
    settings = {"loss": "mean_squared_error", "optimizer": SGD(0.1), "epochs": 7, "batch_size": "all", "shuffle": False}
    weighted.fit(x, y, sample_weight=weights, **settings)
    repeated.fit(np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0), **settings)
    np.testing.assert_allclose(weighted.network.parameters, repeated.network.parameters, rtol=1e-12)
    np.testing.assert_allclose(weighted.history["loss"], repeated.history["loss"], rtol=1e-12)


def test_sample_weights_follow_their_samples_through_shuffling_and_splitting(classifier, three_classes):
    x, y = three_classes()
    broken = y.copy()
    broken[::2] = "low"
    weights = (np.arange(50) % 2).astype(float)
    model = classifier()
    settings = {"loss": "cross_entropy", "optimizer": Adam(0.03), "epochs": 40, "validation": 0.2}
    model.fit(x, broken, sample_weight=weights, **settings)
    assert np.mean(model.predict(x[1::2]) == y[1::2]) > 0.9
    assert np.mean(model.predict(x[::2]) == y[::2]) > 0.6


def test_another_fit_goes_on_from_the_weights_with_a_new_history(fit_line, straight_line, line_by_hand):
    model = fit_line(epochs=2)
    fit_line(model, epochs=3)
    w, b = line_by_hand(*straight_line(), rates=[0.1] * 5)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
    assert model.history.epochs == 3


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(0.01, momentum=0.9), Adam(), Adam(average=0.99)])
@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_step_allocates_no_array_after_the_first_of_an_epoch(optimizer, loss, shuffle):
    class Watch(Callback):
        def training_begin(self, run, memory):
            tracemalloc.start()

        def batch_end(self, run, memory):
            now, peak = tracemalloc.get_traced_memory()
            if run.batch > 1:
                growth.append(peak - memory["before"])
            tracemalloc.reset_peak()
            memory["before"] = now

        def training_end(self, run, memory):
            tracemalloc.stop()

    # every array of a step, but for biases, has at least 64 kB here; what NumPy adds to a vector's broadcast for the
    # time of one operation is 8192 elements, 32 kB
    growth: list[int] = []
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(768, 128)), rng.integers(0, 128, 768)
    target = y if loss == "cross_entropy" else np.eye(128)[y]
    layers = [Dense(128, activation="relu"), Dense(128, activation="softmax")]
    settings = {"loss": loss, "optimizer": optimizer, "epochs": 3, "batch_size": 128, "shuffle": shuffle}
    Model(layers).fit(x, target, **settings, listeners=[Watch()])
    assert len(growth) == 15
    assert max(growth[5:]) < 40_000


def test_a_history_survives_its_plain_form():
    history = History({"loss": [1.0, float("nan")], "recall": [[0.5, 1.0], [0.25, 0.0]]})
    assert history.to_dict() == {"loss": [1.0, None], "recall": [[0.5, 1.0], [0.25, 0.0]]}
    again = History(history.to_dict())
    np.testing.assert_array_equal(again["loss"], [1.0, np.nan])
    assert again["recall"].shape == (2, 2)
    assert again.last()["recall"] == [0.25, 0.0]


def test_training_leaves_no_file_behind(tmp_path, monkeypatch, fit_noisy):
    monkeypatch.chdir(tmp_path)
    fit_noisy()
    assert list(Path(tmp_path).iterdir()) == []
