from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import LSTM

import microframe


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def states(x, weights, gate=sigmoid, squash=np.tanh):
    """Every output of every sequence, one step after another, each gate by itself."""
    units = weights["recurrent_kernel"].shape[0]
    column = {name: slice(index * units, (index + 1) * units) for index, name in enumerate("ifgo")}
    bias = weights.get("bias", np.zeros(4 * units))
    result = np.zeros((*x.shape[:2], units))
    for row in range(len(x)):
        h = c = np.zeros(units)
        for step in range(x.shape[1]):
            z = {
                name: x[row, step] @ weights["kernel"][:, of] + h @ weights["recurrent_kernel"][:, of] + bias[of]
                for name, of in column.items()
            }
            c = gate(z["f"]) * c + gate(z["i"]) * squash(z["g"])
            h = gate(z["o"]) * squash(c)
            result[row, step] = h
    return result


def hard_sigmoid(z):
    return np.clip(z / 6 + 0.5, 0, 1)


@pytest.mark.parametrize("use_bias", [True, False])
def test_each_state_follows_from_the_one_before(built, x, use_bias):
    model = built(LSTM(4, use_bias=use_bias, return_sequences=True))
    np.testing.assert_allclose(model(x), states(x, model.weights["lstm_1"]), rtol=1e-12)


def test_both_activations_may_be_others(built, x):
    model = built(LSTM(4, "softsign", recurrent_activation="hard_sigmoid", return_sequences=True))
    expected = states(x, model.weights["lstm_1"], hard_sigmoid, lambda z: z / (1 + np.abs(z)))
    np.testing.assert_allclose(model(x), expected, rtol=1e-12)


def test_it_is_the_lstm_of_pytorch(built, x):
    torch = pytest.importorskip("torch")
    model = built(LSTM(4, return_sequences=True))
    weights = {name: torch.tensor(array) for name, array in model.weights["lstm_1"].items()}
    other = torch.nn.LSTM(3, 4, batch_first=True, dtype=torch.float64)
    other.load_state_dict(
        {
            "weight_ih_l0": weights["kernel"].T,
            "weight_hh_l0": weights["recurrent_kernel"].T,
            "bias_ih_l0": weights["bias"],
            "bias_hh_l0": torch.zeros_like(weights["bias"]),
        }
    )
    np.testing.assert_allclose(model(x), other(torch.tensor(x))[0].detach().numpy(), rtol=1e-9)


def first_bias(**fields):
    return microframe.Model([LSTM(2, **fields)]).build((5, 3)).weights["lstm_1"]["bias"]


def test_the_forget_gate_begins_open():
    np.testing.assert_array_equal(first_bias(), [0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(first_bias(bias_initializer="ones"), np.ones(8))


def test_the_bias_begins_as_its_initializer_says_where_that_is_wanted():
    np.testing.assert_array_equal(first_bias(unit_forget_bias=False), np.zeros(8))
    initializer = {"type": "constant", "value": [1, 2, 3, 4, 5, 6, 7, 8]}
    bias = first_bias(bias_initializer=initializer, unit_forget_bias=False)
    np.testing.assert_array_equal(bias, np.arange(1, 9))


def test_a_memory_behind_a_closed_input_gate_and_an_open_forget_gate_stays(built):
    model = built(LSTM(1, return_sequences=True), shape=(50, 1))
    weights = model.weights["lstm_1"]
    weights["kernel"][...] = [[100, 0, 100, 0]]  # x opens the input gate and says what is written
    weights["recurrent_kernel"][...] = 0
    weights["bias"][...] = [-50, 50, 0, 50]
    x = np.zeros((1, 50, 1))
    x[0, 0] = 1
    np.testing.assert_allclose(model(x)[0, :, 0], np.tanh(1), rtol=1e-9)
