from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microframe.errors import ConfigError, DataError, MicroframeError, UsageError
from microframe.model import Model
from microframe.standard.layers import BatchNorm, Dense, Embedding, Flatten, Standardize


class ArrayLike:
    """What pandas, xarray and their like have in common."""

    def __init__(self, array):
        self._array = array
        self.dtype = array.dtype
        self.shape = array.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype)


def as_dataset(array, folder):
    file = h5py.File(folder / "data.h5", "w")
    return file.create_dataset("x", data=array)


def memory_map(array, folder):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


FORMS = {
    "array": lambda array, folder: array,
    "list": lambda array, folder: array.tolist(),
    "list of arrays": lambda array, folder: list(array),
    "anything with __array__": lambda array, folder: ArrayLike(array),
    "Fortran order": lambda array, folder: np.asfortranarray(array),
    "every second row": lambda array, folder: np.repeat(array, 2, axis=0)[::2],
    "big endian": lambda array, folder: array.astype(array.dtype.newbyteorder(">")),
    "memory map": memory_map,
    "HDF5 dataset": as_dataset,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_inputs_come_in_many_forms_and_mean_the_same(form, tmp_path, inputs, labels, trained):
    x, y = inputs.astype(np.float32), labels
    model, expected = trained(shuffle=False), Model([Standardize(), Dense(4, "relu"), Dense(2, "softmax")])
    given_x = form(x, tmp_path)
    np.testing.assert_array_equal(model.outputs(given_x), model.outputs(x))
    assert model.predict(given_x).tolist() == model.predict(x).tolist()
    assert model.evaluate(given_x, y) == model.evaluate(x, y)
    twin = Model(expected.layers)
    for one, data in ((expected, x), (twin, given_x)):
        one.fit(data, y, loss="cross_entropy", epochs=2, batch_size=8, shuffle=False, validation=0.25)
    np.testing.assert_array_equal(twin.outputs(x), expected.outputs(x))


@pytest.mark.parametrize("form", [form for name, form in FORMS.items() if name != "HDF5 dataset"])
def test_targets_come_in_many_forms_and_mean_the_same(form, tmp_path, inputs):
    x, y = inputs, inputs[:, :2].astype(np.float32)
    models = [Model([Dense(2)]), Model([Dense(2)])]
    for model, target in zip(models, (y, form(y, tmp_path)), strict=True):
        model.fit(x, target, loss="mean_squared_error", epochs=2)
    np.testing.assert_array_equal(models[0].outputs(x), models[1].outputs(x))
    assert models[0].evaluate(x, y) == models[0].evaluate(x, form(y, tmp_path))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float16, np.float64, np.bool_])
def test_inputs_of_other_dtypes_are_cast(dtype, untrained):
    x = np.random.default_rng(0).integers(0, 2, (20, 3)).astype(dtype)
    model = untrained().build((3,))
    np.testing.assert_array_equal(model.outputs(x), model.outputs(x.astype(np.float32)))
    np.testing.assert_array_equal(model(x), model(x.astype(np.float32)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_that_may_not_be_written_are_only_read(order, inputs):
    x, y, weight = np.array(inputs, order=order), np.random.default_rng(0).integers(0, 2, 40), np.ones(40)
    kept = x.copy(), y.copy(), weight.copy()
    for array in (x, y, weight):
        array.flags.writeable = False
    model = Model([Standardize(), Dense(4, "relu"), BatchNorm(), Dense(2, "softmax")], dtype="float64")
    model.fit(x, y, loss="cross_entropy", epochs=2, batch_size=8, sample_weight=weight, validation=(x, y, weight))
    model.evaluate(x, y, sample_weight=weight)
    model.predict(x)
    model(x)
    for array, before in zip((x, y, weight), kept, strict=True):
        np.testing.assert_array_equal(array, before)


def test_an_hdf5_dataset_is_predicted_block_by_block(tmp_path, monkeypatch, inputs, trained):
    monkeypatch.setattr("microframe.samples.BLOCK_BYTES", 1)
    model = trained()
    dataset = as_dataset(inputs, tmp_path)
    np.testing.assert_array_equal(model.outputs(dataset, batch_size=7), model.outputs(inputs, batch_size=7))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 3), st.integers(1, 70))
