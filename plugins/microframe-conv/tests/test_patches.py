from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from microframe_conv import patches
from microframe_conv.references import windows
from microframe_conv.windows import windows_over


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(patches, "BLOCK_BYTES", 400)
    monkeypatch.setattr(patches, "FEWEST_WINDOWS", 4)


def gathered(x, *, channels_last=True, **options):
    """All patches of `x`, block by block, and the number of blocks."""
    given = {"kernel_size": 3, "strides": 1, "dilation": 1, "padding": "same"} | options
    plane = windows_over(x.shape[1:], **given)
    found = np.full((len(x), *plane.counts, 9 * x.shape[-1]), np.nan)
    count = 0
    for samples, rows, matrix in patches.gathered(x, plane, np.empty):
        block = found[samples, rows]
        assert np.isnan(block).all()
        block[...] = matrix.reshape(block.shape)
        count += 1
    expected = windows(x, (3, 3), given["strides"], given["dilation"], given["padding"])
    np.testing.assert_array_equal(found, expected.reshape(found.shape))
    return count


OPTIONS = [{}, {"padding": "valid"}, {"strides": 2}, {"strides": (3, 1), "padding": "valid"}, {"dilation": (2, 1)}]
with_options = pytest.mark.parametrize("options", OPTIONS, ids=str)


@with_options
@pytest.mark.parametrize("channels", [1, 3])
def test_patches_are_what_lies_under_the_windows(options, channels):
    assert gathered(np.random.default_rng(0).random((3, 7, 6, channels)), **options) == 1


@with_options
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.usefixtures("small_blocks")
def test_blocks_hold_every_window_once(options, channels):
    assert gathered(np.random.default_rng(0).random((3, 7, 6, channels)), **options) > 3


def test_the_patches_of_some_channels_of_an_array_are_theirs():
    gathered(np.random.default_rng(0).random((3, 7, 6, 4))[..., 1:3])


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("kernel_size", [1, 3])
@pytest.mark.usefixtures("small_blocks")
def test_the_patches_of_a_group_are_those_of_its_channels_alone(kernel_size, channels):
    x = np.random.default_rng(0).random((3, 7, 6, 3 * channels))
    plane = windows_over(x.shape[1:], kernel_size, 1, 1, "same")
    found = [np.zeros((3, 7, 6, kernel_size**2 * channels)) for _ in range(3)]
    for samples, rows, matrices in patches.gathered(x, plane, np.empty, 3):
        for of_group, matrix in zip(found, matrices, strict=True):
            of_group[samples, rows] = matrix.reshape(of_group[samples, rows].shape)
    for of_group, alone in zip(found, np.split(x, 3, axis=-1), strict=True):
        expected = windows(alone, (kernel_size,) * 2, 1, 1, "same")
        np.testing.assert_array_equal(of_group, expected.reshape(of_group.shape))


def test_windows_of_one_pixel_need_no_copy():
    x = np.random.default_rng(0).random((3, 7, 6, 2))
    ((_, _, matrix),) = patches.gathered(x, windows_over((7, 6, 2), 1, 1, 1, "valid"), np.empty)
    assert np.shares_memory(matrix, x)


@given(st.integers(0, 300), st.integers(1, 2000), st.integers(1, 2000), st.integers(4, 10**6))
def test_a_block_is_no_larger_than_it_must_be(samples, rows, columns, window_bytes):
    samples_in_block, rows_in_block = patches.block_extents(samples, rows, columns, window_bytes)
    assert 1 <= samples_in_block <= max(samples, 1)
    assert 1 <= rows_in_block <= rows
    assert samples_in_block == 1 or rows_in_block == rows
    windows_in_block = samples_in_block * rows_in_block * columns
    most = max(patches.BLOCK_BYTES // window_bytes, patches.FEWEST_WINDOWS)
    assert windows_in_block <= most or (samples_in_block, rows_in_block) == (1, 1)
