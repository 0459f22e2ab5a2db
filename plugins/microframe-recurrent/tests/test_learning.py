"""Sequences of unequal length are learned from, where a mask tells what is a sequence and what is padding."""

from __future__ import annotations

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
    pad_sequences,
)

import microframe
from microframe.standard.layers import Add, Dense, Embedding

WORDS, LONGEST = 6, 40
MASK, EMBEDDING = Masking(name="mask"), Embedding(WORDS + 1, 16, inputs=("input",), name="words")
MASKED = ("words", "mask")
READERS = {
    "simple_rnn": [SimpleRNN(16, inputs=MASKED)],
    "lstm": [LSTM(16, inputs=MASKED)],
    "gru": [GRU(16, inputs=MASKED)],
    "bidirectional": [Bidirectional(LSTM(8), inputs=MASKED)],
    "attention": [
        PositionalEncoding(inputs=("words",), name="placed"),
        MultiHeadAttention(4, inputs=("placed", "mask"), name="attention"),
        Add(inputs=("placed", "attention"), name="attended"),
        SequenceAverage(inputs=("attended", "mask")),
    ],
}


def sentences(count, seed):
    """Sentences of 2 to 12 of the words 1 to 6, padded to 40, and whether the last word is one of the first three."""
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(1, WORDS + 1, rng.integers(2, 13)) for _ in range(count)]
    return pad_sequences(sequences, length=LONGEST), np.array([sequence[-1] <= WORDS // 2 for sequence in sequences])


def accuracy(*layers):
    model = microframe.Model([*layers, Dense(1, "sigmoid")])
    optimizer = {"type": "adam", "learning_rate": 2e-2}
    model.fit(*sentences(300, 0), loss="binary_cross_entropy", optimizer=optimizer, epochs=12)
    x, y = sentences(200, 1)
    return np.mean(model.predict(x) == y)


@pytest.mark.parametrize("layers", READERS.values(), ids=READERS)
def test_with_a_mask_the_last_word_of_a_sentence_is_found_before_the_padding(layers):
    assert accuracy(MASK, EMBEDDING, *layers) >= 0.97


@pytest.mark.parametrize("cell", [SimpleRNN, LSTM])
def test_without_one_it_is_lost_on_the_way_through_the_padding(cell):
    assert accuracy(EMBEDDING, cell(16)) <= 0.7
