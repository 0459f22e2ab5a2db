from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import SimpleRNN


def states(x, weights, activation):
    """Every state of every sequence, one number after another."""
    batch, steps, _ = x.shape
    units = weights["recurrent_kernel"].shape[0]
    result = np.zeros((batch, steps, units))
    for row in range(batch):
        h = np.zeros(units)
        for step in range(steps):
            z = x[row, step] @ weights["kernel"] + h @ weights["recurrent_kernel"]
            h = activation(z + weights["bias"] if "bias" in weights else z)
            result[row, step] = h
    return result


ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "silu": lambda z: z / (1 + np.exp(-z))}


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_state_follows_from_the_one_before(built, x, activation, use_bias):
    model = built(SimpleRNN(4, activation, use_bias=use_bias, return_sequences=True))
    expected = states(x, model.weights["simple_rnn_1"], ACTIVATIONS[activation])
    np.testing.assert_allclose(model(x), expected, rtol=1e-12)


def test_the_output_is_the_last_state_unless_all_are_asked_for(built, x):
    every, last = built(SimpleRNN(4, return_sequences=True)), built(SimpleRNN(4))
    np.testing.assert_array_equal(last(x), every(x)[:, -1])


def test_it_is_the_rnn_of_pytorch(built, x):
    torch = pytest.importorskip("torch")
    model = built(SimpleRNN(4, return_sequences=True))
    weights = {name: torch.tensor(array) for name, array in model.weights["simple_rnn_1"].items()}
    other = torch.nn.RNN(3, 4, batch_first=True, dtype=torch.float64)
    other.load_state_dict(
        {
            "weight_ih_l0": weights["kernel"].T,
            "weight_hh_l0": weights["recurrent_kernel"].T,
            "bias_ih_l0": weights["bias"],
            "bias_hh_l0": torch.zeros_like(weights["bias"]),
        }
    )
    np.testing.assert_allclose(model(x), other(torch.tensor(x))[0].detach().numpy(), rtol=1e-9)
