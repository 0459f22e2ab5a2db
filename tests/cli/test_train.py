from __future__ import annotations

import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from microframe import Model, __version__, load

DIVERGE = """
from microframe import Callback, hookimpl

class Diverge(Callback):
    epoch: int

    def epoch_end(self, run, memory):
        if run.epoch == self.epoch:
            run.learning_rate_factor = 1e33

@hookimpl
def microframe_components():
    return [Diverge]
"""


def weights(path):
    """Every dataset below /weights, by name."""
    found = {}
    with h5py.File(path) as file:
        file["weights"].visititems(
            lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def assert_same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name


def test_the_model_is_named_after_the_configuration_and_written_to_the_current_folder(microframe, leaves, tmp_path):
    result = microframe("train", leaves / "leaves.toml", "--epochs", 3)
    assert (result.code, result.stdout) == (0, "")
    assert re.fullmatch(r"(epoch \d/3  loss .*\n)+saved leaves\.h5\n", result.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["leaves.h5"]
    assert load(tmp_path / "leaves.h5").history.epochs == 3


def test_json_holds_what_training_gave_and_has_stdout_for_itself(microframe, models, digits, tmp_path):
    result = microframe("train", models / "digits.toml", "--epochs", 5, "-o", "model.h5", "--json")
    assert result.code == 0
    assert result.stderr.startswith("epoch 1/5 ")
    model = load(digits)
    assert result.json == {
        "output": "model.h5",
        "epochs": 5,
        "stopped": None,
        "parameters": 64 * 64 + 64 + 64 * 10 + 10,
        "history": model.history.to_dict(),
        "results": model.results,
    }
    assert_same_weights(tmp_path / "model.h5", digits)


def test_quiet_shows_no_progress(microframe, leaves):
    result = microframe("train", leaves / "leaves.toml", "--quiet", "--epochs", 2)
    assert (result.stdout, result.stderr) == ("", "saved leaves.h5\n")


def test_a_dry_run_shows_the_shapes_and_one_loss_and_writes_nothing(microframe, leaves, tmp_path, table):
    result = microframe("train", leaves / "leaves.toml", "--dry-run", "--set", "layers.1.units=3")
    assert (result.code, result.stderr) == (0, "")
    rows = table(result.stdout)
    assert rows[0] == ["layer", "type", "inputs", "output shape", "parameters", "from"]
    assert ["dense_1", "dense", "standardize_1", "(batch, 3)", "9", f"microframe {__version__}"] in rows
    assert ["12 train samples"] in rows
    assert re.search(r"loss of the first batch \d\.\d+; nothing was trained or written\n$", result.stdout)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_in_json(microframe, models):
    report = microframe("train", models / "digits.toml", "--dry-run", "--json").json
    assert [layer["output_shape"] for layer in report["layers"]] == [[64], [64], [10]]
    assert report["samples"] == {"train": 1258, "validation": 180, "test": 359}
    assert report["first_batch_loss"] == pytest.approx(np.log(10), abs=1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optimizer.learning_rate=fast", "training.optimizer.learning_rate: expected a number greater than 0"),
        ("optimizer.learning_rte=1", "(did you mean 'learning_rate'?)"),
        ("layers.1.units=2.5", "layers[1].units: expected a whole number of at least 1, received 2.5"),
        ("loss=cross_entropyy", "(did you mean 'cross_entropy'?)"),
        ("epochs", "expected path=value, such as optimizer.learning_rate=0.01, received 'epochs'"),
    ],
)
def test_a_setting_is_checked_against_the_fields_of_its_part(setting, message, refused, leaves):
    error = refused(3, "train", leaves / "leaves.toml", "--set", setting)
    assert error.startswith("error: --set")
    assert message in error


SHAPES_TOML = """\
[data]
source = "digits"

[[layers]]
type = "dense"
units = 10

[[layers]]
type = "reshape"
shape = [3, 7]

[training]
loss = "cross_entropy"
callbacks = [
  "early_stopping",
  { type = "checkpoint", last = "none/model.h5" },
]
"""


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_shapes_that_do_not_fit_are_reported_with_file_and_line(options, refused, tmp_path):
    (tmp_path / "net.toml").write_text(SHAPES_TOML)
    assert refused(3, "train", "net.toml", *options).startswith("error: net.toml:8: layers[1]: expected ")
    message = refused(3, "train", "net.toml", *options, "--set", "layers.1.shape=[3]")
    assert message.startswith("error: --set layers.1.shape=[3]: layers[1]: expected ")


def test_a_callback_that_cannot_work_is_reported_with_file_and_line(refused, tmp_path):
    (tmp_path / "net.toml").write_text(SHAPES_TOML.replace("[3, 7]", "[2, 5]\n[[layers]]\ntype = 'flatten'"))
    message = refused(3, "train", "net.toml", "--quiet", "--set", "callbacks.0.monitor=loss")
    assert message.startswith(
        "error: net.toml:18: training.callbacks[1].last: expected a file in a folder that exists, received 'none/"
    )
    message = refused(3, "train", "net.toml", "--quiet", "--set", "callbacks.0.monitor=los")
    assert message.startswith("error: --set callbacks.0.monitor=los: training.callbacks[0].monitor: expected one of ")


def test_several_settings_replace_those_of_the_file(microframe, leaves, tmp_path):
    options = ["--set", "optimizer=sgd", "--set", "optimizer.momentum=0.5", "--set", 'batch_size="all"', "--seed", 9]
    assert microframe("train", leaves / "leaves.toml", *options, "--epochs", 2, "-q").code == 0
    training = load(tmp_path / "leaves.h5").configuration.training
    assert (training.optimizer.type, training.optimizer.momentum) == ("sgd", 0.5)
    assert (training.batch_size, training.seed, training.epochs) == ("all", 9, 2)


def test_an_existing_file_is_touched_only_on_request(microframe, refused, leaves, tmp_path):
    path = tmp_path / "leaves.h5"
    path.write_bytes(b"precious")
    message = refused(2, "train", leaves / "leaves.toml")
    assert message.startswith("error: leaves.h5 is there already: --overwrite replaces it")
    assert path.read_bytes() == b"precious"
    assert microframe("train", leaves / "leaves.toml", "--overwrite", "--epochs", 1).code == 0
    assert load(path).history.epochs == 1


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("none/model.h5", "none/model.h5: there is no folder none"),
        (".", "File '.' is a directory"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_training(output, message, refused, leaves):
    error = refused(2, "train", leaves / "leaves.toml", "--output", output)
    assert message in error
    assert "epoch" not in error


def test_a_folder_that_is_read_only_is_refused_before_training(refused, leaves, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # the administrator may write anywhere but to what the system makes up
        folder = Path("/proc")
    if not folder.exists():
        pytest.skip("there is no folder that cannot be written to")
    error = refused(2, "train", leaves / "leaves.toml", "--output", folder / "model.h5")
    assert error.startswith(f"error: {folder / 'model.h5'}: cannot be written: ")


def test_a_configuration_with_mistakes_lists_them_all_with_their_lines(refused, leaves, tmp_path):
    text = (leaves / "leaves.toml").read_text()
    (tmp_path / "net.toml").write_text(text.replace("units = 3", "unit = 3").replace('"adam"', '"adan"'))
    lines = refused(3, "train", "net.toml").removeprefix("error: ").splitlines()
    assert [line.partition(": expected")[0] for line in lines] == [
        "net.toml:7: layers[1].units",
        "net.toml:9: layers[1].unit",
        "net.toml:14: training.optimizer.type",
    ]
    assert lines[2].endswith("received 'adan' (did you mean 'adam'?)")


def test_data_that_cannot_be_read_is_a_data_error(refused, leaves):
    setting = 'data.source={type="csv", path="none.csv", target="tree"}'
    assert refused(4, "train", leaves / "leaves.toml", "--set", setting) == "error: none.csv: there is no such file\n"


@pytest.mark.parametrize("named", ["leaves.toml", "leaves.h5"])
def test_resumed_training_ends_where_uninterrupted_training_does(named, microframe, leaves, tmp_path):
    assert microframe("train", leaves / "leaves.toml", "--epochs", 2, "-q").code == 0
    again = leaves / "leaves.toml" if named == "leaves.toml" else named
    assert microframe("train", again, "--resume", "--epochs", 40, "-q").code == 0
    assert_same_weights(tmp_path / "leaves.h5", leaves / "leaves.h5")
    assert load(tmp_path / "leaves.h5").history.to_dict() == load(leaves / "leaves.h5").history.to_dict()


def test_other_settings_cannot_resume_and_are_listed(refused, leaves, tmp_path):
    (tmp_path / "leaves.h5").write_bytes((leaves / "leaves.h5").read_bytes())
    options = ["--resume", "--seed", 3, "--set", "optimizer.learning_rate=0.5", "--epochs", 99]
    assert refused(3, "train", leaves / "leaves.toml", *options).splitlines() == [
        "error: leaves.h5 was trained with other settings than are asked for now:",
        "  training.optimizer.learning_rate: 0.1 then, 0.5 now",
        "  training.seed: 0 then, 3 now",
    ]
    assert (tmp_path / "leaves.h5").read_bytes() == (leaves / "leaves.h5").read_bytes()


def test_a_file_of_another_network_cannot_resume_and_every_difference_is_listed(refused, leaves, tmp_path):
    (tmp_path / "net.toml").write_text(
        '[data]\nsource = "digits"\ntest = 0.2\n[[layers]]\ntype = "dense"\nunits = 10\n'
        '[training]\nloss = "cross_entropy"\nbatch_size = 4\n'
    )
    (tmp_path / "net.h5").write_bytes((leaves / "leaves.h5").read_bytes())
    lines = refused(3, "train", "net.toml", "--resume").splitlines()
    assert lines[0] == "error: net.h5 was trained with other settings than are asked for now:"
    assert [line.partition(": ")[0].strip() for line in lines[1:]] == [
        "layers[0]",
        "layers[1]",
        "data.source",
        "data.test",
        "training.optimizer.learning_rate",
        "training.metrics[0]",
    ]
    assert lines[2].endswith(" then, nothing now")
    assert lines[3].endswith(" then, 'digits' now")


def test_data_that_has_changed_is_listed_with_the_settings_that_have_or_alone(microframe, refused, leaves, tmp_path):
    table, net = tmp_path / "leaves.csv", tmp_path / "leaves.toml"
    table.write_text((leaves / "leaves.csv").read_text())
    net.write_text((leaves / "leaves.toml").read_text().replace(str(leaves / "leaves.csv"), "leaves.csv"))
    assert microframe("train", "leaves.toml", "--epochs", 2, "-q").code == 0
    before = (tmp_path / "leaves.h5").read_bytes()
    table.write_text("width,length,tree\n" + table.read_text().partition("\n")[2] + "1,5,oak\n")
    data = [
        "  data: samples: 12 then, 13 now",
        "  data: column 0 (from 0): 'length' then, 'width' now",
        "  data: column 1 (from 0): 'width' then, 'length' now",
        "  data: the values of the inputs are others now",
        "  data: the values of the targets are others now",
    ]
    for words in (["leaves.toml"], ["leaves.h5"]):
        assert refused(4, "train", *words, "--resume", "--epochs", 3).splitlines() == [
            "error: the data has changed since the training that is to be resumed:",
            *data,
        ]
        assert refused(3, "train", *words, "--resume", "--epochs", 3, "--seed", 5).splitlines() == [
            "error: leaves.h5 was trained with other settings than are asked for now:",
            "  training.seed: 0 then, 5 now",
            *data,
        ]
    assert (tmp_path / "leaves.h5").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{leaves}/leaves.toml", "--resume"], "there is nothing to resume: leaves.h5 is not there"),
        (["none.h5", "--resume"], "there is nothing to resume: none.h5 is not there"),
        (["built.h5", "--resume"], "built.h5 holds no checkpoint to resume from"),
        (["built.h5"], "built.h5 is a model file: --resume continues its training"),
    ],
)
def test_where_there_is_nothing_to_resume_it_is_a_usage_error(words, message, refused, leaves, tmp_path):
    Model([{"type": "dense", "units": 1}]).build((2,)).save(tmp_path / "built.h5")
    assert refused(2, "train", *(word.format(leaves=leaves) for word in words)) == f"error: {message}\n"


def test_diverged_training_says_where_and_keeps_the_last_good_epoch(microframe, models, tmp_path):
    (tmp_path / "diverge.py").write_text(DIVERGE)
    options = ["--plugin", "diverge.py", "--set", 'callbacks=[{type="diverge", epoch=3}]']
    result = microframe("train", models / "digits.toml", *options)
    assert (result.code, result.stdout) == (7, "")
    error, kept = result.stderr.splitlines()[-2:]
    assert re.match(r"error: epoch 4, batch \d: the loss is nan; .* in the output of layer 'dense_2'; ", error)
    assert kept == "digits.h5 holds the model as it was after epoch 3"
    model = load(tmp_path / "digits.h5")
    assert model.history.epochs == 3
    assert np.isfinite(model.network.parameters).all()


def test_diverged_training_without_a_good_epoch_writes_nothing(microframe, leaves, tmp_path):
    result = microframe("train", leaves / "leaves.toml", "--set", "optimizer.learning_rate=1e39")
    assert result.code == 7
    assert result.stderr.startswith("error: epoch 1, batch 2: the loss is nan")
    assert result.stderr.endswith("no epoch was completed, so nothing was saved\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--resume"]])
