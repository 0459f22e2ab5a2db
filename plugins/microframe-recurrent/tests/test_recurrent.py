"""What holds for every recurrent layer, whatever its cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from microframe_recurrent import GRU, LSTM, Masking, SimpleRNN

import microframe
from microframe.testing import assert_layer_gradients

LAYERS = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "gru, reset before": lambda *values, **fields: GRU(*values, reset_after=False, **fields),
}
every_cell = pytest.mark.parametrize("cell", LAYERS.values(), ids=LAYERS)
sequences_or_not = pytest.mark.parametrize("return_sequences", [True, False], ids=["sequences", "last"])
either_way = pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])

MASKED = ("input", "mask")


@every_cell
@pytest.mark.parametrize(
    ("return_sequences", "go_backwards"), [(True, False), (False, True)], ids=["sequences", "last, backwards"]
)
@pytest.mark.parametrize("activation", ["tanh", "silu", "softmax", "linear"])
def test_gradients_are_right_with_every_kind_of_activation(cell, activation, return_sequences, go_backwards, mask):
    layer = cell(3, activation, return_sequences=return_sequences, go_backwards=go_backwards)
    with np.errstate(all="ignore"):
        assert_layer_gradients(layer, (6, 2), mask, batch=5)


@pytest.mark.parametrize("cell", [LSTM, GRU])
@pytest.mark.parametrize("recurrent_activation", ["hard_sigmoid", "silu", "softmax"])
def test_gradients_are_right_with_every_kind_of_gate(cell, recurrent_activation):
    with np.errstate(all="ignore"):
        assert_layer_gradients(cell(3, recurrent_activation=recurrent_activation), (5, 2))


@every_cell
def test_kernels_begin_as_in_keras(cell):
    weights = microframe.Model([cell(8)]).build((5, 4)).weights.popitem()[1]
    limit = np.sqrt(6 / (4 + weights["kernel"].shape[1]))
    assert 0.8 * limit < np.abs(weights["kernel"]).max() <= limit
    u = weights["recurrent_kernel"]
    np.testing.assert_allclose(u @ u.T, np.eye(8), atol=1e-5)


@every_cell
def test_weight_decay_leaves_biases_alone(cell):
    decays = {piece.name.partition("/")[2]: piece.decay for piece in built_network(cell(2)).layout}
    assert {name for name, decay in decays.items() if decay} == {"kernel", "recurrent_kernel"}


def built_network(layer):
    return microframe.Model([layer]).build((5, 3)).network


@every_cell
@sequences_or_not
@either_way
def test_a_padded_sequence_gives_what_it_gives_without_its_padding(
    built, padded, lengths, cell, return_sequences, go_backwards
):
    fields = {"return_sequences": return_sequences, "go_backwards": go_backwards}
    together = built(Masking(name="mask"), cell(4, inputs=MASKED, **fields))(padded)
    alone = built(cell(4, **fields))
    for row, length in enumerate(lengths):
        expected = built_for(alone, padded[row : row + 1, :length], fields, cell) if length else 0
        received = together[row, :length] if return_sequences else together[row]
        np.testing.assert_allclose(received, expected, rtol=1e-12, atol=1e-15)


def built_for(model, x, fields, cell):
    """The output for one sequence of another length, with the weights of `model`."""
    other = microframe.Model([cell(4, **fields)], dtype="float64").build(x.shape[1:])
    for name, array in model.weights.popitem()[1].items():
        other.weights.popitem()[1][name][...] = array
    return other(x)[0]


@every_cell
def test_padding_repeats_the_output_before_it(built, padded, lengths, cell):
    y = built(Masking(name="mask"), cell(4, inputs=MASKED, return_sequences=True))(padded)
    for row, length in enumerate(lengths):
        last = y[row, length - 1] if length else np.zeros(4)
        np.testing.assert_array_equal(y[row, length:], np.broadcast_to(last, (6 - length, 4)))


@every_cell
def test_padding_before_a_sequence_and_within_it_is_skipped_as_well(built, x, cell):
    gaps = x.copy()
    gaps[:, [0, 3]] = 0
    y = built(Masking(name="mask"), cell(4, inputs=MASKED))(gaps)
    short = built_for(built(cell(4)), np.delete(x, [0, 3], axis=1)[1:2], {}, cell)
    np.testing.assert_allclose(y[1], short, rtol=1e-12)


@every_cell
@settings(max_examples=20, deadline=None)
@given(padding=st.floats(-1e4, 1e4, allow_nan=False), seed=st.integers(0, 99))
def test_what_the_padding_holds_makes_no_difference(built, cell, padding, seed):
    rng = np.random.default_rng(seed)
    x, is_real = rng.standard_normal((4, 6, 3)), rng.random((4, 6)) < 0.6
    model = built(Masking(padding, name="mask"), cell(3, inputs=MASKED, return_sequences=True))
    zero = built(Masking(name="mask"), cell(3, inputs=MASKED, return_sequences=True))
    filled, emptied = (np.where(is_real[..., None], x, value) for value in (padding, 0))
    np.testing.assert_array_equal(model(filled), zero(emptied))


@every_cell
@sequences_or_not
def test_backwards_it_reads_the_sequence_from_its_end(built, x, cell, return_sequences):
    forwards = built(cell(4, return_sequences=return_sequences))
    backwards = built(cell(4, return_sequences=return_sequences, go_backwards=True))
    expected = forwards(x[:, ::-1])
    np.testing.assert_array_equal(backwards(x), expected[:, ::-1] if return_sequences else expected)


@every_cell
@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_large_inputs_give_finite_outputs(built, cell, value):
    model = built(cell(4, return_sequences=True), dtype="float32")
    assert np.isfinite(model(np.full((2, 6, 3), value, np.float32))).all()


@every_cell
def test_a_gradient_does_not_flow_through_padding(cell):
    """Two sequences that differ in their padding alone train a model alike."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 6, 3)), rng.standard_normal((8, 2))
    x[:, 4:] = 0
    marked = np.concatenate([x, np.ones((8, 6, 1))], axis=2)
    marked[:, 4:] = 0
    weights = []
    for length in (6, 4):
        model = microframe.Model([Masking(name="mask"), cell(2, inputs=MASKED)], dtype="float64")
        model.fit(marked[:, :length], y, loss="mean_squared_error", epochs=3, batch_size=4)
        weights.append(model.network.parameters)
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-9)


@every_cell
@pytest.mark.parametrize("units", [0, -1, 2.5])
def test_units_must_be_a_positive_whole_number(cell, units):
    with pytest.raises(microframe.ConfigError, match="units: expected a whole number of at least 1"):
        cell(units)
