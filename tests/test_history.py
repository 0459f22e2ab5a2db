from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.history import History, format_value

NUMBERS = st.floats(width=64)
COLUMNS = st.integers(1, 4).flatmap(
    lambda epochs: st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.lists(NUMBERS, min_size=epochs, max_size=epochs)
        | st.integers(1, 3).flatmap(
            lambda classes: st.lists(
                st.lists(NUMBERS, min_size=classes, max_size=classes), min_size=epochs, max_size=epochs
            )
        ),
    )
)


def trained():
    history = History()
    history.append({"loss": np.float32(0.5), "recall": np.array([0.25, 1.0]), "epoch": 1})
    history.append({"loss": math.nan, "recall": np.array([0.5, math.nan]), "epoch": 2})
    return history


def test_a_new_history_is_empty():
    history = History()
    assert (history.epochs, len(history), history.last(), history.to_dict()) == (0, 0, {}, {})
    assert repr(history) == "History(0 epochs)"


def test_each_name_is_an_array_with_a_value_for_each_epoch():
    history = trained()
    assert list(history) == ["loss", "recall", "epoch"]
    assert (history.epochs, len(history)) == (2, 3)
    np.testing.assert_array_equal(history["loss"], [0.5, math.nan])
    np.testing.assert_array_equal(history["recall"], [[0.25, 1], [0.5, math.nan]])
    assert history["loss"].dtype == np.float64


def test_it_is_a_mapping():
    history = trained()
    assert "loss" in history
    assert "validation_loss" not in history
    assert history.get("validation_loss") is None
    with pytest.raises(KeyError):
        history["validation_loss"]


def test_what_it_gives_can_be_changed_without_changing_it():
    history = trained()
    history["epoch"][0] = 9
    history.to_dict()["epoch"][0] = 9
    history.last()["epoch"] = 9
    assert history["epoch"].tolist() == [1, 2]


def test_the_last_epoch_is_given_by_name():
    last = trained().last()
    assert math.isnan(last["loss"])
    assert last["epoch"] == 2
    assert last["recall"][0] == 0.5


def test_the_history_of_one_row():
    assert History.of({"loss": 0.5, "recall": np.array([1.0, 0.0])}).to_dict() == {
        "loss": [0.5],
        "recall": [[1.0, 0.0]],
    }


def test_the_plain_form_is_json_without_numbers_that_json_lacks():
    values = trained().to_dict()
    assert values == {"loss": [0.5, None], "recall": [[0.25, 1.0], [0.5, None]], "epoch": [1.0, 2.0]}
    json.dumps(values, allow_nan=False)


@given(COLUMNS)
def test_every_history_survives_its_plain_form(columns):
    history = History(columns)
    twin = History(json.loads(json.dumps(history.to_dict(), allow_nan=False)))
    assert list(twin) == list(history)
    assert twin.epochs == history.epochs
    assert twin.to_dict() == history.to_dict()
    for name in history:
        expected = np.where(np.isfinite(history[name]), history[name], math.nan)
        np.testing.assert_array_equal(twin[name], expected)


def test_it_shows_its_last_epoch():
    assert repr(trained()) == "History(2 epochs; last: loss=nan, recall=0.5 nan, epoch=2)"


def test_it_is_a_table_in_a_notebook_with_names_escaped():
    history = History({"loss": [0.123456, 1e-9], "<b>": [1.0, 2.0]})
    table = history._repr_html_()
    assert table.count("<tr>") == 3
    assert "<th>&lt;b&gt;</th>" in table
    assert "<tr><td>1</td><td>0.1235</td><td>1</td></tr>" in table
    assert "<tr><td>2</td><td>1e-09</td><td>2</td></tr>" in table


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.5"), (1234.56, "1235"), (1e-9, "1e-09"), (math.nan, "nan"), ([0.5, 1], "0.5 1"), (np.ones(2), "1 1")],
)
def test_numbers_have_as_many_digits_as_a_reader_wants(value, text):
    assert format_value(value) == text
