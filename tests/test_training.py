from __future__ import annotations

import tracemalloc
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest

from microframe import Callback, History, Model, TrainingDivergedError, UsageError, load, register
from microframe import samples as samples_module
from microframe.interfaces.callback import Listener
from microframe.standard.callbacks import EarlyStopping, ReduceOnPlateau, WeightRecorder
from microframe.standard.layers import Dense
from microframe.standard.metrics import Accuracy, MeanAbsoluteError
from microframe.standard.optimizers import SGD, Adam
from microframe.training import Run

LINE = [{"type": "dense", "units": 1}]
CLASSIFIER = [
    {"type": "dense", "units": 12, "activation": "tanh"},
    {"type": "dense", "units": 3, "activation": "softmax"},
]
NOISY = [
    "standardize",
    {"type": "dense", "units": 12, "activation": "relu"},
    "batch_norm",
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": 3, "activation": "softmax"},
]


class StopAt(Callback):
    """Ends training after one batch of one epoch, both from 1."""

    epoch: int
    batch: int

    def batch_end(self, run, memory):
        if (run.epoch + 1, run.batch) == (self.epoch, self.batch):
            run.stop("the test wants it")


class Disturb(Callback):
    """Changes the factor on the learning rate after one batch."""

    epoch: int
    batch: int
    factor: float

    def batch_end(self, run, memory):
        if (run.epoch + 1, run.batch) == (self.epoch, self.batch):
            run.learning_rate_factor = self.factor


def straight_line(count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(-1, 1, count)[:, None]
    return x, 2 * x + 1


def three_classes(count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(count, 4))
    return x, np.array(["low", "middle", "high"])[np.digitize(x @ [1, 1, -1, 0], [-0.7, 0.7])]


def everything(model: Model) -> dict[str, object]:
    """All that training leaves behind, in a form that compares bit for bit."""
    checkpoint = model.checkpoint
    assert checkpoint is not None
    arrays = {"parameters": model.network.parameters, **model.records, **checkpoint.arrays}
    for layer, states in model.network.state.items():
        arrays |= {f"{layer}/{name}": array for name, array in states.items()}
    return {
        "arrays": {name: (array.shape, array.dtype.str, array.tobytes()) for name, array in arrays.items()},
        "progress": checkpoint.progress,
        "history": model.history.to_dict(),
    }


def line_by_hand(x: np.ndarray, y: np.ndarray, rates: list[float], batch: int | None = None) -> tuple[float, float]:
    """Gradient descent on the mean squared error of w x + b from 0, one rate an epoch, rows in order."""
    w = b = 0.0
    for rate in rates:
        for start in range(0, len(x), batch or len(x)):
            inputs, targets = (rows[start : start + (batch or len(x)), 0] for rows in (x, y))
            error = w * inputs + b - targets
            w, b = w - rate * 2 * np.mean(error * inputs), b - rate * 2 * np.mean(error)
    return w, b


def line_model(dtype: str = "float64") -> Model:
    return Model([Dense(1, kernel_initializer="zeros")], dtype=dtype)


def fit_line(model: Model | None = None, **settings) -> Model:
    model = model or line_model()
    x, y = straight_line()
    given = {"loss": "mean_squared_error", "optimizer": SGD(0.1), "epochs": 4, "batch_size": "all", "seed": 3}
    model.fit(x, y, **given | settings)
    return model


def fit_noisy(model: Model | None = None, **settings) -> Model:
    model = model or Model(NOISY)
    x, y = three_classes()
    given = {
        "loss": "cross_entropy",
        "optimizer": Adam(0.01),
        "metrics": [Accuracy()],
        "epochs": 6,
        "batch_size": 8,
        "validation": 0.2,
        "seed": 7,
    }
    model.fit(x, y, **given | settings)
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loss_goes_down(dtype):
    model = Model(CLASSIFIER, dtype=dtype)
    x, y = three_classes(90)
    history = model.fit(x, y, loss="cross_entropy", optimizer=Adam(0.03), metrics=[Accuracy()], epochs=30)
    assert history["loss"][-1] < 0.4 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9
    assert model.network.parameters.dtype == dtype
    assert np.mean(model.predict(x) == y) == pytest.approx(history["accuracy"][-1], abs=0.05)


def test_the_history_has_a_column_for_each_number_and_a_value_for_each_epoch():
    model = fit_line(metrics=[MeanAbsoluteError()], epochs=5, validation=0.25)
    names = ["loss", "mean_absolute_error", "validation_loss", "validation_mean_absolute_error", "learning_rate"]
    assert list(model.history) == names
    assert {name: column.shape for name, column in model.history.items()} == dict.fromkeys(names, (5,))
    assert model.history.epochs == 5
    assert list(fit_line().history) == ["loss", "learning_rate"]


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples_before_each_update():
    x, y = straight_line(10)
    model = fit_line(optimizer=SGD(1e-12), batch_size=4, epochs=1)
    assert model.history["loss"][0] == pytest.approx(np.mean(straight_line()[1] ** 2), rel=1e-6)
    model = line_model()
    model.fit(x, y, loss="mean_squared_error", optimizer=SGD(1e-12), batch_size=4, epochs=1)
    assert model.history["loss"][0] == pytest.approx(np.mean(y**2), rel=1e-6)


@pytest.mark.parametrize("batch", [1, 6, "all"])
def test_training_in_order_takes_the_steps_of_the_formula(batch):
    size = None if batch == "all" else batch
    model = fit_line(batch_size=batch, shuffle=False, epochs=3)
    w, b = line_by_hand(*straight_line(), rates=[0.1] * 3, batch=size)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_shuffling_changes_the_order_of_the_samples_and_the_seed_which():
    ordered = fit_line(batch_size=1, shuffle=False).network.parameters
    shuffled, other = (fit_line(batch_size=1, seed=seed).network.parameters for seed in (1, 2))
    assert not np.array_equal(ordered, shuffled)
    assert not np.array_equal(shuffled, other)


def test_each_epoch_has_an_order_of_its_own():
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


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    assert everything(fit_noisy()) == everything(fit_noisy())
    assert everything(fit_noisy(seed=8)) != everything(fit_noisy())


def test_global_random_state_plays_no_part():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    fit_noisy()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_sample_weights_are_worth_repetitions():
    x, y = straight_line(4)
    y[1] += 3
    weights = np.array([0, 3, 1, 0])
    weighted, repeated = line_model(), line_model()
    settings = {"loss": "mean_squared_error", "optimizer": SGD(0.1), "epochs": 7, "batch_size": "all", "shuffle": False}
    weighted.fit(x, y, sample_weight=weights, **settings)
    repeated.fit(np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0), **settings)
    np.testing.assert_allclose(weighted.network.parameters, repeated.network.parameters, rtol=1e-12)
    np.testing.assert_allclose(weighted.history["loss"], repeated.history["loss"], rtol=1e-12)


