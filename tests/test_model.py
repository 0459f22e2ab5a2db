from __future__ import annotations

import gc
import json
import tracemalloc
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tomli_w

import microframe
from microframe.configuration import Configuration
from microframe.errors import ConfigError, UsageError
from microframe.history import History
from microframe.model import Model
from microframe.standard.layers import BatchNorm, Concatenate, Dense, Dropout, Flatten, Standardize
from microframe.standard.losses import CrossEntropy
from microframe.standard.optimizers import SGD

CONFIG = {
    "layers": [
        {"type": "dense", "units": 4, "activation": "relu"},
        {"type": "dense", "units": 10, "activation": "softmax"},
    ],
    "data": {"source": "digits", "test": 0.2, "validation": 0.1},
    "training": {"loss": "cross_entropy", "metrics": ["accuracy"], "epochs": 1, "batch_size": 256},
}


def test_layers_are_given_as_components_names_or_tables():
    expected = (Flatten(), Dense(2, "relu"))
    assert Model([Flatten(), Dense(2, "relu")]).layers == expected
    assert Model(["flatten", {"type": "dense", "units": 2, "activation": "relu"}]).layers == expected
    assert Model(tuple(expected)).layers == expected


def test_every_mistake_in_the_layers_is_reported_at_once():
    with pytest.raises(ConfigError) as error:
        Model(["flaten", {"type": "dense"}, Dense(1, inputs=("nobody",))], dtype="float16")
    assert [problem.path for problem in error.value.problems] == [("layers", 0), ("layers", 1, "units"), ("dtype",)]
    with pytest.raises(ConfigError, match=r"layers\[1\]\.inputs\[0\]: expected a layer above"):
        Model([Dense(1), Dense(1, inputs=("nobody",))])


def test_a_model_is_made_from_a_file_a_mapping_or_a_configuration(tmp_path):
    (tmp_path / "net.toml").write_text(tomli_w.dumps(CONFIG))
    (tmp_path / "net.json").write_text(json.dumps(CONFIG))
    expected = Configuration.parse(CONFIG)
    for source in (CONFIG, expected, tmp_path / "net.toml", str(tmp_path / "net.json")):
        model = Model.from_config(source)
        assert model.configuration == expected
        assert (model.layers, model.dtype, model.is_built) == (expected.layers, "float32", False)


def test_what_is_wrong_with_a_configuration_is_reported_for_each_way_of_giving_it(tmp_path):
    wrong = {**CONFIG, "dtype": "float16"}
    (tmp_path / "net.toml").write_text(tomli_w.dumps(wrong))
    for source in (wrong, tmp_path / "net.toml", tmp_path / "missing.toml"):
        with pytest.raises(ConfigError):
            Model.from_config(source)


def test_the_configured_data_and_training_are_used_when_none_are_given():
    model = Model.from_config(CONFIG)
    history = model.fit()
    assert history is model.history
    assert {"loss", "accuracy", "validation_loss", "validation_accuracy"} <= set(history)
    assert set(model.results["test"]) == {"loss", "accuracy"}
    assert len(model.parts.test) == round(0.2 * 1797)
    assert model.classes == tuple(range(10))


def test_what_is_given_replaces_what_is_configured():
    model = Model.from_config(CONFIG)
    model.fit(epochs=2, optimizer={"type": "sgd", "learning_rate": 0.5}, metrics=[], validation=0.0)
    assert model.history.epochs == 2
    assert "validation_loss" not in model.history
    assert model.configuration.training.optimizer == SGD(0.5)
    assert model.configuration.training.batch_size == 256


def test_settings_are_given_as_components_names_or_tables(inputs, trained):
    one = trained(loss=CrossEntropy(0.1), optimizer=SGD(0.1))
    other = trained(
        loss={"type": "cross_entropy", "label_smoothing": 0.1}, optimizer={"type": "sgd", "learning_rate": 0.1}
    )
    assert one.configuration == other.configuration
    np.testing.assert_array_equal(one.outputs(inputs), other.outputs(inputs))


def test_a_model_is_built_for_the_shape_of_a_sample_from_a_seed(untrained):
    model = untrained().build((3,), seed=5)
    assert model.is_built
    assert model.network.input_shape == (3,)
    np.testing.assert_array_equal(model.network.parameters, untrained().build((3,), seed=5).network.parameters)
    assert not np.array_equal(model.network.parameters, untrained().build((3,), seed=6).network.parameters)


def test_the_same_seed_gives_the_same_bits_and_another_one_others(inputs, labels):
    layers = [Standardize(), Dense(8, "relu"), BatchNorm(), Dropout(0.3), Dense(2, "softmax")]

    def run(seed):
        model = Model(layers)
        model.fit(inputs, labels, loss="cross_entropy", epochs=3, batch_size=8, seed=seed, validation=0.2)
        return model.outputs(inputs).tobytes(), json.dumps(model.history.to_dict())

    assert run(1) == run(1)
    assert run(1)[0] != run(2)[0]


