"""What all convolutions share: their fields, where windows lie, the bias and the activation."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import microframe
from microframe import Activation, Array, Context, Initializer, Part, Scope, Shape
from microframe.values import PositiveInteger
from microframe_conv.arrays import add_bias, as_images, shaped_like, sum_pixels
from microframe_conv.correlation import correlate, input_gradient, kernel_gradient
from microframe_conv.fields import Padding, Pair, both
from microframe_conv.windows import Plane, windows_over


class Filters(microframe.Layer):
    """A layer whose output has a number of channels of its own.

    This stands last among the bases of a class, as the fields of the last base come first.

    Fields:
        filters: the number of output channels.
    """

    filters: PositiveInteger


class Convolution(microframe.Layer):
    """y = f(z + b), with z what kernels make of windows over images; sequences are images of width 1.

    Fields of every convolution:
        kernel_size: height and width of the kernels, or one number for both.
        strides: from one window to the next; one number or two; default 1.
        padding: ``"valid"``, windows lie on the image, the default; or ``"same"``, zeros around it make
            ceil(size / strides) windows.
        dilation: from one pixel that a kernel takes to the next; one number or two; default 1.
        activation: f, elementwise or over the channels; default linear.
        use_bias: whether b is there; default true.
        bias_initializer: for b, a number for each output channel; default zeros. Weight decay leaves b out.
    """

    ends_in_activation = True
    axes: ClassVar[int] = 2
    """1 for sequences, 2 for images."""

    kernel_size: Pair
    strides: Pair = 1
    padding: Padding = "valid"
    dilation: Pair = 1
    activation: Part[Activation] = Part("linear")
    use_bias: bool = True
    bias_initializer: Part[Initializer] = Part("zeros")

    @property
    def _kernel_extents(self) -> Shape:
        """The kernel's extent along each axis."""
        return both(self.kernel_size)[: self.axes]

    def _plane(self, input_shape: Shape) -> Plane:
        return windows_over(input_shape, self.kernel_size, self.strides, self.dilation, self.padding)

    def _declare_bias(self, scope: Scope, filters: int) -> None:
        if self.use_bias:
            scope.parameter("bias", (filters,), self.bias_initializer, decay=False)

    def _finish(self, ctx: Context, z: Array, *saved: Any) -> Array:
        """f(z + b), where z may be overwritten, and keep `saved` for backward: all but the first of ``ctx.saved``."""
        if self.use_bias:
            add_bias(z, ctx.parameters["bias"], ctx.empty)
        kept, y = self.activation.apply(ctx, z)
        ctx.save((kept, y), *saved)
        return y

    def _begin_backward(self, ctx: Context, dy: Array) -> Array:
        """Fill the gradient of b and return that of z."""
        # dz = dy * f'(z + b), and db is the sum of dz over all pixels.
        dz = self.activation.pull_back(ctx, dy, *ctx.saved[0])
        if self.use_bias:
            sum_pixels(dz, ctx.gradients["bias"], ctx.empty)
        return dz


class GroupedConvolution(Convolution):
    """A convolution with z as `microframe_conv.correlation` defines it.

    Its parameter ``kernel`` has (height, width, channels of a group, filters), or what has that order.
    """

    kernel_initializer: Part[Initializer] = Part("glorot_uniform")

    def _declare(self, scope: Scope, kernel_shape: Shape, filters: int) -> None:
        scope.parameter("kernel", kernel_shape, self.kernel_initializer)
        self._declare_bias(scope, filters)

    @abstractmethod
    def _groups(self, channels: int) -> int:
        """How many groups the channels of the input make."""

    def forward(self, ctx: Context, x: Array) -> Array:
        plane, groups = self._plane(x.shape[1:]), self._groups(x.shape[-1])
        kernel = _as_kernel(ctx.parameters["kernel"], plane, x.shape[-1] // groups)
        z = ctx.empty((len(x), *plane.counts, kernel.shape[-1]))
        correlate(as_images(x), kernel, plane, z, ctx.empty, groups)
        return shaped_like(x, self._finish(ctx, z, x))

    def backward(self, ctx: Context, dy: Array) -> Array | None:
        # `correlation` derives both gradients from dz.
        dz, x = self._begin_backward(ctx, as_images(dy)), ctx.saved[1]
        plane, groups = self._plane(x.shape[1:]), self._groups(x.shape[-1])
        kernel, gradient = (
            _as_kernel(arrays["kernel"], plane, x.shape[-1] // groups) for arrays in (ctx.parameters, ctx.gradients)
        )
        images = as_images(x)
        kernel_gradient(images, dz, plane, gradient, ctx.empty, groups)
        if not ctx.needs_input_gradient:
            return None
        dx = ctx.empty(images.shape)
        input_gradient(dz, kernel, plane, dx, ctx.empty, groups)
        return shaped_like(x, dx)


def _as_kernel(kernel: Array, plane: Plane, channels: int) -> Array:
    """A view of `kernel`: (height, width, channels, filters)."""
    return kernel.reshape(plane.rows.kernel, plane.columns.kernel, channels, -1)
