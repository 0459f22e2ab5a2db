"""The layer interface: what a node of the network declares, and how it maps forward and backward."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY
from functools import partial
from typing import Any, ClassVar, Protocol

from microframe.arrays import Array, Generator, Shape
from microframe.component import Component
from microframe.interfaces.activation import Activation
from microframe.interfaces.initializer import Initializer


class Scope(Protocol):
    """Where a layer declares its arrays while the network is built."""

    def parameter(self, name: str, shape: Shape, initializer: Initializer, *, decay: bool = True) -> None:
        """Declare a trainable array.

        Args:
            name: what `Context.parameters` and the model file call it; a plain word such as ``"kernel"``.
            shape: its shape.
            initializer: what fills it before training.
            decay: whether weight decay and the l1 and l2 penalties apply; False is usual for biases and scales.
        """

    def state(self, name: str, shape: Shape, fill: float = 0.0, dtype: str | None = None) -> None:
        """Declare an array that is saved with the model but that no optimizer touches.

        Args:
            name: as for `parameter`.
            shape: its shape.
            fill: what every element is at first.
            dtype: ``"float32"``, ``"float64"`` or ``"int64"``; the network's unless given.
        """

    def nested(self, name: str) -> Scope:
        """The scope of a layer inside this one, whose arrays are called ``<name>_<array>``."""


class Context(Protocol):
    """What the network hands a layer for one forward and, in training, one backward pass."""

    @property
    def parameters(self) -> Mapping[str, Array]:
        """The layer's parameters by name."""

    @property
    def gradients(self) -> Mapping[str, Array]:
        """Where backward writes the gradient of each parameter; it overwrites, never adds."""

    @property
    def state(self) -> Mapping[str, Array]:
        """The layer's non-trainable arrays by name; to be written in training only."""

    @property
    def training(self) -> bool:
        """Whether this is a training step."""

    @property
    def rng(self) -> Generator:
        """The generator for layers that draw; to be used in training only."""

    @property
    def saved(self) -> tuple[Any, ...]:
        """What `save` kept."""

    @property
    def needs_input_gradient(self) -> bool:
        """Whether backward's result is used; when not, it may return None."""

    @property
    def empty(self) -> Callable[..., Array]:
        """``empty(shape)`` or ``empty(shape, dtype=...)``: an array with unspecified content.

        The shape is a tuple and includes the batch axis; the dtype is the network's unless given. In training the
        arrays are reused from one step to the next, in inference each is fresh.
        """

    def save(self, *values: Any) -> None:
        """Keep `values` for backward, as `saved`; does nothing in inference."""

    def nested(self, name: str, needs_input_gradient: bool | None = None) -> Context:
        """The context of the layer inside this one that was built with ``scope.nested(name)``; it saves for itself.

        Args:
            name: as for `Scope.nested`.
            needs_input_gradient: whether what its backward returns is used; as for this layer unless given.
        """


class Layer(Component):
    """A node of the network.

    Fields of every layer (keyword only):
        name: how other layers and the model file refer to it; the type and a number unless given.
        inputs: the names of the layers it reads; the layer above it unless given. ``"input"`` is the network's.

    A layer keeps nothing on itself: whatever backward needs goes through the context, so one layer can serve many
    threads and appear in many networks.
    """

    kind = "layer"
    input_dtype: ClassVar[str | None] = None
    """The dtype that the layer wants the network's input in, where it reads that: ``"int64"`` for whole numbers
    (indices), ``"float64"`` for values that must not be rounded to a float32 network's dtype, None for the network's.
    It gets the network's all the same where another layer that reads the input wants another dtype, and below other
    layers."""

    ends_in_activation: ClassVar[bool] = False
    """Whether the last thing that the layer does is to apply its field ``activation``. A loss may then be fused with
    it, for which the layer is used with a linear activation instead."""

    gradient_is_exact: ClassVar[bool] = True
    """Whether backward gives the gradient of forward. False for a layer that gives another one on purpose, such as one
    that reverses it; the conformance checks then don't compare the two."""

    _: KW_ONLY
    name: str | None = None
    inputs: tuple[str, ...] | None = None

    @property
    def differs_in_training(self) -> bool:
        """Whether forward computes something else in training than in inference: it draws noise, or reads other samples
        of the batch. A class whose every instance does says ``differs_in_training = True``."""
        return False

    @property
    def final_activation(self) -> Activation | None:
        """The activation that the layer ends in, if it does."""
        activation: Activation | None = getattr(self, "activation", None) if self.ends_in_activation else None
        return activation

    @abstractmethod
    def build(self, scope: Scope, *input_shapes: Any) -> Shape:
        """Declare the layer's arrays and return the shape of one output sample.

        How many inputs the layer takes is what the signature says; one with a default may be left out.

        Raises:
            ValueError: the input shapes are not ones that the layer can work on; say what is expected.
        """

    @abstractmethod
    def forward(self, ctx: Context, *inputs: Any) -> Array:
        """The output (batch, *output shape) for `inputs`, each (batch, *input shape), which it must not modify."""

    def inference(self, ctx: Context) -> Callable[..., Array]:
        """The forward pass of inference, as a function of the inputs alone.

        A layer may override this where looking things up takes as long as computing with them; the result must be
        that of `forward` to the bit, and the function must be safe to call from many threads.
        """
        return partial(self.forward, ctx)

    @abstractmethod
    def backward(self, ctx: Context, dy: Array) -> Array | tuple[Array | None, ...] | None:
        """Fill `ctx.gradients` and return the gradient with respect to each input.

        Args:
            dy: the gradient with respect to the output, of its shape; must not be modified.

        Returns:
            An array for a layer with one input, a tuple of arrays for one with several. May be None when
            `ctx.needs_input_gradient` is False; None in the tuple stands for an input that the output doesn't follow
            smoothly, such as a mask.
        """


class FittedLayer(Layer):
    """A layer that learns its state from the data before training starts: preprocessing.

    It is fitted on the training part only, in network order, and is saved with the model.
    """

    @abstractmethod
    def fit(self, state: Mapping[str, Array], batches: Iterable[Array]) -> None:
        """Write into `state` what the layer learns from `batches`.

        Args:
            state: the arrays that build declared, by name.
            batches: all rows, each batch (batch, *input shape). They can be gone through only once, and where one ends
                and the next begins must make no difference but for rounding.
        """
