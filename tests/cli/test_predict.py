from __future__ import annotations

import csv
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from microframe import Model, load

TREES = ["oak", "ash", "elm"]
ROWS = [["1.0", "5.0"], ["3.0", "1.0"], ["6.0", "4.0"]]
FEATURES = "length,width\n1,5\n3,1\n6,4\n"


def trained(folder, *, rows, target, loss="cross_entropy", names=None, units=2, **fields):
    """A model that was trained on a small table of numbers, which the source reads with `fields`."""
    path = folder / "table.csv"
    delimiter = fields.get("delimiter", ",")
    cells = [*([names] if names else []), *rows]
    path.write_text("\n".join(delimiter.join(map(str, row)) for row in cells) + "\n")
    dense = {"type": "dense", "units": units, "activation": "softmax" if loss == "cross_entropy" else "linear"}
    data = {"source": {"type": "csv", "path": str(path), "target": target, **fields}}
    training = {"loss": loss, "optimizer": {"type": "adam", "learning_rate": 0.1}, "epochs": 100}
    model = Model.from_config({"layers": ["standardize", dense], "data": data, "training": training})
    model.fit()
    model.save(folder / "model.h5")
    return model


def read_columns(path):
    """The columns of a file of predictions, by name."""
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as stream:
            return {head: cells for head, *cells in zip(*csv.reader(stream), strict=True)}
    if path.suffix == ".json":
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {name: [row[name] for row in rows] for name in rows[0]}
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    with h5py.File(path) as file:
        columns = {name: file[name][()] for name in file}
    return {"tree": np.char.decode(columns.pop("tree"), "utf-8"), **columns}


def test_predictions_are_a_table_on_stdout_and_nothing_else(microframe, leaves, table):
    result = microframe("predict", leaves / "leaves.h5", "-", stdin=FEATURES)
    assert (result.code, result.stderr) == (0, "")
    assert table(result.stdout) == [["row", "tree"], *([str(row), tree] for row, tree in enumerate(TREES, 1))]


def test_probabilities_stand_beside_the_prediction(microframe, leaves):
    result = microframe("predict", leaves / "leaves.h5", "-", "--proba", "--json", stdin=FEATURES)
    assert list(result.json[0]) == ["tree", "probability_ash", "probability_elm", "probability_oak"]
    model = load(leaves / "leaves.h5")
    expected = model.predict_proba(np.array(ROWS, np.float64))
    received = [[row[f"probability_{name}"] for name in model.classes] for row in result.json]
    np.testing.assert_array_equal(np.array(received, np.float32), expected)


@pytest.mark.parametrize("ending", [".csv", ".json", ".npz", ".h5"])
def test_predictions_are_written_in_the_form_of_the_file_s_ending(ending, microframe, leaves, tmp_path):
    path = tmp_path / f"predictions{ending}"
    result = microframe("predict", leaves / "leaves.h5", "-", "--proba", "--output", path.name, stdin=FEATURES)
    assert (result.code, result.stdout) == (0, "")
    assert result.stderr == f"saved {path.name} (3 predictions)\n"

    columns = read_columns(path)
    assert list(columns) == ["tree", "probability_ash", "probability_elm", "probability_oak"]
    tree, *probabilities = columns.values()
    assert list(tree) == TREES
    expected = load(leaves / "leaves.h5").predict_proba(np.array(ROWS, np.float64))
    np.testing.assert_array_equal(np.column_stack(probabilities).astype(np.float32), expected)


def test_json_goes_to_stdout_also_when_a_file_is_written(microframe, leaves, tmp_path):
    result = microframe("predict", leaves / "leaves.h5", "-", "--json", "-o", "p.json", stdin=FEATURES)
    assert result.json == json.loads((tmp_path / "p.json").read_text()) == [{"tree": tree} for tree in TREES]