METHODS = {
    "predict": lambda model, x, y: model.predict(x),
    "predict_proba": lambda model, x, y: model.predict_proba(x),
    "outputs": lambda model, x, y: model.outputs(x),
    "call": lambda model, x, y: model(x),
    "evaluate": lambda model, x, y: model.evaluate(x, y, metrics=[]),
    "network": lambda model, x, y: model.network,
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_a_model_that_is_not_built_says_so(method, inputs, labels):
    model = Model.from_config({**CONFIG, "data": None})
    with pytest.raises(
        UsageError, match="the model has no weights yet: call fit, or build with the shape of one input"
    ):
        method(model, inputs, labels)


def test_predictions_are_names_of_classes(inputs, labels, trained):
    model = trained()
    predicted = model.predict(inputs)
    assert set(predicted.tolist()) <= {"no", "yes"}
    assert (predicted == labels).mean() > 0.5
    probabilities = model.predict_proba(inputs)
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert predicted.tolist() == [model.classes[index] for index in probabilities.argmax(axis=1)]


def test_one_output_decides_between_two_classes(inputs, labels):
    model = Model([Dense(1, "sigmoid")])
    model.fit(inputs, labels, loss="binary_cross_entropy", epochs=5, optimizer=SGD(1.0))
    probabilities = model.predict_proba(inputs)
    np.testing.assert_array_equal(probabilities[:, 1:], model.outputs(inputs))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert model.predict(inputs).tolist() == ["yes" if row[1] > 0.5 else "no" for row in probabilities]


def test_a_hinge_decides_at_zero_also_after_loading(tmp_path, inputs, labels):
    model = Model([Dense(1)])
    model.fit(inputs, labels, loss="hinge", epochs=5, optimizer=SGD(0.1))
    expected = ["yes" if output > 0 else "no" for output in model.outputs(inputs)[:, 0]]
    assert model.predict(inputs).tolist() == expected
    model.save(tmp_path / "model.h5")
    assert microframe.load(tmp_path / "model.h5").predict(inputs).tolist() == expected


def test_logarithms_of_probabilities_are_probabilities_too_and_the_outputs_stay(inputs):
    model = Model([Dense(3, "log_softmax")]).build((3,))
    outputs = model.outputs(inputs)
    before = outputs.copy()
    np.testing.assert_allclose(model.probabilities(outputs).sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(outputs, before)


def test_outputs_that_are_no_probabilities_are_not_passed_off_as_such(inputs):
    with pytest.raises(UsageError, match="the network ends in 'relu', which gives no probabilities"):
        Model([Dense(3, "relu")]).build((3,)).predict_proba(inputs)
    with pytest.raises(UsageError, match="the network ends in 'flatten'"):
        Model(["flatten"]).build((3,)).predict_proba(inputs)


def test_without_classes_predictions_are_values(inputs):
    model = Model([Dense(2)], dtype="float64").build((3,))
    weights = model.network.weights["dense_1"]
    np.testing.assert_allclose(model.predict(inputs), inputs @ weights["kernel"] + weights["bias"])


def test_fit_gives_the_history_and_another_fit_a_new_one(inputs, labels, trained):
    model = trained()
    first = model.history
    assert isinstance(first, History)
    assert first.epochs == 3
    second = model.fit(inputs, labels, epochs=2)
    assert second is model.history
    assert (first.epochs, second.epochs) == (3, 2)


def test_predictions_do_not_depend_on_what_was_predicted_before(inputs):
    model = Model([BatchNorm(), Dense(4, "relu"), Dropout(0.5), Dense(2)]).build((3,))
    x = inputs.astype(np.float32)
    first = model(x)
    kept = first.copy()
    model(100 * x[:7])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(model(x), kept)


def test_predictions_from_eight_threads_equal_those_from_one(inputs, labels):
    model = Model(
        [Standardize(), Dense(16, "relu", name="a"), Dense(16, "softmax", inputs=("standardize_1",), name="b"),
         Concatenate(inputs=("a", "b")), BatchNorm(), Dense(2, "softmax")]
    )  # fmt: skip
    model.fit(inputs, labels, loss="cross_entropy", epochs=1)
    batches = [np.random.default_rng(seed).normal(size=(50 + seed % 3, 3)) for seed in range(120)]
    expected = [(model.outputs(x), model(x), model.predict(x).tolist()) for x in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: (model.outputs(x), model(x), model.predict(x).tolist()), batches))
    for (outputs, called, names), (outputs_alone, called_alone, names_alone) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(outputs, outputs_alone)
        np.testing.assert_array_equal(called, called_alone)
        assert names == names_alone


@pytest.mark.parametrize("method", ["__call__", "outputs", "predict", "predict_proba"])
def test_nothing_of_a_prediction_is_kept(method, trained):
    class Watched(np.ndarray):
        """An array that can be referred to weakly."""

    model = trained()
    predict = getattr(model, method)
    x = np.zeros((50_000, 3), np.float32).view(Watched)
    alive = weakref.ref(x)
    predict(x)
    gc.collect()
    tracemalloc.start()
    try:
        result = predict(x)
        size = result.nbytes
        del result
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < size / 10
    del x
    assert alive() is None


def test_the_inputs_of_a_training_are_let_go(inputs, labels, untrained):
    class Watched(np.ndarray):
        """An array that can be referred to weakly."""

    model = untrained()
    x = inputs.view(Watched)
    alive = weakref.ref(x)
    model.fit(x, labels, loss="cross_entropy", epochs=1, validation=0.25)
    del x
    gc.collect()
    assert alive() is None


def test_values_beyond_the_range_of_a_dtype_warn_nobody(untrained):
    model = untrained().build((3,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(np.full((2, 3), 1e38, np.float32))
        model.outputs(np.full((2, 3), 1e38, np.float32))


def test_a_model_shows_its_layers_and_its_size(untrained):
    model = untrained()
    assert repr(model) == "Model(dense, dense, not built)"
    assert model._repr_html_() == "<code>Model(dense, dense, not built)</code>"
    model.build((3,))
    assert repr(model) == "Model(dense, dense, 26 parameters)"
    assert model._repr_html_() == model.summary()._repr_html_()


def test_a_summary_of_a_model_that_is_not_built_needs_a_shape(untrained):
    with pytest.raises(UsageError, match="give summary the shape of one input sample"):
        untrained().summary()
    model = untrained()
    assert model.summary((3,)).parameters == 26
    assert not model.is_built, "looking at it builds nothing"
