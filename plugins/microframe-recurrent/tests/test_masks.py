"""What a layer with a mask makes of padding that holds no numbers, as a layer below may leave it."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from microframe_recurrent import GRU, LSTM, Bidirectional, Masking, MultiHeadAttention, SequenceAverage, SimpleRNN

import microframe
from microframe.standard.layers import Dense, Flatten


class Spoilt(microframe.Layer):
    """What it reads, with `value` in the place of padding."""

    value: Literal["nan", "inf", "0"]

    def build(self, scope, input_shape, mask_shape):
        return input_shape

    def forward(self, ctx, x, mask):
        ctx.save(mask)
        return np.where(mask[..., None] > 0, x, float(self.value))

    def backward(self, ctx, dy):
        (mask,) = ctx.saved
        return dy * mask[..., None], None  # so that what isn't finite at a padded step is seen below


LAYERS = {
    "simple_rnn": SimpleRNN(3, return_sequences=True),
    "simple_rnn, last": SimpleRNN(3, go_backwards=True),
    "lstm": LSTM(3, return_sequences=True),
    "lstm, last": LSTM(3),
    "gru": GRU(3, return_sequences=True),
    "gru, reset before": GRU(3, reset_after=False),
    "bidirectional": Bidirectional(LSTM(3)),
    "sequence_average": SequenceAverage(),
    "multi_head_attention": MultiHeadAttention(2),
    "multi_head_attention, causal": MultiHeadAttention(2, causal=True),
}


def trained(layer, value, padded):
    """A model whose layer finds `value` in the place of padding, trained for a few steps."""
    network = [
        Masking(name="mask"),
        Dense(4, name="seen", inputs=("input",)),
        Spoilt(value, name="spoilt", inputs=("seen", "mask")),
        dataclasses.replace(layer, name="layer", inputs=("spoilt", "mask")),
    ]
    if isinstance(layer, MultiHeadAttention):
        network.append(SequenceAverage(inputs=("layer", "mask")))  # its outputs at padded steps mean nothing
    model = microframe.Model([*network, Flatten(), Dense(1)], dtype="float64")
    model.fit(padded, padded[:, 0, 0], loss="mean_squared_error", epochs=2, batch_size=3)
    return model


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_padding_that_is_no_number_trains_and_predicts_like_zeros(padded, layer, value):
    zeros, spoilt = trained(layer, "0", padded), trained(layer, value, padded)
    assert np.isfinite(zeros.network.parameters).all()
    np.testing.assert_array_equal(spoilt.network.parameters, zeros.network.parameters)
    np.testing.assert_array_equal(spoilt(padded), zeros(padded))
