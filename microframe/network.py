"""The network: a graph of layers over one flat vector of parameters.

All trainable parameters lie in one contiguous vector and their gradients in another; layers see views. An optimizer
step, a global norm and a checkpoint are therefore one operation each.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import math
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from microframe.arrays import Array, Generator, Shape, check_shape, zeros_aligned
from microframe.contexts import InferenceContext, nested_name
from microframe.errors import ConfigError, Problem, expectation
from microframe.graph import Node, connect
from microframe.interfaces import Activation, FittedLayer, Initializer, Layer
from microframe.interfaces.optimizer import ParameterSlice
from microframe.values import describe_name, describe_value

Views = dict[str, dict[str, Array]]
"""Arrays by layer name and array name."""
Description = tuple[Shape, np.dtype[Any]]
"""The shape and the dtype of an array."""
Choose = Callable[[Mapping[str, Description]], Mapping[str, Array] | None]
_LONGEST_NAME = 200
"""Characters of an array's name, which is one in a file as well."""
_OWNING = threading.RLock()
"""Held while a network whose arrays were given makes its own: several threads may be the first to need them."""


class Declarations:
    """The `Scope` that records what one layer declares."""

    def __init__(self) -> None:
        self.parameters: dict[str, tuple[Shape, Initializer, bool]] = {}
        self.states: dict[str, tuple[Shape, float, np.dtype[Any] | None]] = {}

    def parameter(self, name: str, shape: Shape, initializer: Initializer, *, decay: bool = True) -> None:
        self._claim(name, shape)
        self.parameters[name] = (tuple(shape), initializer, decay)

    def state(self, name: str, shape: Shape, fill: float = 0.0, dtype: str | None = None) -> None:
        self._claim(name, shape)
        self.states[name] = (tuple(shape), fill, None if dtype is None else np.dtype(dtype))

    def nested(self, name: str) -> NestedDeclarations:
        return NestedDeclarations(self, name)

    def new_state(self, dtype: np.dtype[Any]) -> dict[str, Array]:
        """The arrays of state as they are at first, by name; of `dtype` where they were declared with none."""
        return {name: np.full(shape, fill, own or dtype) for name, (shape, fill, own) in self.states.items()}

    def _claim(self, name: str, shape: Shape) -> None:
        check_shape(shape)
        if not (name.isascii() and name.isidentifier()) or len(name) > _LONGEST_NAME:
            raise ValueError(f"a plain word of ASCII as the name of an array, not {describe_name(name)}")
        if name in self.parameters or name in self.states:
            raise ValueError(f"each array to be declared once, not {name!r} twice")


class NestedDeclarations:
    """The `Scope` of a layer inside another one, which records what both declare."""

    def __init__(self, outer: Declarations | NestedDeclarations, name: str) -> None:
        self._outer = outer
        self._name = name

    def parameter(self, name: str, shape: Shape, initializer: Initializer, *, decay: bool = True) -> None:
        self._outer.parameter(nested_name(self._name, name), shape, initializer, decay=decay)

    def state(self, name: str, shape: Shape, fill: float = 0.0, dtype: str | None = None) -> None:
        self._outer.state(nested_name(self._name, name), shape, fill, dtype)

    def nested(self, name: str) -> NestedDeclarations:
        return NestedDeclarations(self, name)