def test_sample_weights_follow_their_samples_through_shuffling_and_splitting():
    x, y = three_classes()
    broken = y.copy()
    broken[::2] = "low"
    weights = (np.arange(50) % 2).astype(float)
    model = Model(CLASSIFIER)
    settings = {"loss": "cross_entropy", "optimizer": Adam(0.03), "epochs": 40, "validation": 0.2}
    model.fit(x, broken, sample_weight=weights, **settings)
    assert np.mean(model.predict(x[1::2]) == y[1::2]) > 0.9
    assert np.mean(model.predict(x[::2]) == y[::2]) > 0.6


def test_a_share_is_held_out_for_validation_and_never_trained_on():
    x, y = straight_line()
    model = fit_line(validation=0.25)
    assert model.parts is not None
    train, validation = model.parts.train, model.parts.validation
    assert (len(train), len(validation)) == (15, 5)
    w, b = line_by_hand(x[train], y[train], rates=[0.1] * 4)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
    expected = np.mean((w * x[validation] + b - y[validation]) ** 2)
    assert model.history["validation_loss"][-1] == pytest.approx(expected, rel=1e-12)


def test_the_tail_can_be_held_out():
    model = fit_line(validation=0.25, split="tail")
    assert model.parts is not None
    assert model.parts.validation.tolist() == [15, 16, 17, 18, 19]


