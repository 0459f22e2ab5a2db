from __future__ import annotations

import math

import numpy as np
import pytest

from microframe import Callback, Model, ModelFileError, UsageError, load, register
from microframe.checkpoint import copy_memories
from microframe.standard.layers import Dense

X = np.linspace(-1, 1, 8)[:, None]
REMEMBERED: list[dict[str, object]] = []


class Remember(Callback):
    """Remembers what a test gives it, and tells what it remembers at the beginning."""

    late: bool = False

    def training_begin(self, run, memory):
        REMEMBERED.append(dict(memory))
        if not self.late:
            memory.update(GIVEN)

    def epoch_end(self, run, memory):
        memory.update(GIVEN)


register(Remember)
GIVEN: dict[str, object] = {}


@pytest.fixture(autouse=True)
def _forget():
    GIVEN.clear()
    REMEMBERED.clear()


def fit(model: Model | None = None, **settings) -> Model:
    model = model or Model([Dense(1)])
    given = {"loss": "mean_squared_error", "epochs": 1, "callbacks": [Remember()]}
    model.fit(X, X, **given | settings)
    return model


def remembered(folder, **given) -> dict[str, object]:
    """What the callback remembers of `given` after it was saved and loaded."""
    GIVEN.update(given)
    fit().save(folder / "model.h5")
    fit(load(folder / "model.h5"), epochs=2, resume=True)
    return REMEMBERED[-1]


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, np.float64("nan"), np.float32("inf"), 1e308])
def test_every_float_that_a_callback_remembers_survives(tmp_path, number):
    memory = remembered(tmp_path, best=number, inside={"list": [1, (number, "text")]})
    np.testing.assert_equal(memory, {"best": float(number), "inside": {"list": [1, [float(number), "text"]]}})
    assert type(memory["best"]) is float


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [
        (np.int64(3), 3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float16(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
    ],
)
def test_numpy_scalars_come_back_as_plain_values(tmp_path, scalar, plain):
    memory = remembered(tmp_path, best=scalar, inside=[scalar])
    assert memory == {"best": plain, "inside": [plain]}
    assert type(memory["best"]) is type(memory["inside"][0]) is type(plain)


DTYPES = ["bool", "int8", "int32", "int64", "uint8", "uint16", "uint64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_that_a_callback_remembers_or_records_come_back_with_their_dtype(tmp_path, dtype):
    array = np.array([[0, 1, 1]]).astype(dtype)
    model = fit()
    model.records["mine"] = array
    model.save(tmp_path / "recorded.h5")
    recorded = load(tmp_path / "recorded.h5").records["mine"]
    for again in (recorded, remembered(tmp_path, mask=array)["mask"]):
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, r"memory\['odd'\]: expected a number, .*received \{1, 2\}"),
        (1j, r"memory\['odd'\]: expected a number, .*received 1j"),
        (np.complex64(1j), r"memory\['odd'\]: expected a number, .*received 1j"),
        (np.datetime64("2020-01-01"), r"memory\['odd'\]: expected a number"),
        (len, r"memory\['odd'\]: expected a number, .*received <built-in function len>"),
        ([1, {"a": b"bytes"}], r"memory\['odd'\]\[1\]\['a'\]: expected a number"),
        ({"a": np.zeros(2)}, r"memory\['odd'\]\['a'\]: expected a number.*arrays stand in the memory itself"),
        ({1: 2}, r"memory\['odd'\]: expected names other than '\$float' as keys, received 1"),
        ({"$float": "inf"}, r"memory\['odd'\]: expected names .* received '\$float'"),
        (np.array([None]), r"memory\['odd'\]: expected an array of .*received one of object"),
        (np.array(["text"]), r"memory\['odd'\]: expected an array of .*received one of str"),
        (np.array([1j]), r"memory\['odd'\]: expected an array of .*received one of complex128"),
    ],
)
def test_what_no_file_holds_is_refused_before_the_first_epoch_with_the_callback_and_the_key(value, message):
    GIVEN["odd"] = value
    with pytest.raises(UsageError, match=r"^training\.callbacks\[1\]: " + message):
        fit(callbacks=[{"type": "time_limit", "seconds": 60}, Remember()], listeners=[FailInBatch()])


class FailInBatch(Callback):
    """Fails when a batch was trained on."""

    def batch_end(self, run, memory):
        pytest.fail("a batch was trained on")


def test_what_is_remembered_only_later_is_refused_then():
    GIVEN["odd"] = {1}
    with pytest.raises(UsageError, match=r"^training\.callbacks\[0\]: memory\['odd'\]: "):
        fit(callbacks=[Remember(late=True)], epochs=9)


@pytest.mark.parametrize("record", [np.array([None]), np.array(["text"]), [1.0]])
def test_a_record_that_no_file_holds_is_refused_by_its_name(tmp_path, record):
    model = fit()
    model.records["odd"] = record
    with pytest.raises(UsageError, match=r"^records\['odd'\]: expected an array of "):
        model.save(tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


def test_an_array_under_the_name_of_something_else_is_refused(tmp_path):
    model = fit()
    model.checkpoint.progress["memories"][0]["best"] = 1.0
    model.checkpoint.arrays["callbacks/0/best"] = np.ones(1)
    model.save(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match="/callbacks/0/best: an array that no callback remembers, or ") as error:
        load(tmp_path / "model.h5")
    assert error.value.code == "E_TENSORS"


def test_a_copy_does_not_change_with_the_memory():
    memory = {"list": [1, [2]], "array": np.zeros(2)}
    plain, arrays = copy_memories([memory])
    memory["list"][1][0] = 5
    memory["array"][0] = 5
    assert plain == [{"list": [1, [2]]}]
    assert arrays["callbacks/0/array"].tolist() == [0, 0]
