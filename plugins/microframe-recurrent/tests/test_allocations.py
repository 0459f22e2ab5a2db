"""A training step makes no arrays, once those that it works in are there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from microframe_recurrent import (
    GRU,
    LSTM,
    Bidirectional,
    Masking,
    MultiHeadAttention,
    PositionalEncoding,
    SequenceAverage,
    SimpleRNN,
    TimeDistributed,
)

import microframe
from microframe.standard.layers import Dense, Flatten
from microframe.testing import recorded_allocations

ROWS, BATCH, STEPS, FEATURES = 40, 8, 5, 4
SINGLE_NUMBERS = 16
"""Bytes up to which an allocation is a number on its way through a function of NumPy."""

LAYERS = {
    "simple_rnn": SimpleRNN(3, return_sequences=True),
    "simple_rnn, kept input": SimpleRNN(3, "gelu", return_sequences=True),
    "lstm": LSTM(3, return_sequences=True),
    "lstm, last": LSTM(3, go_backwards=True),
    "lstm, scratched": LSTM(3, "leaky_relu", recurrent_activation="silu"),
    "gru": GRU(3, return_sequences=True),
    "gru, no bias": GRU(3, use_bias=False),
    "gru, reset before": GRU(3, reset_after=False, go_backwards=True),
    "bidirectional": Bidirectional(LSTM(3, return_sequences=True)),
    "bidirectional, sum": Bidirectional(GRU(3), "sum"),
    "bidirectional, mean": Bidirectional(GRU(3), "mean"),
    "sequence_average": SequenceAverage(),
    "multi_head_attention": MultiHeadAttention(2),
    "multi_head_attention, causal": MultiHeadAttention(2, causal=True, units=6, use_bias=False),
}
WITHOUT_MASK = {
    "positional_encoding": PositionalEncoding(),
    "time_distributed": TimeDistributed(Dense(3, "relu")),
}


def allocated(*layers):
    """The bytes of each array that the steps of the second of two epochs make, but for its first step."""
    x = np.random.default_rng(0).standard_normal((ROWS, STEPS, FEATURES)).astype(np.float32)
    x[::3, 2:] = 0
    of_steps = []

    class Step(microframe.Callback):
        def batch_end(self, run, memory):
            of_steps.append([size for size in sizes if size > SINGLE_NUMBERS])
            sizes.clear()

    with recorded_allocations() as sizes:
        model = microframe.Model([*layers, Flatten(), Dense(1)])
        settings = {"loss": "mean_squared_error", "batch_size": BATCH, "shuffle": False, "epochs": 2}
        model.fit(x, x[:, 0, 0], listeners=[Step()], **settings)
    return of_steps[ROWS // BATCH + 1 :]


SEEN = Dense(FEATURES, name="seen", inputs=("input",))
"""A layer with parameters, below, for which the gradient of the input is needed."""


@pytest.mark.parametrize("layer", (LAYERS | WITHOUT_MASK).values(), ids=LAYERS | WITHOUT_MASK)
def test_no_layer_makes_an_array_in_a_step(layer):
    steps = allocated(SEEN, layer)
    assert steps == [[]] * (ROWS // BATCH - 1)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_no_layer_makes_an_array_in_a_step_with_a_mask(layer):
    masked = dataclasses.replace(layer, inputs=("seen", "mask"))
    steps = allocated(Masking(name="mask"), SEEN, masked)
    assert steps == [[]] * (ROWS // BATCH - 1)
