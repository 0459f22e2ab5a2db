"""The transposed convolution, which makes images larger where a convolution makes them smaller."""

from __future__ import annotations

from functools import partial

import numpy as np

from microframe import Array, Context, Example, Initializer, Part, Scope, Shape
from microframe_conv import references
from microframe_conv.arrays import Empty, require_axes
from microframe_conv.base import Convolution, Filters
from microframe_conv.correlation import correlate, input_gradient, kernel_gradient
from microframe_conv.windows import Plane, windows_of_transposed


class Conv2DTranspose(Convolution, Filters):
    """y = f(z + b), with z the gradient of a convolution with respect to its input: for those images that the
    convolution would map to the size of x, x is spread over their windows  (Zeiler et al., 2010; Dumoulin & Visin,
    2016, arXiv:1603.07285).

        z[n, i s + p d - b, j s + q d - b, f] = sum over p, q, c of x[n, i, j, c] kernel[p, q, c, f]

    Fields, besides those of `Convolution`:
        filters: the number of output channels.
        strides: s, how far apart the pixels of x are put; one number or two; default 1.
        padding: ``"same"`` gives images s times as large; ``"valid"``, the default, leaves what the kernel adds at
            the edges: size * s + max((kernel_size - 1) d + 1 - s, 0). Both as in Keras.
        dilation: d, the distance between the taps of the kernel; one number or two; default 1.
        kernel_initializer: for the kernel, shape (height, width, channels, filters), where Keras has the last two
            the other way round; default glorot_uniform.

    Shapes: (batch, height, width, channels) -> (batch, larger height, larger width, filters).
    """

    type = "conv2d_transpose"

    kernel_initializer: Part[Initializer] = Part("glorot_uniform")

    @classmethod
    def examples(cls) -> list[Example]:
        layers = [
            (cls(3, 3), (4, 3, 2)),
            (cls(2, (3, 2), strides=2, padding="same"), (3, 4, 3)),
            (cls(2, 2, strides=(3, 1), use_bias=False), (2, 3, 1)),
            (cls(1, 3, strides=2, padding="same", dilation=2), (3, 3, 2)),
        ]
        of_formula = [
            Example(layer, (shape,), partial(references.transposed_convolution, layer)) for layer, shape in layers
        ]
        return [*of_formula, Example(cls(2, 1, activation="tanh"), ((3, 2, 3),))]

    def build(self, scope: Scope, input_shape: Shape) -> Shape:
        require_axes(input_shape, self.axes)
        plane = self._plane(input_shape)
        kernel_shape = (*self._kernel_extents, input_shape[-1], self.filters)
        scope.parameter("kernel", kernel_shape, self.kernel_initializer)
        self._declare_bias(scope, self.filters)
        return (plane.rows.size, plane.columns.size, self.filters)

    def forward(self, ctx: Context, x: Array) -> Array:
        plane = self._plane(x.shape[1:])
        z = ctx.empty((len(x), plane.rows.size, plane.columns.size, self.filters))
        input_gradient(x, _swapped(ctx.parameters["kernel"], ctx.empty), plane, z, ctx.empty)
        return self._finish(ctx, z, x)

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # z is linear in x, with the matrix of a convolution transposed. So dx is the convolution of dz, and dkernel
        # that of the convolution with dz for its input and x for the gradient of its output.
        dz, x = self._begin_backward(ctx, dy), ctx.saved[1]
        plane, kernel = self._plane(x.shape[1:]), ctx.parameters["kernel"]
        swapped = ctx.empty((*kernel.shape[:2], kernel.shape[3], kernel.shape[2]))
        kernel_gradient(dz, x, plane, swapped, ctx.empty)
        np.copyto(ctx.gradients["kernel"], swapped.swapaxes(2, 3))
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(x.shape)
        correlate(dz, _swapped(kernel, ctx.empty), plane, dx, ctx.empty)
        return dx

    def _plane(self, input_shape: Shape) -> Plane:
        """The windows of the convolution, of which there is one for each pixel of x."""
        return windows_of_transposed(input_shape, self.kernel_size, self.strides, self.dilation, self.padding)


def _swapped(kernel: Array, empty: Empty) -> Array:
    """`kernel` as that of the convolution, whose inputs are the outputs here."""
    swapped = empty((*kernel.shape[:2], kernel.shape[3], kernel.shape[2]))
    np.copyto(swapped, kernel.swapaxes(2, 3))
    return swapped