class Network:
    """Layers, connected and built for one input shape.

    Args:
        layers: in order; see `microframe.graph.connect`.
        input_shape: the shape of one input sample.
        dtype: of parameters and computation, ``"float32"`` or ``"float64"``.
        rng: what initializers draw from; None leaves the parameters zero, to be filled from a file.
        choose: called with the shape and dtype of each array that the network will have, by ``layer/array``, before any
            is made. It may raise, or give arrays to be used in their place, which are taken as they are.

    Attributes:
        nodes: the layers in their places.
        shapes: the shape of one sample of each value: the input, then each node's output.
        input_shape, output_shape: the first and the last of them.
        input_dtype: what inputs are cast to: what every layer that reads them wants, or else the network's dtype.
        layout: where each parameter lies in the flat vectors.
        parameter_count: how many numbers training changes.
        state: the non-trainable arrays, by layer and name.

    Raises:
        ConfigError: the layers do not connect, or one cannot work on its input's shape.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape,
        dtype: str = "float32",
        rng: Generator | None = None,
        choose: Choose = lambda _: None,
    ) -> None:
        problems: list[Problem] = []
        self.nodes = connect(layers, ("layers",), problems)
        if problems:
            raise ConfigError(problems)
        self.dtype = np.dtype(dtype)
        self.shapes, self.declarations = _build(self.nodes, tuple(input_shape))
        self.input_shape, self.output_shape = self.shapes[0], self.shapes[-1]
        self.input_dtype = _input_dtype(self.nodes, self.dtype)
        self.layout = tuple(_lay_out(self.nodes, self.declarations))
        self.parameter_count = self.layout[-1].stop if self.layout else 0
        self._given = choose(self._describe())
        # One array at most in each of the two; lists, so that networks that share arrays share these too.
        self._parameters: list[Array] = []
        self._gradients: list[Array] = []
        self.state: Views = {}
        self._sharing = weakref.WeakSet([self])
        if self._given is None:
            self._own_arrays()
        else:
            for node, declared in zip(self.nodes, self.declarations, strict=True):
                self.state[node.name] = {name: self._given[f"{node.name}/{name}"] for name in declared.states}
            self._bind()
        if rng is not None:
            self._initialize(rng)

    def __getstate__(self) -> dict[str, Any]:
        """What a deep copy or a pickle takes along: everything but what is bound to these very arrays."""
        return {name: value for name, value in vars(self).items() if name not in {"_functions", "_sharing"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._sharing = weakref.WeakSet([self])
        self._bind()

    def __copy__(self) -> Network:
        """A network that shares all arrays with this one, also those that either of them makes later."""
        shared = object.__new__(type(self))
        with _OWNING:
            vars(shared).update(vars(self))
            self._sharing.add(shared)
            shared._bind()
        return shared

    @property
    def parameters(self) -> Array:
        """The flat vector of all trainable parameters; where arrays were given, the network first makes its own."""
        with _OWNING:
            if not self._parameters:
                self._own_arrays()
        return self._parameters[0]

    @parameters.setter
    def parameters(self, values: Array) -> None:
        self.parameters[...] = values

    @property
    def gradients(self) -> Array:
        """The flat vector of gradients, made when it is first needed: inference never does."""
        with _OWNING:
            if not self._gradients:
                self._gradients.append(zeros_aligned(self.parameter_count, self.dtype))
        return self._gradients[0]

    @gradients.setter
    def gradients(self, values: Array) -> None:
        self.gradients[...] = values

    @property
    def weights(self) -> Views:
        """Views of the parameters, by layer and name; where arrays were given, these."""
        given = self._given
        return self._by_layer(lambda piece: given[piece.name]) if given is not None else self.views(self.parameters)

    def views(self, vector: Array) -> Views:
        """Views of a flat vector of the parameters' length, by layer and name."""
        return self._by_layer(lambda piece: vector[piece.start : piece.stop].reshape(piece.shape))

    def _by_layer(self, array: Callable[[ParameterSlice], Array]) -> Views:
        views: Views = {node.name: {} for node in self.nodes}
        for piece in self.layout:
            layer, _, name = piece.name.partition("/")
            views[layer][name] = array(piece)
        return views

    def forward(self, x: Array) -> Array:
        """The output for a batch, in inference: keeps nothing, safe from many threads.

        Args:
            x: (batch, *input_shape), of `input_dtype`.
        """
        if self.is_chain:
            for forward in self._functions:
                x = forward(x)
            return x
        return self._evaluate(x, len(self.nodes))

    def activations(self, x: Array) -> Iterable[tuple[Node, Array]]:
        """Each node with its output for a batch, in inference and in order."""
        values = [x]
        for node, forward in zip(self.nodes, self._functions, strict=True):
            values.append(forward(*[values[source] for source in node.sources]))
            yield node, values[-1]

    def fit_preprocessing(self, batches: Callable[[], Iterable[Array]]) -> None:
        """Fit each `FittedLayer`, in order, on all of ``batches()``: batches of inputs."""
        for node in self.nodes:
            if isinstance(node.layer, FittedLayer):
                values = (self._evaluate(batch, node.sources[0]) for batch in batches())
                node.layer.fit(self.state[node.name], values)

    def split_final_activation(self) -> tuple[Network, Activation | None]:
        """This network up to the logits, sharing all arrays, and the activation that was left out.

        The activation is None, and the network this one, where the last layer does not end in one.
        """
        last = self.nodes[-1]
        activation = last.layer.final_activation
        if activation is None:
            return self, None
        logits = copy.copy(self)
        fields: dict[str, Any] = {"activation": "linear"}
        bare = dataclasses.replace(last.layer, **fields)
        logits.nodes = (*self.nodes[:-1], dataclasses.replace(last, layer=bare))
        logits._bind()
        return logits, activation

    def _describe(self) -> dict[str, Description]:
        described = {piece.name: (piece.shape, self.dtype) for piece in self.layout}
        for node, declared in zip(self.nodes, self.declarations, strict=True):
            for name, (shape, _, dtype) in declared.states.items():
                described[f"{node.name}/{name}"] = (shape, dtype or self.dtype)
        return described

    def _own_arrays(self) -> None:
        """Make arrays that may be written to, with the values of those given, if any were.

        Other threads may be predicting, so nothing is theirs to see before it is whole.
        """
        parameters = zeros_aligned(self.parameter_count, self.dtype)
        state = {
            node.name: declared.new_state(self.dtype)
            for node, declared in zip(self.nodes, self.declarations, strict=True)
        }
        if self._given is not None:
            for views in (self.views(parameters), state):
                for layer, arrays in views.items():
                    for name, array in arrays.items():
                        array[...] = self._given[f"{layer}/{name}"]
        self._parameters.append(parameters)
        self.state.update(state)
        for network in tuple(self._sharing):
            network._given = None
            network._bind()

    def _initialize(self, rng: Generator) -> None:
        problems, weights = [], self.weights
        for index, (node, declared) in enumerate(zip(self.nodes, self.declarations, strict=True)):
            for name, (shape, initializer, _) in declared.parameters.items():
                try:
                    initializer.fill(weights[node.name][name], rng)
                except ValueError as error:
                    place = ("layers", index, f"{name}_initializer")
                    problems.append(Problem(place, expectation(error), f"a parameter of shape {shape}"))
        if problems:
            raise ConfigError(problems)

    def _bind(self) -> None:
        """Make the list of functions that inference calls."""
        weights = self.weights
        empty = partial(np.empty, dtype=self.dtype)
        self._functions = [
            node.layer.inference(InferenceContext(weights[node.name], self.state[node.name], empty))
            for node in self.nodes
        ]
        self.is_chain = all(node.sources == (index,) for index, node in enumerate(self.nodes))
        self._last_use = {source: index for index, node in enumerate(self.nodes) for source in node.sources}

    def _evaluate(self, x: Array, position: int) -> Array:
        """The value at `position` for a batch; values are let go after their last use."""
        values: dict[int, Array] = {0: x}
        for index, (node, forward) in enumerate(zip(self.nodes[:position], self._functions, strict=False)):
            values[index + 1] = forward(*[values[source] for source in node.sources])
            for source in node.sources:
                if self._last_use[source] == index and source != position:
                    values.pop(source, None)
        return values[position]


