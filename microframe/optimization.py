"""One run's optimizer at work: its slots, its step count, and what all optimizers have in common.

A step takes the vectors block by block, with all of its operations on one block before the next, so that the update
of a large network runs at the speed of the processor's cache and not of the memory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from microframe.arrays import Array, Shape
from microframe.errors import PluginError, UsageError
from microframe.interfaces.optimizer import Optimizer, ParameterSlice

AVERAGE = "average"
"""The slot that holds the moving average of the parameters."""
BLOCK_SIZE = 32768
"""The elements of a block: in float32 an Adam step then works on half a megabyte at a time."""
NEARLY_ZERO = 1e-37
"""x / (|x| + this) is the sign of x, and several times as fast as `np.sign`, which branches."""


class Decayed(NamedTuple):
    """Views of a part of a block that weight decay and penalties apply to."""

    parameters: Array
    gradients: Array
    scratch: Array


class Block:
    """A stretch of the flat vectors, and the `OptimizerContext` that goes with it.

    Attributes:
        parameters, gradients: views of the stretch.
        slots: views of all slots.
        step, learning_rate, layout: as for `OptimizerContext`.
        taken: how many arrays `empty` has given in this step.
        decayed: the parts that weight decay and penalties apply to.
        scratch: an array of the stretch's length for the penalties and the average; empty where there are neither.
    """

    def __init__(
        self,
        parameters: Array,
        gradients: Array,
        slots: Mapping[str, Array],
        layout: Sequence[ParameterSlice],
        decayed: Sequence[Decayed],
        scratch: Array,
        buffers: list[Array],
    ) -> None:
        self.parameters = parameters
        self.gradients = gradients
        self.slots = slots
        self.layout = layout
        self.decayed = decayed
        self.scratch = scratch
        self.step = 0
        self.learning_rate = 0.0
        self.taken = 0
        self._buffers = buffers
        self._arrays: list[Array] = []

    def empty(self, shape: Shape) -> Array:
        """An array with unspecified content, in the dtype of the parameters.

        The n-th call of a step gets what the n-th call of the last step got. All blocks share one memory.
        """
        index = self.taken
        self.taken = index + 1
        if index < len(self._arrays) and self._arrays[index].shape == shape:
            return self._arrays[index]
        size = math.prod(shape)
        if index == len(self._buffers) or self._buffers[index].size < size:
            self._buffers[index : index + 1] = [np.empty(size, self.parameters.dtype)]
        array = self._buffers[index][:size].reshape(shape)
        self._arrays[index : index + 1] = [array]
        return array


class OptimizerState:
    """An optimizer with the vectors it works on.

    Attributes:
        optimizer: the rule.
        slots: its vectors by name, of the length of the parameters; with ``average`` set, that one too.
        step_count: how many steps there were.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        parameters: Array,
        gradients: Array,
        layout: Sequence[ParameterSlice],
        block_size: int = BLOCK_SIZE,
    ) -> None:
        """Allocate the slots.

        Args:
            optimizer: the rule.
            parameters: the flat vector that `step` changes, float32 or float64.
            gradients: the vector of the same shape and dtype that `step` reads, and spoils.
            layout: where each parameter lies in the vectors, in order.
            block_size: how many elements are treated at a time where the rule is elementwise.

        Raises:
            PluginError: a slot of the optimizer itself is called ``average``.
        """
        self.optimizer = optimizer
        self.step_count = 0
        self.slots = {name: np.full_like(parameters, fill) for name, fill in optimizer.slots().items()}
        if AVERAGE in self.slots:
            raise PluginError(f"the optimizer {optimizer.type!r} has a slot {AVERAGE!r}, a name that is taken")
        if optimizer.average is not None:
            self.slots[AVERAGE] = np.zeros_like(parameters)
        self._parameters = parameters
        self._gradients = gradients
        self._learning_rate = optimizer.learning_rate
        self._clip_norm = optimizer.clip_norm
        self._update = optimizer.update
        self._blocks = list(self._split(layout, block_size if optimizer.elementwise else max(parameters.size, 1)))
        self._gradient_changes = [
            functools.partial(change, amount)
            for change, amount in (
                (penalize_l1, optimizer.l1),
                (penalize_l2, optimizer.l2),
                (clip_value, optimizer.clip_value),
            )
            if amount
        ]
        decay = [functools.partial(decay_weights, optimizer.weight_decay)] if optimizer.weight_decay else []
        self._changes = decay if self._clip_norm else [*self._gradient_changes, *decay]
        self._after = [functools.partial(follow, optimizer.average)] if optimizer.average is not None else []

    def step(self, learning_rate_factor: float = 1.0) -> None:
        """Change the parameters by what the gradients say.

        In this order: the l1 and l2 penalties join the gradients; these are clipped by value, then by norm; the
        weights decay; the optimizer updates the parameters; the average follows them.

        Args:
            learning_rate_factor: what the optimizer's learning rate is multiplied by in this step.
        """
        self.step_count = step = self.step_count + 1
        learning_rate = float(self._learning_rate * learning_rate_factor)
        if self._clip_norm:
            self._clip_all(self._clip_norm)
        for block in self._blocks:
            block.step = step
            block.learning_rate = learning_rate
            block.taken = 0
            for change in self._changes:
                change(block)
            self._update(block.parameters, block.gradients, block)
            for change in self._after:
                change(block)

    def prediction_parameters(self) -> Array:
        """The vector that predictions should use, not a copy: the average if there is one, or the parameters."""
        return self.slots[AVERAGE] if AVERAGE in self.slots and self.step_count else self._parameters

    def restore(self, slots: Mapping[str, Array], step_count: int) -> None:
        """Go on from where `slots` and `step_count` of another state were; copies into the own slots.

        Raises:
            UsageError: the names or lengths of the slots are not this optimizer's.
        """
        expected = {name: array.shape for name, array in self.slots.items()}
        received = {name: array.shape for name, array in slots.items()}
        if received != expected:
            raise UsageError(f"expected the optimizer slots {expected}, received {received}")
        for name, array in self.slots.items():
            array[...] = slots[name]
        self.step_count = step_count

    def _split(self, layout: Sequence[ParameterSlice], size: int) -> Iterator[Block]:
        optimizer, length = self.optimizer, self._parameters.size
        needs_scratch = optimizer.l1 or optimizer.l2 or optimizer.average is not None
        scratch = np.empty_like(self._parameters[: size if needs_scratch else 0])
        buffers: list[Array] = []
        for start in range(0, length, size):
            stop = min(start + size, length)
            yield Block(
                self._parameters[start:stop],
                self._gradients[start:stop],
                {name: array[start:stop] for name, array in self.slots.items()},
                () if optimizer.elementwise else layout,
                [
                    Decayed(self._parameters[first:last], self._gradients[first:last], scratch[: last - first])
                    for first, last in _decayed_ranges(layout, start, stop)
                ],
                scratch[: stop - start],
                buffers,
            )

    def _clip_all(self, limit: float) -> None:
        for block in self._blocks:
            for change in self._gradient_changes:
                change(block)
        clip_norm(self._gradients, limit)


