"""Layers inside layers, and what a layer is handed."""

from __future__ import annotations

import numpy as np
import pytest

from microframe import Example, Layer, Model, Part
from microframe.contexts import Arena
from microframe.errors import ConfigError
from microframe.network import Network
from microframe.registry import registry
from microframe.standard.layers import Dense
from microframe.testing import assert_conforms


class Both(Layer):
    """The sum of two layers' outputs."""

    one: Part[Layer] = Part(Dense(3, "tanh"))
    other: Part[Layer] = Part(Dense(3))

    def build(self, scope, input_shape):
        self.one.build(scope.nested("one"), input_shape)
        return self.other.build(scope.nested("other"), input_shape)

    def forward(self, ctx, x):
        return self.one.forward(ctx.nested("one"), x) + self.other.forward(ctx.nested("other"), x)

    def backward(self, ctx, dy):
        one = self.one.backward(ctx.nested("one"), dy)
        other = self.other.backward(ctx.nested("other"), dy)
        return one + other if ctx.needs_input_gradient else None

    @classmethod
    def examples(cls):
        def reference(parameters, x):
            one = np.tanh(x @ parameters["one_kernel"] + parameters["one_bias"])
            return one + x @ parameters["other_kernel"] + parameters["other_bias"]

        return [Example(cls(), ((4,),), reference=reference)]


class Gate(Layer):
    """x, or x times a second input where there is one."""

    def build(self, scope, input_shape, gate_shape=None):
        return input_shape

    def forward(self, ctx, x, gate=None):
        ctx.save(gate)
        return x.copy() if gate is None else x * gate

    def backward(self, ctx, dy):
        (gate,) = ctx.saved
        return dy if gate is None else (dy * gate, None)


def test_a_layer_around_two_others_conforms():
    assert_conforms(Both)


def test_a_layer_around_a_layer_around_others_conforms():
    assert_conforms(Example(Both(one=Both(), other=Dense(3)), ((4,),)))


def test_the_arrays_of_nested_layers_are_called_by_the_path_to_them():
    network = Network([Both(one=Both(), name="outer")], (4,), "float32")
    assert list(network.weights["outer"]) == [
        "one_one_kernel",
        "one_one_bias",
        "one_other_kernel",
        "one_other_bias",
        "other_kernel",
        "other_bias",
    ]


def test_two_nested_layers_of_one_name_are_refused():
    class Twice(Both):
        def build(self, scope, input_shape):
            self.one.build(scope.nested("same"), input_shape)
            return self.other.build(scope.nested("same"), input_shape)

    with pytest.raises(ConfigError, match="each array to be declared once, not 'same_kernel' twice"):
        Network([Twice()], (4,), "float32")


def test_a_network_with_nested_layers_trains():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4))
    with registry.registered_locally(Both):
        optimizer = {"type": "adam", "learning_rate": 0.02}
        model = Model([Both(), Dense(1)])
        history = model.fit(x, x.sum(axis=1), loss="mean_squared_error", optimizer=optimizer, epochs=20)
    assert history["loss"][-1] < history["loss"][0] / 4


class InSeries(Layer):
    """A layer after another, both inside."""

    def build(self, scope, input_shape):
        middle = Dense(3, "tanh").build(scope.nested("first"), input_shape)
        return Dense(2).build(scope.nested("second"), middle)

    def forward(self, ctx, x):
        return Dense(2).forward(ctx.nested("second"), Dense(3, "tanh").forward(ctx.nested("first"), x))

    def backward(self, ctx, dy):
        between = Dense(2).backward(ctx.nested("second", needs_input_gradient=True), dy)
        return Dense(3, "tanh").backward(ctx.nested("first"), between)


def test_a_layer_inside_may_be_asked_for_a_gradient_that_the_outer_one_does_not_need():
    assert_conforms(InSeries)


def test_an_input_with_a_default_may_be_left_out_or_given():
    one, two = Gate(), Gate(inputs=("input", "input"))
    assert Network([one], (3,), "float32").output_shape == Network([two], (3,), "float32").output_shape == (3,)
    with pytest.raises(ConfigError, match="expected 1 to 2 inputs"):
        Network([Gate(inputs=("input",) * 3)], (3,), "float32")


def test_an_input_without_a_gradient_may_stand_in_for_none():
    gate = np.array([[1.0, 0, 1], [0, 0, 1]])

    class Mask(Gate):
        """x where the second input is above one half."""

        def forward(self, ctx, x, gate=None):
            return super().forward(ctx, x, None if gate is None else (gate > 0.5).astype(x.dtype))

    assert_conforms(Example(Mask(), ((3,), gate)))


def test_an_array_that_comes_back_has_the_dtype_that_is_asked_for():
    arena = Arena(np.dtype("float32"))
    asked = [(None, "float32"), (bool, "bool"), (None, "float32"), ("int64", "int64"), ("int64", "int64")]
    for dtype, expected in asked:
        arena.used = 0
        assert arena.empty((3,), dtype).dtype == expected