def test_classes_are_held_out_in_their_shares():
    x = np.random.default_rng(0).normal(size=(60, 4))
    y = np.repeat([0, 1, 2], 20)
    model = Model(CLASSIFIER)
    model.fit(x, y, loss="cross_entropy", epochs=1, validation=0.25)
    assert model.parts is not None
    assert np.bincount(y[model.parts.validation]).tolist() == [5, 5, 5]


def test_validation_samples_can_be_given():
    x, y = straight_line()
    other_x, other_y = np.array([[2.0], [3.0]]), np.array([[0.0], [1.0]])
    model = fit_line(validation=(other_x, other_y), metrics=[MeanAbsoluteError()])
    w, b = line_by_hand(x, y, rates=[0.1] * 4)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
    measured = model.evaluate(other_x, other_y)
    assert model.history["validation_loss"][-1] == measured["loss"]
    assert model.history["validation_mean_absolute_error"][-1] == measured["mean_absolute_error"]


def test_validation_samples_can_have_weights():
    x = np.array([[2.0], [3.0]])
    model = fit_line(validation=(x, x, [2.0, 0.0]))
    assert model.history["validation_loss"][-1] == pytest.approx(model.evaluate(x[:1], x[:1])["loss"])


@pytest.mark.parametrize("validation", [1.0, -0.1, (np.zeros((1, 1)),), (1, 2, 3, 4)])
def test_other_validations_are_refused(validation):
    with pytest.raises(UsageError, match="validation: expected"):
        fit_line(validation=validation)


def test_another_fit_goes_on_from_the_weights_with_a_new_history():
    model = fit_line(epochs=2)
    fit_line(model, epochs=3)
    w, b = line_by_hand(*straight_line(), rates=[0.1] * 5)
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)
    assert model.history.epochs == 3


def test_the_schedule_scales_each_step():
    model = fit_line(optimizer=SGD(0.1, schedule={"type": "step", "every": 1, "multiplier": 0.5}))
    w, b = line_by_hand(*straight_line(), rates=[0.1, 0.05, 0.025, 0.0125])
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_the_schedule_goes_on_within_an_epoch():
    class Rates(Callback):
        def batch_end(self, run, memory):
            rates.append(run.learning_rate)

    rates: list[float] = []
    optimizer = SGD(0.1, schedule={"type": "polynomial"})
    fit_line(optimizer=optimizer, batch_size=5, epochs=2, listeners=[Rates()])
    np.testing.assert_allclose(rates, 0.1 * (1 - np.arange(1, 9) / 8), atol=1e-15)


def test_a_callback_can_change_the_learning_rate():
    model = fit_line(listeners=[Disturb(1, 1, 0.5), Disturb(3, 1, 0.25)])
    w, b = line_by_hand(*straight_line(), rates=[0.1, 0.05, 0.05, 0.025])
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_the_change_of_a_callback_and_the_schedule_multiply():
    optimizer = SGD(0.1, schedule={"type": "step", "every": 1, "multiplier": 0.5})
    model = fit_line(optimizer=optimizer, listeners=[Disturb(1, 1, 0.5)])
    w, b = line_by_hand(*straight_line(), rates=[0.1, 0.025, 0.0125, 0.00625])
    np.testing.assert_allclose(model.network.parameters, [w, b], rtol=1e-12)


def test_stopping_ends_training_after_the_batch():
    model = fit_line(batch_size=5, shuffle=False, epochs=9, listeners=[StopAt(3, 2)])
    assert model.history.epochs == 2
    assert model.checkpoint is not None
    assert (model.checkpoint.progress["epoch"], model.checkpoint.progress["batch"]) == (2, 2)
    assert model.checkpoint.progress["step"] == 10


def test_stopping_at_the_last_batch_of_an_epoch_ends_the_epoch():
    model = fit_line(batch_size=5, epochs=9, listeners=[StopAt(3, 4)])
    assert model.history.epochs == 3


def test_averaged_weights_predict():
    model = fit_line(optimizer=SGD(0.1, average=0.8), batch_size=5, callbacks=[WeightRecorder("batch")])
    weights = model.records["weights"]
    average = weights[0]
    for step in weights[1:]:
        average = 0.8 * average + 0.2 * step
    np.testing.assert_allclose(model.network.parameters, average, rtol=1e-12)
    assert model.checkpoint is not None
    np.testing.assert_array_equal(model.checkpoint.arrays["parameters"], weights[-1])


