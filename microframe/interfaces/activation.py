"""The activation interface: an elementwise (or last-axis) function and its derivative."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from microframe.arrays import Array
from microframe.component import Component

if TYPE_CHECKING:
    from microframe.interfaces.layer import Context


class Activation(Component):
    """A function from arrays to arrays of the same shape, with the gradient that goes with it."""

    kind = "activation"
    needs_input: ClassVar[bool] = False
    """Whether backward reads `x`. When False it sees None there, and forward runs in place."""
    gradient_is_exact: ClassVar[bool] = True
    """Whether backward gives the gradient of forward. False for an activation that gives another one on purpose, such
    as a straight-through estimator; the conformance checks then don't compare the two."""

    @abstractmethod
    def forward(self, x: Array, out: Array) -> None:
        """Write f(x) into `out`, which has the shape of `x` and may be `x` itself."""

    @abstractmethod
    def backward(self, dy: Array, x: Array | None, y: Array, out: Array) -> None:
        """Write dy * f'(x) into `out`, which may be `dy` itself.

        Args:
            dy: the gradient with respect to the output.
            x: what forward read; None unless `needs_input`.
            y: what forward wrote.
            out: an array of the shape of `dy`.
        """

    def probabilities(self, y: Array) -> Array | None:
        """The probabilities of classes, (samples, ..., classes), in the outputs `y` of a network that ends in
        this; None, the default, where they are none.
        """
        return None

    def apply(self, ctx: Context, x: Array) -> tuple[Array | None, Array]:
        """f(x) for a layer that owns `x`: in place where backward allows it.

        Returns:
            What `pull_back` needs for (x, y): x or None, and the result.
        """
        if not (self.needs_input and ctx.training):
            self.forward(x, x)
            return None, x
        y = ctx.empty(x.shape)
        self.forward(x, y)
        return x, y

    def pull_back(self, ctx: Context, dy: Array, x: Array | None, y: Array) -> Array:
        """The gradient with respect to x, for what `apply` returned; `dy` stays as it is."""
        out = ctx.empty(dy.shape)
        self.backward(dy, x, y, out)
        return out
