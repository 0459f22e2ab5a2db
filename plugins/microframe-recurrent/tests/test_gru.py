from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import GRU

import microframe


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def states(x, weights, *, reset_after):
    """Every state of every sequence, one step after another, each gate by itself."""
    units = weights["recurrent_kernel"].shape[0]
    zeros = np.zeros(3 * units)
    kernels = np.split(weights["kernel"], 3, axis=1)
    recurrent_kernels = np.split(weights["recurrent_kernel"], 3, axis=1)
    biases = np.split(weights.get("bias", zeros), 3)
    recurrent_biases = np.split(weights.get("recurrent_bias", zeros), 3)
    result = np.zeros((*x.shape[:2], units))
    for row in range(len(x)):
        h = np.zeros(units)
        for step in range(x.shape[1]):
            from_x = [x[row, step] @ kernel + bias for kernel, bias in zip(kernels, biases, strict=True)]
            from_h = [h @ kernel + bias for kernel, bias in zip(recurrent_kernels, recurrent_biases, strict=True)]
            update, reset = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
            recurrent = reset * from_h[2] if reset_after else (reset * h) @ recurrent_kernels[2]
            h = update * h + (1 - update) * np.tanh(from_x[2] + recurrent)
            result[row, step] = h
    return result


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("reset_after", [True, False])
def test_each_state_follows_from_the_one_before(built, x, reset_after, use_bias):
    model = built(GRU(4, reset_after=reset_after, use_bias=use_bias, return_sequences=True))
    expected = states(x, model.weights["gru_1"], reset_after=reset_after)
    np.testing.assert_allclose(model(x), expected, rtol=1e-12)


def of_pytorch(array):
    """The columns in the order of PyTorch, where the reset gate comes first; the outputs along the first axis."""
    update, reset, candidate = np.split(array, 3, axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1).T


def test_with_the_reset_after_the_product_it_is_the_gru_of_pytorch(built, x):
    torch = pytest.importorskip("torch")
    model = built(GRU(4, return_sequences=True))
    weights = {name: torch.tensor(of_pytorch(array)) for name, array in model.weights["gru_1"].items()}
    other = torch.nn.GRU(3, 4, batch_first=True, dtype=torch.float64)
    other.load_state_dict(
        {
            "weight_ih_l0": weights["kernel"],
            "weight_hh_l0": weights["recurrent_kernel"],
            "bias_ih_l0": weights["bias"],
            "bias_hh_l0": weights["recurrent_bias"],
        }
    )
    np.testing.assert_allclose(model(x), other(torch.tensor(x))[0].detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, {"kernel", "recurrent_kernel", "bias", "recurrent_bias"}),
        ({"reset_after": False}, {"kernel", "recurrent_kernel", "bias"}),
        ({"use_bias": False}, {"kernel", "recurrent_kernel"}),
    ],
    ids=["default", "reset before", "no bias"],
)
def test_there_are_the_parameters_that_the_kind_needs(fields, names):
    assert microframe.Model([GRU(2, **fields)]).build((5, 3)).weights["gru_1"].keys() == names
