"""One training step through a network: forward, and backward through the same graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from microframe.arrays import Array, Generator
from microframe.contexts import TrainingContext
from microframe.network import Network


class TrainingPass:
    """Forward and backward through a network for batches of one shape, in arrays reused from step to step.

    Args:
        network: what to train; its `gradients` are filled.
        rng: for layers that draw noise.
        input_gradient: whether `backward` returns the gradient with respect to the network's input.
    """

    def __init__(self, network: Network, rng: Generator, *, input_gradient: bool = False) -> None:
        weights, gradients = network.weights, network.views(network.gradients)
        # The values that parameters, or the input where its gradient is wanted, have a part in.
        self._differentiable = {0} if input_gradient else set()
        self._forward: list[tuple[Callable[..., Array], TrainingContext, tuple[int, ...]]] = []
        self._backward: list[tuple[Callable[..., Any], TrainingContext, tuple[int, ...], int]] = []
        for index, node in enumerate(network.nodes):
            wanted = not self._differentiable.isdisjoint(node.sources)
            ctx = TrainingContext(
                weights[node.name], gradients[node.name], network.state[node.name], rng, network.dtype, wanted
            )
            self._forward.append((node.layer.forward, ctx, node.sources))
            if wanted or weights[node.name]:
                self._differentiable.add(index + 1)
                self._backward.insert(0, (node.layer.backward, ctx, node.sources, index + 1))
        # A chain needs no lists of values and sources: its loops are apart, as they are what a small step waits for.
        self._is_chain = network.is_chain
        self._forward_chain = [(forward, ctx) for forward, ctx, _ in self._forward]
        self._backward_chain = [(backward, ctx) for backward, ctx, _, _ in self._backward]
        self._dtype = network.dtype
        self._sums: dict[int, Array] = {}

    def forward(self, x: Array) -> Array:
        """The output for a batch, (batch, *input_shape), in training; overwritten by the next call."""
        if not self._is_chain:
            return self._forward_graph(x)
        for forward, ctx in self._forward_chain:
            ctx.used = 0
            x = forward(ctx, x)
        return x

    def backward(self, dy: Array) -> Array | None:
        """Fill the network's gradients from the gradient with respect to the output; gives that of the input."""
        if not self._is_chain:
            return self._backward_graph(dy)
        dx: Array | None = dy
        for backward, ctx in self._backward_chain:
            dx = backward(ctx, dx)
        return dx

    def _forward_graph(self, x: Array) -> Array:
        values = [x]
        for forward, ctx, sources in self._forward:
            ctx.used = 0
            values.append(forward(ctx, *[values[source] for source in sources]))
        return values[-1]

    def _backward_graph(self, dy: Array) -> Array | None:
        """As `backward`; a value that several layers read gets the sum of their gradients."""
        gradients: dict[int, Array] = {len(self._forward): dy}
        for backward, ctx, sources, position in self._backward:
            upstream = gradients.pop(position, None)
            if upstream is None:  # whoever reads this value follows it in steps alone, as a mask does
                for gradient in ctx.gradients.values():
                    gradient.fill(0)
                continue
            result = backward(ctx, upstream)
            results = result if isinstance(result, tuple) else (result,)
            for source, dx in zip(sources, results, strict=True):
                if source in self._differentiable and dx is not None:
                    gradients[source] = self._add(source, gradients[source], dx) if source in gradients else dx
        return gradients.get(0)

    def _add(self, source: int, a: Array, b: Array) -> Array:
        total = self._sums.get(source)
        if total is None or total.shape != a.shape:
            total = self._sums[source] = np.empty(a.shape, self._dtype)
        return np.add(a, b, out=total)
