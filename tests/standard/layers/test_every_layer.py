"""What holds for every standard layer of this package, besides what the conformance suite says of every layer."""

from __future__ import annotations

import dataclasses

import pytest

from microframe.errors import ConfigError
from microframe.network import Declarations, Network
from microframe.registry import registry
from microframe.standard.layers import (
    BatchNorm,
    Dense,
    Dropout,
    Flatten,
    LayerNorm,
    MinMax,
    Reshape,
    Standardize,
)
from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*registry.plugins.load_standard("layer"))
def test_a_layer_conforms(check):
    check()


@pytest.mark.parametrize(
    "layer", [Dense(2), Flatten(), Reshape((1,)), Dropout(0.5), BatchNorm(), LayerNorm(), Standardize(), MinMax()]
)
def test_a_layer_of_one_input_rejects_two(layer):
    twice = dataclasses.replace(layer, inputs=("input", "input"))
    with pytest.raises(ConfigError, match="expected one input"):
        Network([twice], (3,))


@pytest.mark.parametrize("layer", [Dense(2), BatchNorm(), LayerNorm(), Standardize(), MinMax()])
def test_a_layer_that_works_on_the_last_axis_needs_one(layer):
    with pytest.raises(ValueError, match="at least one axis beside the batch"):
        layer.build(Declarations(), ())
