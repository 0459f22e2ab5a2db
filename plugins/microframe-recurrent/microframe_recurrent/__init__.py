"""Layers for sequences: recurrent ones, attention, and what a padded batch needs."""

from __future__ import annotations

import microframe
from microframe_recurrent.bidirectional import Bidirectional
from microframe_recurrent.gru import GRU
from microframe_recurrent.lstm import LSTM
from microframe_recurrent.masking import Masking
from microframe_recurrent.multi_head_attention import MultiHeadAttention
from microframe_recurrent.padding import pad_sequences
from microframe_recurrent.positional_encoding import PositionalEncoding
from microframe_recurrent.sequence_average import SequenceAverage
from microframe_recurrent.simple_rnn import SimpleRNN
from microframe_recurrent.time_distributed import TimeDistributed

__all__ = [
    "GRU",
    "LSTM",
    "Bidirectional",
    "Masking",
    "MultiHeadAttention",
    "PositionalEncoding",
    "SequenceAverage",
    "SimpleRNN",
    "TimeDistributed",
    "microframe_components",
    "pad_sequences",
]


@microframe.hookimpl
def microframe_components() -> list[type[microframe.Component]]:
    """The layers of this plugin."""
    return [
        SimpleRNN,
        LSTM,
        GRU,
        Bidirectional,
        TimeDistributed,
        Masking,
        SequenceAverage,
        PositionalEncoding,
        MultiHeadAttention,
    ]
