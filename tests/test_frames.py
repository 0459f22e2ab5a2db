"""Data frames are known by their columns."""

from __future__ import annotations

import numpy as np
import pytest

from microframe import DataError, Model
from microframe.frames import column_names
from microframe.standard.layers import Dense, Standardize


class Frame:
    """As much of a data frame as is used: named columns, of which a list picks some."""

    def __init__(self, **columns):
        self._columns = columns
        self.columns = list(columns)

    def __getitem__(self, names):
        return Frame(**{name: self._columns[name] for name in names})

    def __array__(self, dtype=None, copy=None):
        return np.column_stack(list(self._columns.values())).astype(dtype)


def frame():
    rng = np.random.default_rng(0)
    return Frame(a=rng.normal(0, 1, 40), b=rng.normal(5, 2, 40))


@pytest.fixture(scope="module")
def model():
    x = frame()
    model = Model([Standardize(), Dense(1)])
    model.fit(x, np.asarray(x)[:, 0] * 2, loss="mean_squared_error", epochs=5)
    return model


def test_the_columns_give_the_features_their_names(model):
    assert model.feature_names == ("a", "b")
    assert column_names(np.zeros((2, 2))) is None


def test_columns_are_taken_in_the_order_of_the_training(model):
    x = frame()
    np.testing.assert_array_equal(model.predict(x[["b", "a"]]), model.predict(x))
    np.testing.assert_array_equal(model.predict(np.asarray(x)), model.predict(x))


def test_a_missing_and_a_surplus_column_are_named(model):
    x = frame()
    with pytest.raises(DataError, match="the data frame lacks column 'b'"):
        model.predict(x[["a"]])
    with pytest.raises(DataError, match="the data frame has an unknown column 'c'"):
        model.predict(Frame(a=np.zeros(2), b=np.zeros(2), c=np.zeros(2)))