@pytest.mark.parametrize("output", ["net.toml", "x.txt", "model"])
def test_a_model_is_saved_to_nothing_but_a_file_that_ends_in_h5(output, options, refused, leaves, tmp_path):
    text = (leaves / "leaves.toml").read_text()
    (tmp_path / "net.toml").write_text(text)
    error = refused(2, "train", "net.toml", "-o", output, "--overwrite", *options)
    assert error == f"error: {output}: a trained model is saved to a file ending in .h5\n"
    assert (tmp_path / "net.toml").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["net.toml"]


def test_a_model_is_not_saved_over_its_configuration_or_its_data(refused, leaves, tmp_path):
    text = (leaves / "leaves.toml").read_text()
    (tmp_path / "net.toml").write_text(text)
    (tmp_path / "net.h5").symlink_to("net.toml")
    assert refused(2, "train", "net.toml", "--overwrite").startswith("error: net.h5 is net.toml, the configuration")
    assert (tmp_path / "net.toml").read_text() == text
    (tmp_path / "data.h5").write_bytes(b"precious")
    source = 'data.source={type="hdf5", path="data.h5", inputs="x", target="y"}'
    options = ["-o", "data.h5", "--overwrite", "--set", source]
    assert refused(2, "train", "net.toml", *options).startswith("error: data.h5 holds the data to train on")
    assert (tmp_path / "data.h5").read_bytes() == b"precious"


