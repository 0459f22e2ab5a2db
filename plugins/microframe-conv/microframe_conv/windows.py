"""Where the windows of a layer lie on its input."""

from __future__ import annotations

from dataclasses import dataclass

from microframe import Shape
from microframe_conv.fields import Padding, Pair, both


@dataclass(frozen=True)
class Axis:
    """The windows along one axis: tap p of window o lies on input o * stride + p * dilation - before.

    Attributes:
        size: the extent of the input.
        kernel: the number of taps.
        stride: the distance from one window to the next.
        dilation: the distance from one tap to the next.
        before: how many zeros count as standing before the input.
        count: the number of windows.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    count: int

    @property
    def reach(self) -> int:
        """The extent of a window from its first tap to its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def padded_size(self) -> int:
        """The extent of the input with the zeros before and after it."""
        return max(self.before + self.size, (self.count - 1) * self.stride + self.reach)

    @property
    def is_pointwise(self) -> bool:
        """Whether window o is the one element o of the input."""
        return self.kernel == self.stride == 1

    def overlap(self, tap: int, start: int = 0, stop: int | None = None) -> tuple[slice, slice]:
        """Those windows from `start` to `stop` whose `tap` lies on the input and not on zeros, and what it lies on."""
        offset = tap * self.dilation - self.before
        first = max(start, -(offset // self.stride))
        last = min(self.count if stop is None else stop, (self.size - 1 - offset) // self.stride + 1)
        if last <= first:
            return slice(0, 0), slice(0, 0)
        inputs = slice(first * self.stride + offset, (last - 1) * self.stride + offset + 1, self.stride)
        return slice(first, last), inputs

    def phase(self, remainder: int) -> list[tuple[int, int]]:
        """The taps that lie on the inputs remainder + t * stride, for t = 0, 1, ...

        Returns:
            Pairs of a tap and the number which, added to t, gives its window.
        """
        # From o * stride + p * dilation - before = remainder + t * stride follows
        #   o - t = (remainder + before - p * dilation) / stride, for those p where that is whole.
        distances = ((tap, remainder + self.before - tap * self.dilation) for tap in range(self.kernel))
        return [(tap, distance // self.stride) for tap, distance in distances if distance % self.stride == 0]

    def taps_on_input(self, window: int) -> int:
        """How many taps of a window lie on the input, not on zeros."""
        first = window * self.stride - self.before
        return sum(0 <= first + tap * self.dilation < self.size for tap in range(self.kernel))


@dataclass(frozen=True)
class Plane:
    """The windows over the two axes of an image."""

    rows: Axis
    columns: Axis

    @property
    def counts(self) -> tuple[int, int]:
        """The number of windows along both axes."""
        return self.rows.count, self.columns.count

    @property
    def is_pointwise(self) -> bool:
        """Whether each window is one pixel of the input."""
        return self.rows.is_pointwise and self.columns.is_pointwise


def place(size: int, kernel: int, stride: int, dilation: int, padding: Padding, what: str = "an axis") -> Axis:
    """The windows over `size` elements.

    With padding ``"valid"`` they lie on the input: floor((size - reach) / stride) + 1 of them. With ``"same"`` there
    are ceil(size / stride), and the input gets as many zeros as that takes, half of them before it and half after
    it, where the odd one goes, as in TensorFlow.

    Args:
        what: what a message says is to have that extent.

    Raises:
        ValueError: no window fits.
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        if size < reach:
            raise ValueError(f"{what} of at least {reach}, which a window spans, or padding = 'same'")
        return Axis(size, kernel, stride, dilation, 0, (size - reach) // stride + 1)
    count = -(-size // stride)
    before = max((count - 1) * stride + reach - size, 0) // 2
    return Axis(size, kernel, stride, dilation, before, count)


def place_transposed(count: int, kernel: int, stride: int, dilation: int, padding: Padding) -> Axis:
    """The windows of which there are `count`, over an input of the extent that Keras gives a transposed convolution.

    That is count * stride, and with padding ``"valid"`` as much more as a window reaches beyond the next one's start.
    """
    excess = max((kernel - 1) * dilation + 1 - stride, 0)
    if padding == "valid":
        return Axis(count * stride + excess, kernel, stride, dilation, 0, count)
    return Axis(count * stride, kernel, stride, dilation, excess // 2, count)


def windows_over(input_shape: Shape, kernel_size: Pair, strides: Pair, dilation: Pair, padding: Padding) -> Plane:
    """The windows over an image, or over a sequence, which is an image of width 1.

    Args:
        input_shape: (height, width, channels) or (time, features).

    Raises:
        ValueError: no window fits.
    """
    kernel, stride, distance = both(kernel_size), both(strides), both(dilation)
    if len(input_shape) == 2:
        rows = place(input_shape[0], kernel[0], stride[0], distance[0], padding, "a time axis")
        return Plane(rows, place(1, 1, 1, 1, "valid"))
    rows = place(input_shape[0], kernel[0], stride[0], distance[0], padding, "a height")
    return Plane(rows, place(input_shape[1], kernel[1], stride[1], distance[1], padding, "a width"))


def windows_of_transposed(
    input_shape: Shape, kernel_size: Pair, strides: Pair, dilation: Pair, padding: Padding
) -> Plane:
    """The windows of which there is one for each pixel of an image (height, width, channels)."""
    kernel, stride, distance = both(kernel_size), both(strides), both(dilation)
    rows = place_transposed(input_shape[0], kernel[0], stride[0], distance[0], padding)
    return Plane(rows, place_transposed(input_shape[1], kernel[1], stride[1], distance[1], padding))
