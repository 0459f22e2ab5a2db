"""What every layer that reads a sequence asks of its shape, and of that of a mask."""

from __future__ import annotations

import dataclasses

import pytest
from microframe_recurrent import (
    GRU,
    LSTM,
    Bidirectional,
    MultiHeadAttention,
    PositionalEncoding,
    SequenceAverage,
    SimpleRNN,
)

import microframe

MASKABLE = [SimpleRNN(2), LSTM(2), GRU(2), Bidirectional(LSTM(2)), SequenceAverage(), MultiHeadAttention(1)]
every_layer = pytest.mark.parametrize("layer", [*MASKABLE, PositionalEncoding()], ids=lambda layer: layer.type)


@every_layer
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_an_input_that_is_no_sequence_is_refused(layer, shape):
    with pytest.raises(microframe.ConfigError, match=r"expected an input of shape \(time, features\)"):
        microframe.Model([layer]).build(shape)


@every_layer
@pytest.mark.parametrize("shape", [(0, 2), (3, 0), (0, 0)])
def test_a_sequence_of_nothing_is_refused(layer, shape):
    with pytest.raises(microframe.ConfigError, match="expected a sequence of at least one step and one feature"):
        microframe.Model([layer]).build(shape)


@pytest.mark.parametrize("layer", MASKABLE, ids=lambda layer: layer.type)
def test_a_mask_without_a_number_for_each_step_is_refused(layer):
    with pytest.raises(microframe.ConfigError, match=r"expected a mask of shape \(6,\), a number for each step"):
        microframe.Model([dataclasses.replace(layer, inputs=("input", "input"))]).build((6, 3))
