from __future__ import annotations

import re

import numpy as np
import pytest

from microframe import Model
from microframe.configuration import read_configuration


def test_the_main_job(microframe, models, tmp_path, table):
    trained = microframe("run", models / "digits.toml")
    assert trained.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h5"]
    title, head, *metrics = table(trained.stdout)
    assert title == ["test (359 samples)"]
    assert head == ["metric", "value"]
    assert [name for name, _ in metrics] == ["loss", "accuracy"]
    assert float(metrics[1][1]) >= 0.96
    assert trained.stderr.endswith("\nsaved digits.h5\n")

    predicted = microframe("run", "digits.h5", models / "digits-samples.csv")
    assert (predicted.code, predicted.stderr) == (0, "")
    head, *rows = table(predicted.stdout)
    assert head == ["row", "digit"]
    assert sum(number == str(int(digit) + 1) for number, digit in rows) >= 9


def test_the_digits_are_told_apart_in_the_mean_over_seeds(models):
    accuracies = []
    for seed in range(5):
        model = Model.from_config(read_configuration(models / "digits.toml", [f"seed={seed}"]))
        model.fit()
        accuracies.append(model.results["test"]["accuracy"])
    assert np.mean(accuracies) >= 0.97


def test_run_takes_the_options_of_train_for_a_configuration(microframe, leaves, tmp_path):
    options = ["--set", "optimizer.learning_rate=0.2", "--epochs", 2, "--seed", 3, "--quiet", "--json"]
    result = microframe("run", leaves / "leaves.toml", "-o", "model.h5", *options)
    assert (result.code, result.stderr) == (0, "")
    assert result.json["output"] == "model.h5"
    training = Model.load(tmp_path / "model.h5").configuration.training
    assert (training.optimizer.learning_rate, training.epochs, training.seed) == (0.2, 2, 3)


def test_run_takes_the_options_of_predict_for_a_model(microframe, leaves):
    options = ["--proba", "--batch-size", 5, "--json"]
    result = microframe("run", leaves / "leaves.h5", leaves / "leaves.csv", *options)
    assert result == microframe("predict", leaves / "leaves.h5", leaves / "leaves.csv", *options)
    assert [row["tree"] for row in result.json] == ["oak"] * 4 + ["ash"] * 4 + ["elm"] * 4


def test_run_trains_a_json_configuration_and_continues_a_model(microframe, leaves, tmp_path):
    shown = microframe("config", "show", leaves / "leaves.toml", "--json").stdout
    (tmp_path / "net.json").write_text(shown)
    assert microframe("run", "net.json", "--epochs", 1).code == 0
    result = microframe("run", "net.h5", "--resume", "--epochs", 3)
    assert result.code == 0
    assert re.match(r"epoch 2/3 ", result.stderr)
    assert Model.load(tmp_path / "net.h5").history.epochs == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.toml", "samples.csv"], "net.toml is to be trained, which takes no samples (samples.csv)"),
        (["net.h5"], "net.h5 is a trained model: name a csv file to predict, or - for standard input"),
        (["net.toml", "--isolate"], "--isolate is for a model file, and net.toml is a configuration"),
        (["net.toml", "--sha256", "0" * 64], "--sha256 is for a model file, and net.toml is a configuration"),
        (["net.toml", "--proba"], "--proba is for prediction, which net.toml is not for"),
        (["net.h5", "samples.csv", "--epochs", "3"], "--epochs is for training, which net.h5 is not for"),
        (
            ["net.yaml"],
            "net.yaml: expected a file ending in .toml or .json, to train, or a model file, to predict with",
        ),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(words, message, refused):
    assert refused(2, "run", *words) == f"error: {message}\n"


@pytest.mark.parametrize(
    ("code", "words", "message"),
    [
        (3, ["none.toml"], "none.toml: there is no such file"),
        (6, ["none.h5", "samples.csv"], "none.h5: the path: no such file [E_NOT_FOUND]"),
    ],
)
def test_a_missing_file_has_the_exit_code_of_its_kind(code, words, message, refused):
    assert refused(code, "run", *words) == f"error: {message}\n"
