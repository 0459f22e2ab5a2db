from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from microframe_conv.windows import place, place_transposed

SIZES = st.integers(1, 12)
KERNELS = st.integers(1, 4)
STEPS = st.integers(1, 4)
PADDINGS = st.sampled_from(["valid", "same"])


@st.composite
def axes(draw, padding=PADDINGS):
    size, kernel, stride, dilation = draw(SIZES), draw(KERNELS), draw(STEPS), draw(st.integers(1, 3))
    chosen = draw(padding)
    assume(chosen == "same" or size >= (kernel - 1) * dilation + 1)
    return place(size, kernel, stride, dilation, chosen)


def inputs_under(axis, window):
    """The inputs under the taps of a window, those that are padding too."""
    return [window * axis.stride + tap * axis.dilation - axis.before for tap in range(axis.kernel)]


@given(axes(st.just("valid")))
def test_valid_windows_lie_on_the_input_and_leave_no_room_for_another(axis):
    assert inputs_under(axis, 0)[0] == 0
    assert inputs_under(axis, axis.count - 1)[-1] < axis.size <= inputs_under(axis, axis.count)[-1]
    assert axis.padded_size == axis.size


@given(axes(st.just("same")))
def test_same_windows_are_as_many_as_the_input_has_strides(axis):
    assert axis.count == math.ceil(axis.size / axis.stride)


@given(axes(st.just("same")))
def test_same_padding_is_no_more_than_needed_and_the_odd_zero_comes_last(axis):
    total = max(inputs_under(axis, axis.count - 1)[-1] - inputs_under(axis, 0)[0] + 1 - axis.size, 0)
    assert axis.before == total // 2
    assert axis.padded_size == axis.size + total


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "before", "after"),
    [(28, 5, 1, 2, 2), (28, 2, 1, 0, 1), (28, 3, 2, 0, 1), (5, 3, 2, 1, 1)],
)
def test_same_padding_is_that_of_tensorflow(size, kernel, stride, before, after):
    axis = place(size, kernel, stride, 1, "same")
    assert (axis.before, axis.padded_size - size - axis.before) == (before, after)


@given(axes(), st.data())
def test_a_tap_overlaps_the_input_where_it_is_not_on_padding(axis, data):
    tap = data.draw(st.integers(0, axis.kernel - 1))
    start = data.draw(st.integers(0, axis.count))
    stop = data.draw(st.integers(start, axis.count))
    under = {window: inputs_under(axis, window)[tap] for window in range(start, stop)}
    expected = [(window, index) for window, index in under.items() if 0 <= index < axis.size]
    windows, inputs = axis.overlap(tap, start, stop)
    assert list(zip(range(axis.count)[windows], range(axis.size)[inputs], strict=True)) == expected


@given(axes())
def test_phases_divide_all_taps_of_all_windows_among_the_inputs(axis):
    expected = {
        (index, tap, window)
        for window in range(axis.count)
        for tap, index in enumerate(inputs_under(axis, window))
        if 0 <= index < axis.size
    }
    found = {
        (index, tap, index // axis.stride + distance)
        for index in range(axis.size)
        for tap, distance in axis.phase(index % axis.stride)
        if 0 <= index // axis.stride + distance < axis.count
    }
    assert found == expected


@given(axes())
def test_the_taps_on_the_input_are_those_that_are_not_on_padding(axis):
    for window in range(axis.count):
        assert axis.taps_on_input(window) == sum(0 <= index < axis.size for index in inputs_under(axis, window))


@given(SIZES, KERNELS, STEPS, st.integers(1, 3), PADDINGS)
def test_a_transposed_plane_has_the_size_that_the_same_windows_lead_back_from(count, kernel, stride, dilation, padding):
    axis = place_transposed(count, kernel, stride, dilation, padding)
    assert axis == place(axis.size, kernel, stride, dilation, padding)


@pytest.mark.parametrize(
    ("count", "kernel", "stride", "padding", "size"),
    [(4, 3, 1, "valid", 6), (4, 3, 2, "valid", 9), (4, 2, 2, "valid", 8), (4, 1, 3, "valid", 12), (4, 3, 2, "same", 8)],
)
def test_transposed_sizes_are_those_of_keras(count, kernel, stride, padding, size):
    assert place_transposed(count, kernel, stride, 1, padding).size == size


def test_an_input_that_a_window_does_not_fit_on_is_refused_with_what_would_fit():
    with pytest.raises(ValueError, match="a height of at least 5, which a window spans, or padding = 'same'"):
        place(4, 3, 1, 2, "valid", "a height")
