from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings

import microframe

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@dataclass
class Built:
    """A layer alone in a float64 network, with random parameters, for inputs like `x`."""

    layer: microframe.Layer
    x: np.ndarray
    model: microframe.Model = field(init=False)

    def __post_init__(self):
        self.model = microframe.Model([self.layer], dtype="float64").build(self.x.shape[1:])
        self.parameters = self.model.network.weights[self.model.network.nodes[0].name]
        rng = np.random.default_rng(5)
        for array in self.parameters.values():
            array[...] = rng.standard_normal(array.shape)

    def output(self, **parameters):
        """What the layer makes of `x` in inference, with some parameters replaced."""
        for name, values in parameters.items():
            self.parameters[name][...] = values
        return self.model(self.x)


@pytest.fixture(scope="session")
def built():
    """Builds a layer for a batch of random inputs of a shape, or for inputs that are given."""

    def build(layer, x, batch=2):
        given = isinstance(x, np.ndarray)
        return Built(layer, x if given else np.random.default_rng(4).standard_normal((batch, *x)))

    return build


@pytest.fixture(scope="session")
def refuses():
    """Asserts that a layer cannot be built for inputs of a shape, and says what it expects."""

    def check(layer, input_shape, expected):
        with pytest.raises(microframe.ConfigError, match=expected) as raised:
            microframe.Model([layer]).build(input_shape)
        assert f"received {input_shape}" in str(raised.value)

    return check


class Step:
    """The context that a layer without parameters gets in a training step."""

    training = True
    needs_input_gradient = True
    saved = ()

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)

    def empty(self, shape, dtype=np.float64):
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else -1, dtype)

    def save(self, *values):
        self.saved = values


@pytest.fixture(scope="session")
def in_training():
    """A function that gives what a layer makes of a batch in training, and what it makes of a gradient."""

    def step(layer, x, dy=None, seed=0):
        ctx = Step(seed)
        y = layer.forward(ctx, x)
        return y, layer.backward(ctx, np.ones_like(y) if dy is None else dy)

    return step