@pytest.mark.parametrize("name", ["predictions.txt", "predictions"])
def test_another_ending_is_refused_before_anything_is_read(name, refused, tmp_path):
    assert ".csv, .json, .npz, .h5" in refused(2, "predict", "none.h5", "none.csv", "--output", name)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_replaced_only_on_request(microframe, refused, leaves, tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text("precious")
    words = ["predict", leaves / "leaves.h5", leaves / "leaves.csv", "-o", path.name]
    assert "predictions.csv is there already: --overwrite replaces it" in refused(2, *words)
    assert path.read_text() == "precious"
    assert microframe(*words, "--overwrite").code == 0
    assert path.read_text().splitlines()[:2] == ["tree", "oak"]


def test_a_folder_that_is_not_there_is_named(refused, leaves):
    message = refused(2, "predict", leaves / "leaves.h5", leaves / "leaves.csv", "-o", "none/p.csv")
    assert message == "error: none/p.csv: there is no folder none\n"


LEAVES = [(1.0, 5.0, 7), (1.2, 5.2, 7), (3.0, 1.0, 9), (3.2, 1.1, 9)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["length width tree", "0 1 2", None])
def test_a_model_predicts_and_evaluates_the_very_file_it_was_trained_on(delimiter, header, microframe, tmp_path):
    names = header.split() if header else None
    options = {"delimiter": delimiter, "header": header is not None}
    trained(tmp_path, rows=LEAVES, target=names[2] if names else 2, names=names, **options)
    result = microframe("predict", "model.h5", "table.csv", "--json")
    assert result.json == [{names[2] if names else "prediction": tree} for tree in (7, 7, 9, 9)]
    result = microframe("evaluate", "model.h5", "table.csv", "--json")
    assert result.json["samples"] == 4
    assert result.json["confusion"] == [[2, 0], [0, 2]]


@pytest.mark.parametrize("samples", ["1,0\n5,1\n1,3\n", "2,1,0\n,5,1\n,1,3\n"], ids=["features", "with target"])
def test_a_row_of_the_model_s_column_names_is_no_sample(samples, microframe, tmp_path):
    trained(tmp_path, rows=LEAVES, target="2", names=["0", "1", "2"], header=True)
    result = microframe("predict", "model.h5", "-", "--json", stdin=samples)
    assert result.json == [{"2": 7}, {"2": 9}]


@pytest.mark.parametrize(("choice", "delimiter"), [(",", ","), (";", ";"), ("tab", "\t")])
@pytest.mark.parametrize("command", ["predict", "run"])
def test_another_delimiter_can_be_asked_for(command, choice, delimiter, microframe, refused, leaves):
    samples = FEATURES.replace(",", delimiter)
    result = microframe(command, leaves / "leaves.h5", "-", "--delimiter", choice, "--json", stdin=samples)
    assert [row["tree"] for row in result.json] == TREES
    if delimiter != ",":
        refused(4, command, leaves / "leaves.h5", "-", stdin=samples)


def test_no_other_delimiter_is_known(refused, leaves):
    assert "is not one of ',', ';', 'tab'" in refused(2, "predict", leaves / "leaves.h5", "-", "--delimiter", "|")


@pytest.mark.parametrize(
    "samples",
    [
        "1,5\n3,1\n6,4\n",
        "1,5,?\n3,1,?\n6,4,?\n",
        "width,length\n5,1\n1,3\n4,6\n",
        "tree,length,width\n,1,5\n,3,1\n,6,4\n",
        '\ufeff"length", width\r\n1, 5\r\n3 ,1\r\n\r\n"6",4',
    ],
    ids=["no header", "no header, with target", "other order", "other order, with target", "spreadsheet"],
)
def test_columns_are_matched_by_name_or_position_and_the_target_is_ignored(samples, microframe, leaves):
    result = microframe("predict", leaves / "leaves.h5", "-", "--json", stdin=samples)
    assert result.code == 0
    assert [row["tree"] for row in result.json] == TREES


def test_a_target_that_stood_in_the_first_column_is_ignored_there(microframe, tmp_path):
    rows = [(7, 1.0, 5.0), (9, 3.0, 1.0), (7, 1.1, 5.1), (9, 3.1, 1.1)]
    trained(tmp_path, rows=rows, target=0)
    for samples in ("9,1,5\n9,3,1\n", "1,5\n3,1\n"):
        result = microframe("predict", "model.h5", "-", "--json", stdin=samples)
        assert result.json == [{"prediction": 7}, {"prediction": 9}]


@pytest.mark.parametrize("names", [(0.25, 1.00001), (-3, 10), ("Öl", "x y")], ids=["floats", "integers", "text"])
def test_class_names_come_back_as_they_were(names, microframe, tmp_path):
    rows = [(1, names[0]), (5, names[1]), (1.5, names[0]), (5.5, names[1])]
    trained(tmp_path, rows=rows, target="y", names=["x", "y"])
    result = microframe("predict", "model.h5", "-", "--json", stdin="x,y\n1,nothing\n5,nothing\n")
    assert result.json == [{"y": name} for name in names]


def test_a_table_does_not_round_class_names(microframe, tmp_path, table):
    trained(tmp_path, rows=[(1, 0.25), (5, 123456.5)] * 2, target="y", names=["x", "y"])
    shown = table(microframe("predict", "model.h5", "-", stdin="x\n1\n5\n").stdout)
    assert shown[1:] == [["1", "0.25"], ["2", "123456.5"]]


def test_names_that_stdout_cannot_encode_do_no_harm(microframe, tmp_path):
    trained(tmp_path, rows=[(1, "Łl"), (5, "x")] * 2, target="y", names=["x", "y"])
    result = microframe("predict", "model.h5", "-", stdin="x\n1\n", PYTHONIOENCODING="latin-1")
    assert result.code == 0
    assert "?l" in result.stdout


def test_several_targets_are_columns_of_numbers(microframe, tmp_path, table):
    rows = [(x, 2 * x, 1 - x) for x in (-1.0, 0.0, 1.0, 2.0)]
    model = trained(tmp_path, rows=rows, target=("b", "c"), names=["a", "b", "c"], loss="mean_squared_error")
    result = microframe("predict", "model.h5", "-", stdin="a,c,b\n1,,\n2,,\n")
    head, *shown = table(result.stdout)
    assert head == ["row", "b", "c"]
    expected = model.predict(np.array([[1.0], [2.0]]))
    assert shown == [[str(row), *(f"{value:.4g}" for value in values)] for row, values in enumerate(expected, 1)]
    assert "gives no probabilities" in microframe("predict", "model.h5", "-", "--proba", stdin="1\n2\n").stderr


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ("length,widht\n1,5\n", "1 column missing: 'width' (did you mean 'widht'?); 1 column unknown"),
        ("length,width,colour\n1,5,2\n", "1 column unknown to the model: 'colour'"),
        ("1\n2\n", "expected 2 columns (or 3, with the target), received 1"),
        ("1,5\n3,tall\n", "line 2, column 1 (from 0): expected a number, received 'tall'"),
        ("length,width\n1,\n", "line 2, column 'width': expected a number, received an empty cell"),
        ("length,width\n1,5\n3\n", "line 3: expected 2 cells as above, received 1"),
        ("length,width\n", "there is no row below the header"),
        ("", "the file is empty"),
    ],
)
def test_samples_that_do_not_fit_are_a_data_error_that_says_where(samples, message, refused, leaves):
    assert f"error: <stdin>: {message}" in refused(4, "predict", leaves / "leaves.h5", "-", stdin=samples)