def test_averaged_weights_are_what_validation_and_test_measure():
    x, y = straight_line()
    model = Model.from_config(
        {
            "layers": LINE,
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


PLATEAU = ReduceOnPlateau(0.9, patience=1, monitor="loss", direction="max")
MOMENTS = {"end of an epoch": (3, 5), "within an epoch": (3, 2), "first batch": (1, 1), "last batch but one": (6, 4)}
OPTIMIZERS = {
    "adam": Adam(0.01),
    "averaged": Adam(0.01, average=0.9),
    "scheduled momentum": SGD(0.05, momentum=0.9, schedule={"type": "cosine"}, clip_norm=1.0),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_interrupted_and_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path, moment, optimizer):
    settings = {
        "optimizer": OPTIMIZERS[optimizer],
        "callbacks": [EarlyStopping(patience=9), PLATEAU, WeightRecorder("batch", initial=True)],
    }
    whole = fit_noisy(**settings)
    interrupted = fit_noisy(**settings, listeners=[StopAt(*MOMENTS[moment])])
    assert everything(interrupted) != everything(whole)
    interrupted.save(tmp_path / "interrupted.h5")
    resumed = load(tmp_path / "interrupted.h5")
    resumed.fit(*three_classes(), resume=True)
    assert everything(resumed) == everything(whole)


def test_a_training_can_be_interrupted_many_times(tmp_path):
    path = tmp_path / "model.h5"
    fit_noisy(listeners=[StopAt(1, 3)]).save(path)
    for moment in [(1, 4), (2, 5), (5, 1)]:
        model = load(path)
        model.fit(*three_classes(), resume=True, listeners=[StopAt(*moment)])
        model.save(path)
    model.fit(*three_classes(), resume=True)
    assert everything(model) == everything(fit_noisy())


def test_training_in_order_with_weights_is_resumed_too(tmp_path):
    x, y = three_classes()
    settings = {"shuffle": False, "sample_weight": np.linspace(0.5, 1.5, 50), "validation": 0.2}
    interrupted = fit_noisy(**settings, listeners=[StopAt(2, 3)])
    interrupted.save(tmp_path / "model.h5")
    resumed = load(tmp_path / "model.h5")
    resumed.fit(x, y, resume=True, sample_weight=settings["sample_weight"])
    assert everything(resumed) == everything(fit_noisy(**settings))


def test_a_finished_training_can_be_continued_for_more_epochs():
    model = fit_noisy(epochs=4)
    model.fit(*three_classes(), resume=True, epochs=6)
    assert everything(model) == everything(fit_noisy())


def test_resuming_a_finished_training_changes_nothing():
    model = fit_noisy(optimizer=Adam(0.01, average=0.9))
    before = everything(model)
    model.fit(*three_classes(), resume=True)
    assert everything(model) == before


def test_a_file_read_in_blocks_is_resumed_too(tmp_path):
    x, y = three_classes()
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(samples_module, "BLOCK_BYTES", 400):
        file["x"] = x
        settings = {"loss": "cross_entropy", "epochs": 3, "batch_size": 8}
        whole, parts = Model(CLASSIFIER), Model(CLASSIFIER)
        whole.fit(file["x"], y, **settings)
        parts.fit(file["x"], y, **settings, listeners=[StopAt(2, 3)])
        parts.fit(file["x"], y, resume=True)
    assert everything(parts) == everything(whole)


def test_the_callbacks_may_be_others_after_a_resume():
    callbacks = [EarlyStopping(patience=9), WeightRecorder()]
    model = fit_noisy(epochs=2, callbacks=callbacks)
    model.fit(*three_classes(), resume=True, epochs=3, callbacks=[WeightRecorder()])
    np.testing.assert_array_equal(model.records["epoch"], [1, 2, 3])
    model.fit(*three_classes(), resume=True, epochs=4, callbacks=callbacks)
    np.testing.assert_array_equal(model.records["epoch"], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": SGD(0.1, momentum=0.9)}, "slots"),
        ({"batch_size": 7}, "within an epoch with batches of 8"),
    ],
)
def test_what_cannot_be_continued_is_refused(settings, message):
    model = fit_noisy(listeners=[StopAt(2, 2)])
    with pytest.raises(UsageError, match=message):
        model.fit(*three_classes(), resume=True, **settings)


def test_there_must_be_something_to_resume():
    with pytest.raises(UsageError, match="nothing to resume"):
        fit_line(resume=True)


@pytest.mark.parametrize("optimizer", [Adam(0.01), Adam(0.01, average=0.9)])
def test_a_training_that_diverges_goes_back_to_the_last_good_epoch(optimizer):
    model, good = Model(NOISY), fit_noisy(epochs=2, optimizer=optimizer)
    with pytest.raises(TrainingDivergedError, match="epoch 3, batch 3: the loss is nan"):
        fit_noisy(model, optimizer=optimizer, listeners=[Disturb(3, 1, 1e300)])
    np.testing.assert_array_equal(model.network.parameters, good.network.parameters)
    np.testing.assert_array_equal(model.predict(three_classes()[0]), good.predict(three_classes()[0]))
    assert model.history.to_dict() == good.history.to_dict()
    model.fit(*three_classes(), resume=True)
    assert everything(model) == everything(fit_noisy(optimizer=optimizer))


def test_a_divergence_names_the_first_layer_whose_values_are_not_finite():
    # one step makes all kernels about 1e30, whose products only the second layer takes beyond float32
    layers = [Dense(3, name="first"), Dense(3, name="second"), Dense(1, name="third")]
    with pytest.raises(TrainingDivergedError, match=r"epoch 2, batch 1: the loss is nan.* output of layer 'second'"):
        fit_line(Model(layers), optimizer=SGD(1e30))


def test_a_divergence_in_the_last_batch_of_an_epoch_is_found():
    with pytest.raises(TrainingDivergedError, match=r"epoch 1, batch 1: a parameter is not finite.*'kernel' of layer"):
        fit_line(Model(LINE), optimizer=SGD(1e300))


def test_after_a_divergence_in_the_first_epoch_the_model_has_its_first_weights():
    model = Model(NOISY)
    with pytest.raises(TrainingDivergedError, match="epoch 1"):
        fit_noisy(model, listeners=[Disturb(1, 1, 1e300)])
    fresh = Model(NOISY).build((4,), seed=7)
    np.testing.assert_array_equal(model.network.parameters, fresh.network.parameters)
    assert model.history.epochs == 0


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


def test_nothing_is_called_for_a_batch_when_no_callback_listens(monkeypatch):
    class Idle(Callback):
        def epoch_end(self, run, memory):
            epochs.append(run.epoch)

    def fail(*_):
        raise AssertionError("called for a batch")

    epochs: list[int] = []
    monkeypatch.setattr(Listener, "batch_end", fail)
    fit_line(listeners=[Idle()], callbacks=[EarlyStopping(monitor="loss")])
    assert epochs == [1, 2, 3, 4]


def test_callbacks_are_told_of_everything_in_order():
    class Witness(Callback):
        def training_begin(self, run, memory):
            seen.append("begin")

        def batch_end(self, run, memory):
            seen.append((run.epoch, run.batch, run.step))

        def epoch_end(self, run, memory):
            seen.append(("epoch", run.epoch, run.history.epochs))

        def training_end(self, run, memory):
            seen.append("end")

    seen: list[object] = []
    fit_line(batch_size=10, epochs=2, listeners=[Witness()])
    first, second = [(0, 1, 1), (0, 2, 2), ("epoch", 1, 1)], [(1, 1, 3), (1, 2, 4), ("epoch", 2, 2)]
    assert seen == ["begin", *first, *second, "end"]


def test_callbacks_see_the_run():
    class Look(Callback):
        def epoch_end(self, run, memory):
            runs.append(run)

    runs: list[Run] = []
    x, y = straight_line()
    model = fit_line(epochs=1, batch_size=6, metrics=[MeanAbsoluteError()], validation=(x, y), listeners=[Look()])
    (run,) = runs
    assert run.model is model
    assert (run.samples, run.batch_size, run.batches) == (20, 6, 4)
    assert run.measured == ("loss", "mean_absolute_error", "validation_loss", "validation_mean_absolute_error")
    assert 0 < run.seconds < 60


class Counter(Callback):
    """Counts batches and epochs, in a list that changes in place."""

    def training_begin(self, run, memory):
        memory.setdefault("seen", [0, 0])
        memory.setdefault("sum", np.zeros(1))

    def batch_end(self, run, memory):
        memory["seen"][0] += 1
        memory["sum"] += run.loss

    def epoch_end(self, run, memory):
        memory["seen"][1] += 1


def test_what_callbacks_remember_in_place_is_rolled_back_and_saved(tmp_path):
    register(Counter)
    model = Model(NOISY)
    with pytest.raises(TrainingDivergedError):
        fit_noisy(model, callbacks=[Counter()], listeners=[Disturb(3, 1, 1e300)])
    assert model.checkpoint is not None
    assert model.checkpoint.progress["memories"] == [{"seen": [10, 2]}]
    model.save(tmp_path / "model.h5")
    resumed = load(tmp_path / "model.h5")
    resumed.fit(*three_classes(), resume=True)
    assert everything(resumed) == everything(fit_noisy(callbacks=[Counter()]))


def test_what_callbacks_begin_with_is_in_the_checkpoint_of_a_first_epoch_that_diverged():
    register(Counter)
    model = Model(NOISY)
    with pytest.raises(TrainingDivergedError):
        fit_noisy(model, callbacks=[Counter()], listeners=[Disturb(1, 1, 1e300)])
    assert model.checkpoint is not None
    assert model.checkpoint.progress["memories"] == [{"seen": [0, 0]}]


def test_a_resumed_training_that_crashes_can_be_resumed_again():
    class Crash(Callback):
        def batch_end(self, run, memory):
            if run.epoch == 3:
                raise ZeroDivisionError

    register(Counter)
    callbacks = [Counter(), WeightRecorder("batch")]
    model = fit_noisy(callbacks=callbacks, listeners=[StopAt(2, 2)])
    with pytest.raises(ZeroDivisionError):
        model.fit(*three_classes(), resume=True, listeners=[Crash()])
    model.fit(*three_classes(), resume=True)
    assert everything(model) == everything(fit_noisy(callbacks=callbacks))


def test_an_hdf5_dataset_in_order_trains_like_the_array(tmp_path):
    x, y = three_classes()
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(samples_module, "BLOCK_BYTES", 500):
        file["x"] = x
        models = []
        for inputs in (x, file["x"]):
            model = Model(NOISY)
            settings = {"loss": "cross_entropy", "metrics": [Accuracy()], "epochs": 4, "batch_size": 8}
            model.fit(inputs, y, **settings, shuffle=False, validation=0.2)
            models.append(model)
    assert everything(models[0]) == everything(models[1])


def test_an_hdf5_dataset_is_learnt_from(tmp_path):
    x, y = three_classes(90)
    with h5py.File(tmp_path / "data.h5", "w") as file, mock.patch.object(samples_module, "BLOCK_BYTES", 500):
        file["x"] = x
        history = Model(CLASSIFIER).fit(file["x"], y, loss="cross_entropy", optimizer=Adam(0.03), epochs=30)
    assert history["loss"][-1] < 0.4 * history["loss"][0]


def test_a_rehearsal_gives_the_loss_and_changes_no_parameter():
    class Rehearse(Callback):
        def training_begin(self, run, memory):
            before = run.model.network.parameters.copy()
            losses.append(run.rehearse())
            np.testing.assert_array_equal(run.model.network.parameters, before)

    losses: list[float] = []
    model = fit_line(epochs=1, shuffle=False, listeners=[Rehearse()])
    assert losses == model.history["loss"].tolist()


def test_a_history_survives_its_plain_form():
    history = History({"loss": [1.0, float("nan")], "recall": [[0.5, 1.0], [0.25, 0.0]]})
    assert history.to_dict() == {"loss": [1.0, None], "recall": [[0.5, 1.0], [0.25, 0.0]]}
    again = History(history.to_dict())
    np.testing.assert_array_equal(again["loss"], [1.0, np.nan])
    assert again["recall"].shape == (2, 2)
    assert again.last()["recall"] == [0.25, 0.0]


def test_training_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit_noisy()
    assert list(Path(tmp_path).iterdir()) == []