def test_another_description_does_not_keep_training_from_going_on(microframe, leaves, tmp_path):
    assert microframe("train", leaves / "leaves.toml", "--epochs", 2, "-q").code == 0
    (tmp_path / "leaves.toml").write_text('description = "Three trees."\n' + (leaves / "leaves.toml").read_text())
    assert microframe("train", "leaves.toml", "--resume", "--epochs", 3, "-q").code == 0
    assert load(tmp_path / "leaves.h5").history.epochs == 3


@pytest.mark.parametrize("named", ["leaves.toml", "leaves.h5"])
def test_where_nothing_is_left_to_train_the_file_is_left_alone(named, microframe, leaves, tmp_path):
    (tmp_path / "leaves.h5").write_bytes((leaves / "leaves.h5").read_bytes())
    before = (tmp_path / "leaves.h5").stat().st_mtime_ns
    file = leaves / "leaves.toml" if named == "leaves.toml" else named
    for epochs in (10, 40):
        result = microframe("train", file, "--resume", "--epochs", epochs)
        message = f"nothing left to train: leaves.h5 is at epoch 40 of {epochs}\n"
        assert (result.code, result.stdout, result.stderr) == (0, "", message)
    assert (tmp_path / "leaves.h5").stat().st_mtime_ns == before
    assert microframe("train", file, "--resume", "--json").json["stopped"] == message.strip()
    assert microframe("train", file, "--resume", "--epochs", 41, "-q").stderr == "saved leaves.h5\n"