def test_a_samples_file_is_named_when_it_is_wrong(refused, leaves, tmp_path):
    (tmp_path / "samples.csv").write_bytes(b"length,width\n1,\xff\n")
    message = refused(4, "predict", leaves / "leaves.h5", "samples.csv")
    assert message == "error: samples.csv: line 2: expected text in UTF-8, received the byte 0xff\n"
    assert "none.csv: there is no such file" in refused(4, "predict", leaves / "leaves.h5", "none.csv")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "NOT_HDF5"), (b"layers = []", "NOT_HDF5"), (b"\x89HDF\r\n\x1a\n" + bytes(600), "SUPERBLOCK")],
    ids=["empty", "of another kind", "damaged"],
)
def test_a_file_that_is_no_model_has_an_exit_code_of_its_own_and_a_word_for_the_reason(
    content, code, refused, tmp_path
):
    (tmp_path / "model.h5").write_bytes(content)
    error = refused(6, "predict", "model.h5", "-", stdin=FEATURES)
    assert error.startswith("error: model.h5: ")
    assert error.endswith(f" [E_{code}]\n")


@pytest.mark.parametrize("ending", [".npz", ".h5"])
def test_a_target_may_have_any_name(ending, microframe, tmp_path):
    trained(
        tmp_path,
        rows=[(1, 2), (2, 4), (3, 6)],
        target="file/x",
        loss="mean_squared_error",
        names=["a", "file/x"],
        units=1,
    )
    name = f"predictions{ending}"
    assert microframe("predict", "model.h5", "-", "-o", name, stdin="a\n1\n").code == 0
    path = tmp_path / name
    with np.load(path) if ending == ".npz" else h5py.File(path) as file:
        assert len(file[{".npz": "file/x", ".h5": "file_x"}[ending]]) == 1


def test_a_table_is_as_wide_as_its_cells_on_a_narrow_terminal_too(microframe, digits, models):
    table = microframe("predict", digits, models / "digits-samples.csv", "--proba", COLUMNS="80").stdout
    head, rule, *rows = table.splitlines()
    assert head.split() == ["row", "digit", *(f"probability_{number}" for number in range(10))]
    assert (len(rule), set(rule)) == (len(head), {"-"})
    assert [row.split()[0] for row in rows] == [str(number) for number in range(1, 11)]
    assert {len(row) for row in rows} == {len(head)}


def test_a_reader_of_the_table_who_has_had_enough_sees_no_traceback(leaves):
    command = [sys.executable, "-m", "microframe", "predict", leaves / "leaves.h5", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(b"length,width\n" + b"1,5\n" * 50_000)
        process.stdin.close()
        assert process.stdout.readline().split() == [b"row", b"tree"]
        process.stdout.close()
        assert process.stderr.read() == b""
