from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import GRU, LSTM, Bidirectional, Masking

import microframe
from microframe.standard.layers import Dense

MERGED = {
    "concatenate": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": np.add,
    "mean": lambda a, b: (a + b) / 2,
}


def one_direction(model, layer, direction):
    """A model of one of the two layers inside, with its weights."""
    other = microframe.Model([layer], dtype="float64").build(model.network.input_shape)
    for name, array in other.weights.popitem()[1].items():
        array[...] = model.weights["bidirectional_1"][f"{direction}_{name}"]
    return other


@pytest.mark.parametrize("merge", MERGED)
@pytest.mark.parametrize("return_sequences", [True, False])
def test_it_merges_the_two_directions(built, x, merge, return_sequences):
    model = built(Bidirectional(LSTM(4, return_sequences=return_sequences), merge))
    forwards = one_direction(model, LSTM(4, return_sequences=return_sequences), "forward")
    backwards = one_direction(model, LSTM(4, return_sequences=return_sequences, go_backwards=True), "backward")
    np.testing.assert_allclose(model(x), MERGED[merge](forwards(x), backwards(x)), rtol=1e-12)


def test_a_layer_that_goes_backwards_already_is_read_in_both_directions_too(built, x):
    usual, turned = built(Bidirectional(GRU(2), "sum")), built(Bidirectional(GRU(2, go_backwards=True), "sum"))
    other = {"forward": "backward", "backward": "forward"}
    for name, array in usual.weights["bidirectional_1"].items():
        direction, _, plain = name.partition("_")
        turned.weights["bidirectional_1"][f"{other[direction]}_{plain}"][...] = array
    np.testing.assert_allclose(turned(x), usual(x), rtol=1e-12)


def test_it_is_the_bidirectional_lstm_of_pytorch(built, x):
    torch = pytest.importorskip("torch")
    model = built(Bidirectional(LSTM(4, return_sequences=True)))
    other = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True, dtype=torch.float64)
    weights = {name: torch.tensor(array) for name, array in model.weights["bidirectional_1"].items()}
    state = {}
    for direction, suffix in (("forward", ""), ("backward", "_reverse")):
        state[f"weight_ih_l0{suffix}"] = weights[f"{direction}_kernel"].T
        state[f"weight_hh_l0{suffix}"] = weights[f"{direction}_recurrent_kernel"].T
        state[f"bias_ih_l0{suffix}"] = weights[f"{direction}_bias"]
        state[f"bias_hh_l0{suffix}"] = torch.zeros(16, dtype=torch.float64)
    other.load_state_dict(state)
    np.testing.assert_allclose(model(x), other(torch.tensor(x))[0].detach().numpy(), rtol=1e-9)


def test_a_padded_sequence_gives_what_it_gives_without_its_padding(built, padded, lengths):
    together = built(Masking(name="mask"), Bidirectional(LSTM(4), inputs=("input", "mask")))(padded)
    for row, length in enumerate(lengths):
        if length:
            alone = built(Bidirectional(LSTM(4)), shape=(length, 3))
            np.testing.assert_allclose(together[row], alone(padded[row : row + 1, :length])[0], rtol=1e-12)


def test_the_two_directions_begin_with_weights_of_their_own():
    weights = microframe.Model([Bidirectional(LSTM(4))]).build((5, 3)).weights["bidirectional_1"]
    assert weights.keys() == {f"{way}_{name}" for way in ("forward", "backward") for name in LSTM_ARRAYS}
    assert not np.array_equal(weights["forward_kernel"], weights["backward_kernel"])


LSTM_ARRAYS = ("kernel", "recurrent_kernel", "bias")


def test_a_layer_that_cannot_go_backwards_is_refused():
    with pytest.raises(microframe.ConfigError, match="expected a layer inside that has the field 'go_backwards'"):
        Bidirectional(Dense(3))


@pytest.mark.parametrize("fields", [{"name": "inner"}, {"inputs": ("input",)}], ids=["name", "inputs"])
def test_a_layer_inside_with_a_name_or_inputs_is_refused(fields):
    with pytest.raises(microframe.ConfigError, match="expected a layer inside without name and inputs"):
        Bidirectional(LSTM(3, **fields))


def test_it_differs_in_training_where_the_layer_inside_does():
    class Noisy(LSTM):
        differs_in_training = True

    assert Bidirectional(Noisy(3)).differs_in_training
    assert not Bidirectional(LSTM(3)).differs_in_training
