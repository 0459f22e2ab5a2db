from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import LSTM, Masking

import microframe
from microframe.standard.layers import Embedding


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_is_padding_where_all_its_features_have_the_mask_value(built, dtype):
    x = np.array([[[1, 2], [0, 3], [0, 0]], [[0, 0], [0, 0], [5, 0]]], dtype)
    mask = built(Masking(), shape=(3, 2), dtype=dtype)(x)
    np.testing.assert_array_equal(mask, [[1, 1, 0], [0, 0, 1]])
    assert mask.dtype == dtype


def test_whole_numbers_are_padding_where_they_are_the_mask_value(built):
    tokens = np.array([[4, 2, 9, 9], [9, 9, 9, 9]])
    np.testing.assert_array_equal(built(Masking(9), shape=(4,))(tokens), [[1, 1, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mask_value_that_is_no_float32_is_found_all_the_same(built, dtype):
    x = np.full((1, 2, 3), 0.1, dtype)
    np.testing.assert_array_equal(built(Masking(0.1), shape=(2, 3), dtype=dtype)(x), [[0, 0]])


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_an_input_that_is_no_sequence_is_refused(shape):
    with pytest.raises(microframe.ConfigError, match=r"expected an input of shape \(time,\) or \(time, features\)"):
        microframe.Model([Masking()]).build(shape)


def test_tokens_can_be_masked_beside_being_embedded(built):
    layers = [
        Masking(name="mask"),
        Embedding(9, 4, inputs=("input",), name="words"),
        LSTM(3, inputs=("words", "mask")),
    ]
    model = built(*layers, shape=(5,))
    longer = built(*layers, shape=(7,))
    tokens = np.array([[3, 8, 1, 0, 0], [5, 2, 4, 1, 7]])
    np.testing.assert_allclose(longer(np.pad(tokens, ((0, 0), (0, 2)))), model(tokens), rtol=1e-12)


def test_layers_above_a_mask_train(built):
    """A mask of what a layer with parameters gives: its gradient is 0, and theirs comes by the other way."""
    from microframe.standard.layers import Dense

    layers = [Dense(4, "relu", name="seen"), Masking(name="mask"), LSTM(2, inputs=("seen", "mask"))]
    x = np.random.default_rng(0).standard_normal((16, 5, 3))
    model = microframe.Model(layers)
    history = model.fit(x, x[:, -1, :2], loss="mean_squared_error", epochs=5, batch_size=4)
    assert history["loss"][-1] < history["loss"][0]