def test_the_size_of_batches_makes_no_difference_to_the_number_and_order_of_predictions(count, seed, size):
    model = Model([Dense(2)], dtype="float64").build((3,), seed=seed)
    x = np.random.default_rng(0).normal(size=(60, 3))[:count]
    outputs = model.outputs(x, batch_size=size)
    assert outputs.shape == (count, 2)
    np.testing.assert_allclose(outputs, model.outputs(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(outputs[-1], model(x[-1:])[0], rtol=1e-12, atol=1e-14)


def test_nothing_is_predicted_for_nothing(trained):
    model = trained()
    assert model.predict(np.empty((0, 3))).shape == (0,)
    assert model.outputs(np.empty((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("size", [0, -1, 2.5, None, "all"])
def test_a_batch_has_at_least_one_sample(size, inputs, trained):
    with pytest.raises(UsageError, match="batch_size: expected a whole number of at least 1, received"):
        trained().predict(inputs, batch_size=size)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "outputs", "__call__"])
@pytest.mark.parametrize("shape", [(5, 4), (5,), (5, 3, 1), (5, 0)])
def test_inputs_of_another_shape_are_refused(method, shape, trained):
    with pytest.raises(DataError, match=r"expected inputs of shape \(3,\) for each sample, received \("):
        getattr(trained(epochs=1), method)(np.zeros(shape))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([["a", "b", "c"]], "expected an array of numbers, received dtype <U1"),
        (np.zeros((2, 3), complex), "expected an array of numbers, received dtype complex128"),
        (np.array([[None] * 3]), "expected an array of numbers, received dtype object"),
        ([[1, 2, 3], [4, 5]], "expected inputs of one shape, received rows of different shapes"),
        (3.0, "expected inputs with a row for each sample, received a single value"),
        (None, "expected inputs with a row for each sample|expected an array of numbers"),
        ([], r"expected inputs of shape \(3,\) for each sample, received \(\)"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(x, message, trained):
    with pytest.raises(DataError, match=message):
        trained(epochs=1).predict(x)


def test_indices_must_be_whole():
    model = Model([Embedding(4, 2), Flatten(), Dense(1)]).build((2,))
    assert model.predict([[0.0, 3.0]]).shape == (1, 1)
    for wrong in ([[0.5, 1]], [[np.nan, 1]], [[np.inf, 1]], [[0, 4]], [[-1, 0]]):
        with pytest.raises(DataError, match="expected whole numbers"):
            model.predict(wrong)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x, y: {"x": 5}, DataError, "expected inputs with a row for each sample"),
        (lambda x, y: {"x": [[1, 2], [3]]}, DataError, "expected inputs of one shape"),
        (lambda x, y: {"x": x.astype(str)}, DataError, "expected an array of numbers, received dtype"),
        (lambda x, y: {"x": x[:0], "y": []}, DataError, "of 0 samples none is left to train on"),
        (lambda x, y: {"x": x[:, 0]}, ConfigError, r"layers\[0\]: expected an input with at least one axis"),
        (lambda x, y: {"x": None}, UsageError, "y and sample_weight go with x"),
        (lambda x, y: {"x": None, "y": None}, UsageError, "no data is given: pass x and y, or configure"),
        (lambda x, y: {"y": None}, DataError, "there is no target to train on"),
        (lambda x, y: {"y": 5}, DataError, "expected targets with a row for each sample"),
        (lambda x, y: {"y": y[:-1]}, DataError, "expected 40 targets, one for each sample, received 39"),
        (lambda x, y: {"y": y[:-1], "validation": 0.2, "split": "tail"}, DataError, "expected 40 targets"),
        (
            lambda x, y: {"y": np.tile(y, 2), "validation": 0.2},
            DataError,
            "expected 40 targets, one for each sample, received 80",
        ),
        (lambda x, y: {"y": [[1], [2, 3]] * 20}, DataError, "expected targets of one shape"),
        (lambda x, y: {"y": np.arange(40) % 3}, DataError, "the target has 3 classes, but the network has 2 outputs"),
        (lambda x, y: {"y": np.full(40, "yes")}, DataError, "expected at least two classes, received only 'yes'"),
        (
            lambda x, y: {"sample_weight": np.full(40, -1.0)},
            DataError,
            "sample weight 0 .from 0.: expected a number of at least 0",
        ),
        (
            lambda x, y: {"sample_weight": np.full(40, np.nan)},
            DataError,
            "expected a number of at least 0, received nan",
        ),
        (
            lambda x, y: {"y": np.where(y == "yes", 1.0, np.nan)},
            DataError,
            "labels that are text or finite numbers, received nan",
        ),
        (lambda x, y: {"y": np.array([None, "a"] * 20)}, DataError, "labels of one kind"),
        (lambda x, y: {"y": np.zeros(40, "datetime64[D]")}, DataError, "labels that are text or finite numbers"),
        (
            lambda x, y: {"loss": "mean_squared_error"},
            DataError,
            "loss 'mean_squared_error': expected numbers as targets",
        ),
        (
            lambda x, y: {"loss": "mean_squared_error", "y": x},
            DataError,
            r"expected targets of shape \(2,\) for each sample",
        ),
        (lambda x, y: {"loss": "cross_entrpy"}, ConfigError, r"Training\.loss: .*did you mean 'cross_entropy'"),
        (lambda x, y: {"loss": None}, UsageError, "no loss is given: pass loss="),
        (
            lambda x, y: {"epochs": 0, "batch_size": 0, "optimizer": "amad"},
            ConfigError,
            "Training.epochs(.|\n)*Training.batch_size",
        ),
        (lambda x, y: {"validation": 1.0}, UsageError, "validation: expected a share from 0 to less than 1"),
        (lambda x, y: {"validation": "a"}, UsageError, "validation: expected a share"),
        (
            lambda x, y: {"validation": [x, y]},
            UsageError,
            r"validation: expected a share from .*, or \(x, y\), received",
        ),
        (
            lambda x, y: {"validation": (x,)},
            UsageError,
            r"validation: expected \(x, y\) or \(x, y, sample_weight\), received 1",
        ),
        (lambda x, y: {"validation": (x[:, :2], y)}, DataError, r"expected inputs of shape \(3,\)"),
        (
            lambda x, y: {"validation": (x, np.array(["maybe"] * 40))},
            DataError,
            "expected one of the classes .*received 'maybe'",
        ),
        (lambda x, y: {"validation": 0.2, "split": "stratifed"}, UsageError, "split: .*did you mean 'stratified'"),
        (lambda x, y: {"sample_weight": 3}, DataError, "expected sample weights with a row"),
        (
            lambda x, y: {"sample_weight": np.ones(39)},
            DataError,
            "expected 40 sample weights, one for each sample, received 39",
        ),
        (
            lambda x, y: {"sample_weight": np.ones((40, 2))},
            DataError,
            r"expected 40 sample weights, .* received float64 of shape",
        ),
        (lambda x, y: {"sample_weight": ["heavy"] * 40}, DataError, "expected 40 sample weights, .* received <U5"),
        (lambda x, y: {"resume": True}, UsageError, "there is nothing to resume"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_and_the_model_stays_as_it_was(
    change, error, message, inputs, labels, untrained
):
    good = {"x": inputs, "y": labels, "loss": "cross_entropy", "epochs": 1}
    model = untrained()
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(**{**good, **change(inputs, labels)})
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    model.fit(**good)


def test_a_fit_that_fails_leaves_a_trained_model_as_it_was(inputs, labels, trained):
    model = trained()
    outputs, history = model.outputs(inputs), model.history.to_dict()
    with pytest.raises(MicroframeError):
        model.fit(inputs, labels[:-1])
    with pytest.raises(
        DataError, match=r"expected one of the classes \['no', 'yes'\], received 'yse' \(did you mean 'yes'"
    ):
        model.fit(inputs, ["yse"] * 40)
    np.testing.assert_array_equal(model.outputs(inputs), outputs)
    assert model.history.to_dict() == history


def test_labels_that_training_did_not_see_are_refused(inputs, trained):
    model = trained()
    with pytest.raises(DataError, match=r"received 'ye' \(did you mean 'yes'\?\)"):
        model.evaluate(inputs[:1], ["ye"])
    with pytest.raises(DataError, match="received 3"):
        model.evaluate(inputs[:1], [3])


def test_evaluation_teaches_nothing(inputs, labels):
    layers = [{"type": "dense", "units": 10, "activation": "softmax"}]
    model = Model.from_config({"layers": layers, "training": {"loss": "cross_entropy"}}).build((3,))
    model.evaluate(inputs, labels)
    assert model.classes is None
    assert model.history.epochs == 0


def test_evaluation_gives_the_loss_and_the_metrics_by_name(inputs, labels, trained):
    model = trained(metrics=["accuracy"])
    result = model.evaluate(inputs, labels)
    assert set(result) == {"loss", "accuracy"}
    assert result["accuracy"] == pytest.approx((model.predict(inputs) == labels).mean())
    chosen = model.predict_proba(inputs)[np.arange(40), (labels == "yes").astype(int)]
    assert result["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
    assert set(model.evaluate(inputs, labels, metrics=["recall", {"type": "f1"}])) == {"loss", "recall", "f1"}
    with pytest.raises(ConfigError, match="did you mean 'recall'"):
        model.evaluate(inputs, labels, metrics=["recal"])


def test_evaluation_weighs_samples(inputs, labels, trained):
    model = trained(metrics=["accuracy"])
    weight = (labels == "yes").astype(float)
    only = labels == "yes"
    expected = model.evaluate(inputs[only], labels[only])["accuracy"]
    assert model.evaluate(inputs, labels, sample_weight=weight)["accuracy"] == pytest.approx(expected)


def test_a_metric_that_does_not_apply_says_so(inputs, labels, trained):
    with pytest.raises(DataError, match="metric 'r2': expected"):
        trained().evaluate(inputs, labels, metrics=["r2"])