def _build(nodes: Sequence[Node], input_shape: Shape) -> tuple[list[Shape], list[Declarations]]:
    try:
        check_shape(input_shape)
    except ValueError as error:
        raise ConfigError([Problem(("input_shape",), str(error), describe_value(input_shape))]) from error
    shapes, declarations = [input_shape], []
    for index, node in enumerate(nodes):
        inputs = [shapes[source] for source in node.sources]
        declared = Declarations()
        try:
            _check_count(node.layer, len(inputs))
            shape = tuple(node.layer.build(declared, *inputs))
            check_shape(shape)
        except (ValueError, TypeError) as error:
            received = f"{' and '.join(map(str, inputs))} as the input shape of {node.name!r} ({node.layer.type})"
            raise ConfigError([Problem(("layers", index), expectation(error), received)]) from error
        shapes.append(shape)
        declarations.append(declared)
    return shapes, declarations


def _input_dtype(nodes: Sequence[Node], dtype: np.dtype[Any]) -> np.dtype[Any]:
    wanted = {np.dtype(node.layer.input_dtype or dtype) for node in nodes if 0 in node.sources}
    return wanted.pop() if len(wanted) == 1 else dtype


def _check_count(layer: Layer, count: int) -> None:
    """Raise ValueError unless `layer` takes `count` inputs, as the signature of its build says."""
    parameters = list(inspect.signature(layer.build).parameters.values())[1:]
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return
    least = sum(parameter.default is inspect.Parameter.empty for parameter in parameters)
    if not least <= count <= len(parameters):
        most = len(parameters)
        some = "one input" if most == 1 else f"{most} inputs"
        raise ValueError(some if least == most else f"{least} to {most} inputs")


def _lay_out(nodes: Sequence[Node], declarations: Sequence[Declarations]) -> Iterable[ParameterSlice]:
    start = 0
    for node, declared in zip(nodes, declarations, strict=True):
        for name, (shape, _, decay) in declared.parameters.items():
            stop = start + math.prod(shape)
            yield ParameterSlice(f"{node.name}/{name}", shape, start, stop, decay)
            start = stop


def first_nonfinite(network: Network, x: Array) -> str | None:
    """Where a value that is not finite first turns up: in the batch `x`, in a layer's parameters or in its output."""
    if not np.isfinite(x).all():
        return "the inputs"
    weights = network.weights
    for node, output in network.activations(x):
        for name, array in weights[node.name].items():
            if not np.isfinite(array).all():
                return f"the parameter {name!r} of layer {node.name!r}"
        if not np.isfinite(output).all():
            return f"the output of layer {node.name!r}"
    return None
