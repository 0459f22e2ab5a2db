from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from microframe_conv import patches
from microframe_conv.correlation import correlate, input_gradient, kernel_gradient
from microframe_conv.windows import windows_over
from scipy.signal import correlate as scipy_correlate

STEPS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def cases(draw):
    """Random x, kernel and dz, the plane of the windows, and the number of groups."""
    height, width, groups = (draw(st.integers(1, most)) for most in (8, 8, 3))
    channels, filters = (draw(st.sampled_from([1, 2, 5])) for _ in range(2))
    kernel_size = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding, strides, dilation = draw(st.sampled_from(["valid", "same"])), draw(STEPS), draw(STEPS)
    spans = [(size - 1) * step + 1 for size, step in zip(kernel_size, dilation, strict=True)]
    assume(padding == "same" or (height >= spans[0] and width >= spans[1]))
    plane = windows_over((height, width, groups * channels), kernel_size, strides, dilation, padding)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    batch = draw(st.integers(0, 3))
    x = rng.standard_normal((batch, height, width, groups * channels))
    kernel = rng.standard_normal((*kernel_size, channels, groups * filters))
    return x, kernel, rng.standard_normal((batch, *plane.counts, groups * filters)), plane, groups


@pytest.fixture(params=[None, (300, 3)], ids=["one block", "small blocks"], autouse=True)
def blocks(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(patches, "BLOCK_BYTES", request.param[0])
        monkeypatch.setattr(patches, "FEWEST_WINDOWS", request.param[1])


def by_loops(x, kernel, plane, groups):
    """The formula, one product after the other."""
    if groups > 1:
        divided = zip(np.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True)
        return np.concatenate([by_loops(*arrays, plane, 1) for arrays in divided], axis=-1)
    z = np.zeros((len(x), *plane.counts, kernel.shape[3]))
    rows, columns = plane.rows, plane.columns
    for i, j, p, q in np.ndindex(*plane.counts, *kernel.shape[:2]):
        row = i * rows.stride + p * rows.dilation - rows.before
        column = j * columns.stride + q * columns.dilation - columns.before
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            z[:, i, j] += x[:, row, column] @ kernel[p, q]
    return z


def correlation(x, kernel, plane, groups=1):
    z = np.full((len(x), *plane.counts, kernel.shape[3]), np.nan)
    correlate(x, kernel, plane, z, np.empty, groups)
    return z


@given(cases())
def test_the_correlation_is_that_of_the_formula(case):
    x, kernel, _, plane, groups = case
    np.testing.assert_allclose(correlation(x, kernel, plane, groups), by_loops(x, kernel, plane, groups), atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_the_correlation_is_that_of_scipy(padding):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 9, 8, 3)), rng.standard_normal((3, 5, 3, 4))
    z = correlation(x, kernel, windows_over((9, 8, 3), (3, 5), 1, 1, padding))
    for sample, f in np.ndindex(2, 4):
        expected = sum(scipy_correlate(x[sample, :, :, c], kernel[:, :, c, f], padding) for c in range(3))
        np.testing.assert_allclose(z[sample, :, :, f], expected, atol=1e-12)


# z is linear in x and in the kernel, and the gradient of <z, dz> is what a linear map's transpose gives:
#   <z, dz> = <x, dx> = <kernel, dkernel> for all x, kernel and dz.


@given(cases(), st.integers(0, 99))
def test_the_input_gradient_is_the_transpose_of_the_correlation(case, seed):
    x, kernel, dz, plane, groups = case
    dx = np.full(x.shape, np.nan)
    input_gradient(dz, kernel, plane, dx, np.empty, groups)
    other = np.random.default_rng(seed).standard_normal(x.shape)
    assert np.vdot(other, dx) == pytest.approx(np.vdot(by_loops(other, kernel, plane, groups), dz), abs=1e-9)


@given(cases(), st.integers(0, 99))
def test_the_kernel_gradient_is_the_transpose_of_the_correlation(case, seed):
    x, kernel, dz, plane, groups = case
    dkernel = np.full(kernel.shape, np.nan)
    kernel_gradient(x, dz, plane, dkernel, np.empty, groups)
    other = np.random.default_rng(seed).standard_normal(kernel.shape)
    assert np.vdot(other, dkernel) == pytest.approx(np.vdot(by_loops(x, other, plane, groups), dz), abs=1e-9)


@settings(max_examples=30)
@given(cases())
def test_torch_agrees(case):
    torch = pytest.importorskip("torch")
    x, kernel, _, plane, groups = case
    before = plane.rows.before, plane.columns.before
    after = plane.rows.padded_size - x.shape[1] - before[0], plane.columns.padded_size - x.shape[2] - before[1]
    padded = np.pad(x, [(0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)])
    z = torch.nn.functional.conv2d(
        torch.tensor(padded.transpose(0, 3, 1, 2)),
        torch.tensor(kernel.transpose(3, 2, 0, 1)),
        stride=(plane.rows.stride, plane.columns.stride),
        dilation=(plane.rows.dilation, plane.columns.dilation),
        groups=groups,
    )
    np.testing.assert_allclose(correlation(x, kernel, plane, groups), z.numpy().transpose(0, 2, 3, 1), atol=1e-12)
