from __future__ import annotations

import numpy as np
import pytest

from microframe import Model, load

LABELLED = "width,tree,length\n5,oak,1\n5.1,oak,1.1\n1,ash,3\n1.2,elm,3.1\n4,elm,6\n"
"""An ash that is called an elm, and four trees that are what they are called."""


def test_without_samples_the_held_out_test_part_is_measured(microframe, digits, models):
    report = microframe("evaluate", digits, "--json").json
    model = load(digits)
    assert report["results"] == pytest.approx(model.results["test"])
    assert report["samples"] == 359
    assert report["classes"] == list(range(10))
    confusion = np.array(report["confusion"])
    assert confusion.sum() == 359
    assert np.trace(confusion) / 359 == pytest.approx(report["results"]["accuracy"])


def test_samples_with_targets_give_metrics_and_a_confusion_matrix(microframe, leaves, table):
    result = microframe("evaluate", leaves / "leaves.h5", "-", stdin=LABELLED)
    assert (result.code, result.stderr) == (0, "")
    rows = table(result.stdout)
    assert rows[:2] == [["5 samples"], ["metric", "value"]]
    assert rows[3] == ["accuracy", "0.8"]
    assert rows[4:] == [
        ["true \\ predicted", "ash", "elm", "oak"],
        ["ash", "1", "0", "0"],
        ["elm", "1", "1", "0"],
        ["oak", "0", "0", "2"],
    ]


def test_whole_numbers_that_are_classes_may_be_written_with_a_point(microframe, digits, models):
    head, *rows = (models / "digits-samples.csv").read_text().splitlines()
    pointed = "\n".join([head, *(f"{row}.0" for row in rows)])
    report = microframe("evaluate", digits, "-", "--json", stdin=pointed).json
    assert report == microframe("evaluate", digits, models / "digits-samples.csv", "--json").json
    assert report["samples"] == 10


def test_values_have_no_confusion_matrix(microframe, tmp_path):
    model = Model([{"type": "dense", "units": 1}])
    model.fit([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0], loss="mean_squared_error", metrics=["r2"], epochs=1)
    model.save(tmp_path / "model.h5")
    report = microframe("evaluate", "model.h5", "-", "--json", stdin="1,2\n2,4\n3,6\n").json
    assert report == {"samples": 3, "results": pytest.approx(model.evaluate([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0]))}


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ("length,width\n1,5\n", "-: the target column is missing (tree), so there is nothing to compare with"),
        ("length,width,tree\n1,5,aok\n", "received 'aok' (did you mean 'oak'?)"),
        ("length,width,tree\n1,x,oak\n", "<stdin>: line 2, column 'width': expected a number, received 'x'"),
    ],
)
def test_samples_that_cannot_be_compared_are_a_data_error(samples, message, refused, leaves):
    assert message in refused(4, "evaluate", leaves / "leaves.h5", "-", stdin=samples)


def test_another_delimiter_can_be_asked_for_where_there_are_samples(microframe, refused, leaves):
    words = ["evaluate", leaves / "leaves.h5", "--delimiter", ";"]
    report = microframe(*words, "-", "--json", stdin=LABELLED.replace(",", ";")).json
    assert report == microframe("evaluate", leaves / "leaves.h5", "-", "--json", stdin=LABELLED).json
    assert "--delimiter is for samples in a file" in refused(2, *words)


def test_predictions_that_are_not_finite_are_a_data_error(microframe, refused, leaves, tmp_path):
    model = load(leaves / "leaves.h5")
    model.weights["dense_1"]["kernel"][0, 0] = np.nan
    model.save(tmp_path / "nan.h5")
    message = refused(4, "evaluate", "nan.h5", leaves / "leaves.csv", "--allow-nonfinite")
    assert "expected predictions without NaN" in message
    message = refused(4, "predict", "nan.h5", leaves / "leaves.csv", "--allow-nonfinite")
    assert "the network's output is NaN; is there a NaN among its inputs or among the weights?" in message


def test_a_model_without_a_test_part_needs_samples(refused, leaves):
    assert "the model has no test samples of its own" in refused(2, "evaluate", leaves / "leaves.h5")


def test_a_model_that_was_never_trained_has_no_loss_to_report(refused, tmp_path):
    Model([{"type": "dense", "units": 1}]).build((2,)).save(tmp_path / "model.h5")
    assert "error: " in refused(2, "evaluate", "model.h5", "-", stdin="1,2,3\n")


def many_classes(folder, confused):
    """A model of 30 classes that calls each by its name, but for those of `confused`; and samples of each, in text."""
    weights = np.eye(30)
    for true, predicted in confused.items():
        weights[true] = np.eye(30)[predicted]
    model = Model([{"type": "dense", "units": 30, "activation": "softmax"}])
    names = np.array([f"c{number:02}" for number in range(30)])
    model.fit(np.eye(30), names, loss="cross_entropy", epochs=1)
    model.network.weights["dense_1"]["kernel"][:] = 9 * weights
    model.save(folder / "many.h5")
    repeated = [number for number in range(30) for _ in range(1 + number % 3)]
    return "\n".join(",".join([*map(str, np.eye(30, dtype=int)[number]), names[number]]) for number in repeated)


def test_of_many_classes_the_most_frequent_confusions_are_shown(microframe, tmp_path, table):
    samples = many_classes(tmp_path, dict.fromkeys(range(1, 15), 0))
    result = microframe("evaluate", "many.h5", "-", stdin=samples)
    lines = table(result.stdout)
    title = lines.index(["most frequent confusions"])
    assert lines[title + 1] == ["true", "predicted", "count"]
    assert [count for _, _, count in lines[title + 2 : -1]] == ["3"] * 5 + ["2"] * 5
    assert lines[title + 2] == ["c02", "c00", "3"]
    assert lines[-1] == ["--json has the whole matrix of 30 classes"]
    matrix = np.array(microframe("evaluate", "many.h5", "-", "--json", stdin=samples).json["confusion"])
    assert matrix.shape == (30, 30)
    assert matrix[2, 0] == 3


def test_many_classes_may_all_be_told_apart(microframe, tmp_path):
    result = microframe("evaluate", "many.h5", "-", stdin=many_classes(tmp_path, {}))
    assert "\nno class is taken for another\n--json has the whole matrix of 30 classes\n" in result.stdout