def test_nothing_is_left_of_a_training_that_ended_early(microframe, leaves):
    stops = ["--set", 'callbacks=[{type="early_stopping", monitor="loss", patience=3, min_delta=1e9}]', "-q"]
    assert "stopped after epoch 4: " in microframe("train", leaves / "leaves.toml", *stops).stderr
    again = microframe("train", leaves / "leaves.toml", *stops, "--resume")
    expected = "nothing left to train: leaves.h5 is at epoch 4, where training for 40 epochs ended early\n"
    assert (again.code, again.stderr) == (0, expected)


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_missing_sections_are_a_problem_of_the_configuration(options, refused, tmp_path):
    (tmp_path / "net.toml").write_text('[[layers]]\ntype = "dense"\nunits = 1\n')
    assert refused(3, "train", "net.toml", *options).splitlines() == [
        "error: net.toml: data: expected a section [data], which training needs, received none",
        "net.toml: training: expected a section [training], which training needs, received none",
    ]


def test_a_model_that_was_trained_on_arrays_cannot_be_resumed_from_its_file(refused, tmp_path):
    model = Model([{"type": "dense", "units": 1}])
    model.fit([[1.0], [2.0]], [2.0, 4.0], loss="mean_squared_error", epochs=1)
    model.save(tmp_path / "net.h5")
    error = refused(3, "train", "net.h5", "--resume", "--epochs", 2)
    assert error == "error: net.h5: data: expected a section [data], which training needs, received none\n"