def penalize_l1(strength: float, block: Block) -> None:
    """Add the gradient of strength * sum |w|."""
    for parameters, gradients, scratch in block.decayed:
        np.abs(parameters, scratch)
        np.add(scratch, NEARLY_ZERO, scratch)
        np.divide(parameters, scratch, scratch)
        np.multiply(scratch, strength, scratch)
        np.add(gradients, scratch, gradients)


def penalize_l2(strength: float, block: Block) -> None:
    """Add the gradient of strength * sum w^2 / 2."""
    for parameters, gradients, scratch in block.decayed:
        np.multiply(parameters, strength, scratch)
        np.add(gradients, scratch, gradients)


def clip_value(limit: float, block: Block) -> None:
    """Cut every element of the gradient to +-limit."""
    np.clip(block.gradients, -limit, limit, out=block.gradients)


def decay_weights(strength: float, block: Block) -> None:
    """Subtract rate * strength * w.

    This comes ahead of the update, so that what counts is the parameters before it, without a copy of them.
    """
    share = 1.0 - block.learning_rate * strength
    for parameters, _, _ in block.decayed:
        np.multiply(parameters, share, parameters)


def follow(decay: float, block: Block) -> None:
    """Move the average to decay * average + (1 - decay) * w; after the first step it is w."""
    average = block.slots[AVERAGE]
    if block.step == 1:
        average[...] = block.parameters
        return
    distance = np.subtract(block.parameters, average, block.scratch)
    distance *= 1.0 - decay
    average += distance


def clip_norm(gradients: Array, limit: float) -> None:
    """Scale `gradients` (a vector) in place so that their Euclidean norm is at most `limit`.

    A norm beyond the range of the dtype is handled; gradients that aren't finite themselves stay as they are.
    """
    square = float(np.dot(gradients, gradients))
    if math.sqrt(square) <= limit:
        return
    if not math.isfinite(square):
        peak = float(max(gradients.max(), -gradients.min()))
        if not math.isfinite(peak):
            return
        gradients /= peak
        square = float(np.dot(gradients, gradients))
    gradients *= limit / math.sqrt(square)


def _decayed_ranges(layout: Sequence[ParameterSlice], start: int, stop: int) -> list[tuple[int, int]]:
    """What decays between `start` and `stop`, as (first, last + 1), with neighbours made one."""
    ranges: list[tuple[int, int]] = []
    for part in layout:
        first, last = max(part.start, start), min(part.stop, stop)
        if not part.decay or first >= last:
            continue
        if ranges and ranges[-1][1] == first:
            first = ranges.pop()[0]
        ranges.append((first, last))
    return ranges
