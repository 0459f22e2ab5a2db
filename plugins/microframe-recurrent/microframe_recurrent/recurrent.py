"""What every recurrent layer does: walk through time, skip padding, and add up gradients over all steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import ClassVar

import numpy as np

import microframe
from microframe import Activation, Array, Initializer, Part, Shape
from microframe.values import PositiveInteger
from microframe_recurrent.cell import Cell
from microframe_recurrent.masks import find_padding
from microframe_recurrent.shapes import check_shapes


class Recurrent(microframe.Layer):
    """A layer that reads a sequence step by step and carries a state from each step to the next.

    A step that the mask, the optional second input, says is padding leaves the state as it is, whatever x holds there,
    so that a padded sequence gives what it gives without its padding; with `return_sequences` such a step repeats the
    output before it, which is 0 before the first real one.

    Fields:
        units: the size of the state and of the output.
        activation: f in the formula of each layer; default tanh.
        use_bias: whether there is a bias; default true.
        kernel_initializer: for what multiplies x; default glorot_uniform.
        recurrent_kernel_initializer: for what multiplies the state; default orthogonal.
        bias_initializer: for what is added; default zeros. Weight decay leaves biases out.
        return_sequences: whether the output is that of every step, and not that of the last one alone; default false.
        go_backwards: whether steps are read from the last to the first; default false. With `return_sequences` each
            output stands at its own step all the same, where Keras turns the sequence around.

    Shapes: (batch, time, features) and, optionally, a mask (batch, time) -> (batch, units), or (batch, time, units)
    with `return_sequences`.
    """

    gates: ClassVar[int] = 1
    """How many times `units` columns the kernels have."""

    units: PositiveInteger
    activation: Part[Activation] = Part("tanh")
    _: KW_ONLY
    use_bias: bool = True
    kernel_initializer: Part[Initializer] = Part("glorot_uniform")
    recurrent_kernel_initializer: Part[Initializer] = Part("orthogonal")
    bias_initializer: Part[Initializer] = Part("zeros")
    return_sequences: bool = False
    go_backwards: bool = False

    def build(self, scope: microframe.Scope, input_shape: Shape, mask_shape: Shape | None = None) -> Shape:
        check_shapes(input_shape, mask_shape)
        steps, features = input_shape
        width = self.gates * self.units
        scope.parameter("kernel", (features, width), self.kernel_initializer)
        scope.parameter("recurrent_kernel", (self.units, width), self.recurrent_kernel_initializer)
        if self.use_bias:
            self._build_bias(scope, width, self.bias_initializer)
        return (steps, self.units) if self.return_sequences else (self.units,)

    def forward(self, ctx: microframe.Context, x: Array, mask: Array | None = None) -> Array:
        sequence = self._by_time(ctx, x)
        is_padding = None if mask is None else self._in_order(find_padding(ctx, mask))[..., None]
        if is_padding is not None:
            np.copyto(sequence, 0, where=is_padding)
        projected = _rows(sequence).dot(ctx.parameters["kernel"], ctx.empty((x.shape[0] * x.shape[1], self._width)))
        if self.use_bias:
            projected += ctx.parameters["bias"]
        cell = self._cell(ctx, projected.reshape(*sequence.shape[:2], self._width))
        for step in range(cell.steps):
            cell.forward(step)
            if is_padding is not None:
                for state in cell.states:
                    np.copyto(state[step + 1], state[step], where=is_padding[step])
        ctx.save(sequence, cell, is_padding)
        return self._output(ctx, cell)

    def backward(self, ctx: microframe.Context, dy: Array) -> Array | tuple[Array | None, None] | None:
        # Backpropagation through time (Werbos, 1990): a state is read by the output of its step and by the step after
        # it, so that its gradient is the sum of both, from the last step to the first. Where a step is padding, the
        # state after it is the state before it, and so is the gradient; the cell then gets 0 to pass on.
        # With z = x W + b at every step, dW = sum x^T dz, db = sum dz and dx = dz W^T: one product over all steps.
        sequence, cell, is_padding = ctx.saved
        gradients = [self._zeros(ctx, cell) for _ in cell.states]
        outputs = self._gradients_of_outputs(ctx, dy, gradients[0])
        carried = [] if is_padding is None else [ctx.empty(gradient.shape) for gradient in gradients]
        cell.prepare_backward()
        for step in reversed(range(cell.steps)):
            if outputs is not None:
                gradients[0] += outputs[step]
            if is_padding is None:
                cell.backward(step, gradients)
            else:
                _backward_where_real(cell, step, gradients, is_padding[step], carried)
        dx = self._fill_gradients(ctx, sequence, cell)
        return dx if is_padding is None else (dx, None)

    @property
    def _width(self) -> int:
        return self.gates * self.units

    def _build_bias(self, scope: microframe.Scope, width: int, initializer: Initializer) -> None:
        """Declare ``bias``, (width,), which is added to x W, and others that the cell wants."""
        scope.parameter("bias", (width,), initializer, decay=False)

    @abstractmethod
    def _cell(self, ctx: microframe.Context, projected: Array) -> Cell:
        """The cell for a batch whose x W + b is `projected`."""

    def _in_order(self, x: Array) -> Array:
        """(batch, time, ...) with time first, in the order in which steps are taken: a view. Its own inverse."""
        turned = x.swapaxes(0, 1)
        return turned[::-1] if self.go_backwards else turned

    def _by_time(self, ctx: microframe.Context, x: Array) -> Array:
        """As `_in_order`, but each step in one piece."""
        ordered = self._in_order(x)
        out = ctx.empty(ordered.shape)
        np.copyto(out, ordered)
        return out

    def _output(self, ctx: microframe.Context, cell: Cell) -> Array:
        hidden = cell.states[0]
        if not self.return_sequences:
            return hidden[-1]
        y = ctx.empty((cell.batch, cell.steps, self.units))
        np.copyto(self._in_order(y), cell.hidden[1:])
        return y

    def _gradients_of_outputs(self, ctx: microframe.Context, dy: Array, last: Array) -> Array | None:
        """The gradient of each step's output; None where there is only that of the last state, written to `last`."""
        if self.return_sequences:
            return self._by_time(ctx, dy)
        np.copyto(last, dy)
        return None

    def _fill_gradients(self, ctx: microframe.Context, sequence: Array, cell: Cell) -> Array | None:
        """Write the gradients of the parameters and return that of x, if it is wanted."""
        x, dz = _rows(sequence), cell.projected.reshape(-1, cell.width)
        x.T.dot(dz, ctx.gradients["kernel"])
        if self.use_bias:
            np.add.reduce(dz, axis=0, out=ctx.gradients["bias"])
        cell.fill_gradients(ctx.gradients)
        if not ctx.needs_input_gradient:
            return None
        flat = dz.dot(ctx.parameters["kernel"].T, ctx.empty(x.shape))
        dx = ctx.empty((cell.batch, cell.steps, x.shape[1]))
        np.copyto(self._in_order(dx), flat.reshape(sequence.shape))
        return dx

    @staticmethod
    def _zeros(ctx: microframe.Context, cell: Cell) -> Array:
        array = ctx.empty((cell.batch, cell.units))
        array.fill(0)
        return array


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def _backward_where_real(
    cell: Cell, step: int, gradients: Sequence[Array], is_padding: Array, carried: Sequence[Array]
) -> None:
    """``cell.backward(step, gradients)`` for the rows where the step is real; in the others they stay as they are.

    Args:
        is_padding: bool, (batch, 1).
        carried: an array for each of the gradients, for scratch.
    """
    for gradient, kept in zip(gradients, carried, strict=True):
        np.copyto(kept, gradient)
        np.copyto(gradient, 0, where=is_padding)
    cell.backward(step, gradients)
    for gradient, kept in zip(gradients, carried, strict=True):
        np.copyto(gradient, kept, where=is_padding)
