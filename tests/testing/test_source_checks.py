"""What the conformance suite asks of sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from microframe import DataError, Dataset, Example, Source
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks

STANDARD = [registry.get("source", name) for name in registry.standard_names("source")]


@parametrize_with_checks(*STANDARD)
def test_every_standard_source_conforms(check):
    check()


class Squares(Source):
    """x and its square."""

    def load(self):
        x = np.arange(12.0).reshape(6, 2)
        return Dataset(x, (x**2).sum(axis=1), ("a", "b"), ("squares",))


class Bytes(Source):
    """A file whose bytes are the inputs, and another whose bytes are the classes."""

    inputs: str = "in/x.bin"
    target: str = "y.bin"

    def load(self):
        x, y = (np.frombuffer(self.read(path), np.uint8) for path in (self.inputs, self.target))
        return Dataset(x[:, None], y)

    def read(self, path):
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error

    @classmethod
    def examples(cls):
        return [Example(cls(), files={"in/x.bin": b"abcd", "y.bin": b"abab"})]


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def giving(**changes):
    """A source like the right one, whose dataset has changes."""

    class Changed(Squares):
        def load(self):
            data = super().load()
            return Dataset(**{name: changes.get(name, getattr(data, name)) for name in vars(data)})

    return Changed


@pytest.mark.parametrize("source", [Squares, Bytes])
def test_right_sources_fail_nothing(source):
    assert failed(source) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"target": None, "target_names": None},
        {"target": np.array(["a", "b"] * 3)},
        {"target": np.array(["a", "b"] * 3, object)},
        {"target": np.arange(6) % 3},
        {"target": np.zeros((6, 2)), "target_names": ("a", "b")},
        {"inputs": np.zeros((6, 2, 3)), "feature_names": None},
        {"inputs": np.zeros((6, 2), np.uint8)},
        {"inputs": np.where(np.eye(6, 2), 1, np.nan), "target": None, "target_names": None},
    ],
    ids=["no target", "text", "objects", "classes", "two targets", "images", "bytes", "gaps without a target"],
)
def test_datasets_of_many_kinds_are_right(changes):
    assert failed(giving(**changes, missing="mean")) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": [[1.0, 2.0]] * 6}, "expected inputs with shape, received list"),
        ({"inputs": np.zeros((0, 2)), "target": np.zeros(0)}, "at least one row, received shape (0, 2)"),
        ({"inputs": np.float64(1)}, "at least one row, received shape ()"),
        ({"target": [1.0] * 6}, "an array of targets, received list"),
        ({"target": np.zeros(5)}, "6 targets, one a row, received shape (5,)"),
        ({"target": np.float64(0)}, "an array of targets"),
        ({"feature_names": ("a",)}, "2 feature_names, one a column, received 1"),
        ({"feature_names": ("a", "a")}, "feature_names that differ from each other"),
        ({"feature_names": ["a", "b"]}, "feature_names to be a tuple of strings"),
        ({"feature_names": (1, 2)}, "feature_names to be a tuple of strings"),
        ({"target_names": ("a", "b")}, "1 target_names, one a column, received 2"),
        ({"target": None}, "no target_names, one a column, received 1"),
        ({"missing": "zero"}, "missing to be 'error' or 'mean'"),
    ],
)
def test_datasets_that_are_not_as_they_should_be(changes, message):
    assert message in failed(giving(**changes))["dataset"]


def test_what_is_no_dataset():
    class Pair(Squares):
        def load(self):
            return np.zeros((3, 1)), np.zeros(3)

    assert "expected load to return a microframe.Dataset, received tuple" in failed(Pair)["dataset"]


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.complex128, object, "U3"])
def test_inputs_that_no_network_takes(dtype):
    inputs = np.ones((6, 2)).astype(dtype)
    assert "expected inputs of integers, float32 or float64, received " in failed(giving(inputs=inputs))["dtype"]


def test_a_file_that_is_not_needed_after_all():
    class Lenient(Bytes):
        def read(self, path):
            return Path(path).read_bytes() if Path(path).exists() else b"abcd"

    expected = "expected a DataError when 'in/x.bin', 'y.bin' are not there, but it was loaded without"
    assert expected in failed(Lenient)["missing_file"]


def test_one_of_several_files_may_be_done_without():
    class OneOrBoth(Bytes):
        def read(self, path):
            return super().read(path if Path(path).exists() else self.target)

    assert failed(OneOrBoth) == {}


def test_where_one_of_several_files_is_needed_the_error_is_a_data_error():
    class Careless(Bytes):
        def read(self, path):
            return super().read(path) if path == self.inputs else Path(path).read_bytes()

    reason = failed(Careless)["missing_file"]
    assert "expected a DataError when there is no 'y.bin', received FileNotFoundError" in reason


def test_an_error_may_name_the_folder():
    class Folder(Bytes):
        def read(self, path):
            if path == self.inputs and not list(Path("in").iterdir()):
                raise DataError("in: expected files")
            return super().read(path)

    assert failed(Folder) == {}


def test_an_error_must_name_the_file():
    class Vague(Bytes):
        def read(self, path):
            try:
                return super().read(path)
            except DataError:
                raise DataError("a file is missing") from None

    assert "names 'in/x.bin', 'y.bin', received: a file is missing" in failed(Vague)["missing_file"]


def test_targets_that_cannot_be_learnt():
    changed = giving(target=np.array([1.0, 2.0, np.nan, np.inf, 0.0, 0.0], complex))
    assert "trainable" in failed(changed)


def test_other_rows_each_time():
    drawn = iter(range(100))

    class Counting(Squares):
        def load(self):
            return Dataset(np.full((6, 2), float(next(drawn))))

    assert "the same inputs when they are loaded again" in failed(Counting)["deterministic"]
