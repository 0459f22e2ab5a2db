"""The beginning of a training: what a model learns of its data before the first batch, and what failing leaves."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from microframe import Callback, ConfigError, DataError, Dataset, Model, UsageError
from microframe.checks import check_finite
from microframe.fitting import data_differences
from microframe.standard.layers import Dense, Standardize


def data(rows=30, classes=3):
    rng = np.random.default_rng(0)
    labels = np.arange(rows) % classes
    return rng.normal(labels[:, None] * 3.0, 1.0, (rows, 2)) + 100, labels


def classifier(outputs=3):
    return Model([Standardize(), Dense(outputs, "softmax")], dtype="float64")


def test_a_model_that_was_built_by_hand_still_has_its_preprocessing_fitted():
    x, y = data()
    built = classifier().build((2,), seed=0)
    built.fit(x, y, loss="cross_entropy", epochs=2)
    np.testing.assert_allclose(built.network.state["standardize_1"]["mean"], x.mean(axis=0))
    fresh = classifier()
    fresh.fit(x, y, loss="cross_entropy", epochs=2)
    np.testing.assert_array_equal(built.network.parameters, fresh.network.parameters)


def test_preprocessing_is_fitted_once():
    x, y = data()
    model = classifier()
    model.fit(x, y, loss="cross_entropy", epochs=1)
    mean = model.network.state["standardize_1"]["mean"].copy()
    model.fit(x + 50, y, loss="cross_entropy", epochs=1)
    np.testing.assert_array_equal(model.network.state["standardize_1"]["mean"], mean)


@pytest.mark.parametrize(("classes", "outputs"), [(3, 2), (3, 1)])
def test_classes_that_the_outputs_cannot_tell_apart_are_refused(classes, outputs):
    x, y = data(classes=classes)
    model = Model([Dense(outputs, "sigmoid")])
    with pytest.raises(DataError, match=f"{classes} classes, but the network has {outputs} outputs"):
        model.fit(x, np.array(["a", "b", "c"])[y], loss="binary_cross_entropy" if outputs == 1 else "cross_entropy")
    assert not model.is_built


def test_a_class_with_a_very_long_name_is_refused_before_training_and_on_saving(tmp_path):
    x, y = data()
    model = classifier()
    with pytest.raises(DataError, match="target: expected classes whose names are texts of at most 4096 characters"):
        model.fit(x, np.array(["a", "b", "c" * 5000])[y], loss="cross_entropy")
    assert not model.is_built
    model.fit(x, y, loss="cross_entropy", epochs=1)
    model.classes = ("a", "b", "c" * 5000)
    with pytest.raises(UsageError, match="a model file: target: expected classes whose names are texts of at most"):
        model.save(tmp_path / "model.h5")


def test_named_classes_need_an_output_each():
    x, y = data()
    with pytest.raises(DataError, match="the target has 3 classes, but the network has 5 outputs"):
        classifier(5).fit(x, np.array(["a", "b", "c"])[y], loss="cross_entropy")


def test_numbers_of_outputs_keep_their_place_where_some_do_not_occur():
    x, y = data()
    model = classifier(6)
    model.fit(
        x, np.array([0, 3, 5])[y], loss="cross_entropy", epochs=200, optimizer={"type": "adam", "learning_rate": 0.1}
    )
    assert model.classes == (0, 1, 2, 3, 4, 5)
    assert set(model.predict(x)) == {0, 3, 5}


def test_shares_of_yes_are_values_and_not_labels():
    x, _ = data()
    model = Model([Standardize(), Dense(1, "sigmoid")])
    model.fit(x, np.where(np.arange(30) % 2, 0.2, 0.8), loss="binary_cross_entropy", epochs=1)
    assert model.classes is None
    assert model.predict(x).shape == (30,)


def test_a_model_that_is_trained_on_values_forgets_its_classes():
    x, y = data()
    model = Model([Dense(3, "softmax")])
    model.fit(x, y, loss="cross_entropy", epochs=1)
    assert model.classes == (0, 1, 2)
    model.fit(x, np.zeros((30, 3)), loss="mean_squared_error", epochs=1)
    assert model.classes is None


def test_text_labels_of_an_hdf5_file_are_text():
    x, y = data()
    model = classifier()
    model.fit(x, np.array([b"a", b"b", b"c"])[y], loss="cross_entropy", epochs=1)
    assert model.classes == ("a", "b", "c")
    model.fit(x, np.array([b"a", b"b", b"c"], object)[y], loss="cross_entropy", epochs=1)
    assert model.classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"resume": True, "optimizer": "sgd"}, UsageError),
        ({"callbacks": [{"type": "early_stopping", "monitor": "nothing"}]}, ConfigError),
    ],
)
def test_a_training_that_cannot_begin_leaves_the_model_as_it_was(settings, error):
    x, y = data()
    model = classifier()
    model.fit(x, y, loss="cross_entropy", optimizer={"type": "adam", "average": 0.9}, epochs=3)
    before = model.predict_proba(x), model.history.to_dict(), model.configuration
    with pytest.raises(error):
        model.fit(x, y, **settings)
    np.testing.assert_array_equal(model.predict_proba(x), before[0])
    assert (model.history.to_dict(), model.configuration) == before[1:]


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_a_copy_is_a_model_of_its_own(duplicate):
    x, y = data()
    model = classifier()
    model.fit(x, y, loss="cross_entropy", epochs=1)
    other = duplicate(model)
    before = model.predict_proba(x)
    np.testing.assert_array_equal(other.predict_proba(x), before)
    other.fit(x, y, epochs=3)
    np.testing.assert_array_equal(model.predict_proba(x), before)
    assert not np.array_equal(other.predict_proba(x), before)


def test_an_early_stopped_training_is_finished_until_more_epochs_are_asked_for():
    x, y = data()
    model = classifier()
    callbacks = [{"type": "early_stopping", "monitor": "loss", "patience": 1, "min_delta": 10.0}]
    model.fit(x, y, loss="cross_entropy", epochs=9, callbacks=callbacks)
    assert model.history.epochs == 2
    parameters = model.network.parameters.copy()
    model.fit(x, y, resume=True)
    assert model.history.epochs == 2
    np.testing.assert_array_equal(model.network.parameters, parameters)
    model.fit(x, y, resume=True, epochs=12)
    assert model.history.epochs == 3


@pytest.mark.parametrize("loss", ["cross_entropy", "kl_divergence", "binary_cross_entropy"])
def test_a_loss_of_probabilities_refuses_an_activation_that_gives_none(loss):
    x, y = data()
    model = Model([Standardize(), Dense(3, "relu")])
    expected = rf"layers\[1\]\.activation: expected softmax or sigmoid as the last activation, as '{loss}' compares"
    with pytest.raises(ConfigError, match=expected):
        model.fit(x, np.eye(3)[y], loss=loss)


def test_predictions_have_the_shape_of_the_targets():
    x, y = data()
    for target in (y * 1.0, y[:, None] * 1.0):
        model = Model([Standardize(), Dense(1)])
        model.fit(x, target, loss="mean_squared_error", epochs=1)
        assert model.predict(x).shape == target.shape


def test_a_nan_among_the_inputs_is_named_before_training():
    x, y = data()
    x[7, 1] = np.nan
    with pytest.raises(DataError, match=r"inputs: row 7, column 1 \(from 0\): expected a finite number, received nan"):
        classifier().fit(x, y, loss="cross_entropy")


def test_large_finite_inputs_are_not_taken_for_infinite_ones():
    check_finite(Dataset(np.full((3, 2), 1e308)))


def test_a_training_is_not_resumed_on_other_values():
    x, y = data()
    model = classifier()
    model.fit(x, y, loss="cross_entropy", epochs=1)
    for changed, what in (((x, y[::-1]), "targets"), ((x + 1e-9, y), "inputs")):
        with pytest.raises(DataError) as error:
            model.fit(*changed, resume=True, epochs=2)
        assert str(error.value).splitlines() == [
            "the data has changed since the training that is to be resumed:",
            f"  data: the values of the {what} are others now",
        ]
    assert model.history.epochs == 1
    model.fit(x.tolist(), y, resume=True, epochs=2)


def test_results_are_of_the_end_of_a_training_and_gone_when_it_goes_on():
    class Look(Callback):
        type = "look"

        def epoch_end(self, run, memory):
            seen.append(dict(run.model.results))

    seen: list[object] = []
    configuration = {
        "data": {"source": "digits", "test": 0.2},
        "layers": [{"type": "dense", "units": 10, "activation": "softmax"}],
        "training": {"loss": "cross_entropy"},
    }
    model = Model.from_config(configuration)
    model.fit(epochs=1)
    assert set(model.results) == {"test"}
    model.fit(epochs=2, resume=True, listeners=[Look()])
    assert seen == [{}]
    assert set(model.results) == {"test"}


def test_every_difference_of_the_data_is_listed_where_a_training_is_to_be_resumed_on_other_data():
    def dataset(columns: str, rows: int) -> Dataset:
        inputs, target = np.ones((rows, len(columns))), np.arange(rows) % 2
        return Dataset(inputs, target, feature_names=tuple(columns), target_names=("t",))

    model = classifier()
    model.fit(np.ones((20, 3)), np.arange(20) % 2, loss="cross_entropy", epochs=1)
    model.feature_names, model.target_names = ("a", "b", "c"), ("t",)
    assert data_differences(model, dataset("abc", 20)) == []
    assert data_differences(model, dataset("bac", 20)) == [
        "data: column 0 (from 0): 'a' then, 'b' now",
        "data: column 1 (from 0): 'b' then, 'a' now",
    ]
    assert data_differences(model, dataset("ab", 19)) == [
        "data: samples: 20 then, 19 now",
        "data: shape of a sample: (3,) then, (2,) now",
        "data: the values of the inputs are others now",
        "data: the values of the targets are others now",
    ]


def test_validation_samples_go_with_configured_data():
    configuration = {
        "data": {"source": "digits"},
        "layers": ["standardize", {"type": "dense", "units": 10, "activation": "softmax"}],
        "training": {"loss": "cross_entropy", "epochs": 1},
    }
    model = Model.from_config(configuration)
    digits = model.configuration.data.source.load()
    history = model.fit(validation=(digits.inputs[:50], digits.target[:50]))
    assert "validation_loss" in history


def test_the_weights_are_views_by_layer_and_name():
    model = classifier().build((2,))
    assert list(model.weights["dense_1"]) == ["kernel", "bias"]
    model.weights["dense_1"]["bias"][:] = 5
    assert (model.network.parameters[-3:] == 5).all()
