from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe.errors import ConfigError
from microframe.network import Network
from microframe.standard.layers import Flatten, Reshape


def test_flatten_keeps_the_order_of_the_elements():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(Network([Flatten()], (3, 4)).forward(x), x.reshape(2, 12))


def test_flatten_makes_an_axis_for_a_single_value():
    assert Network([Flatten()], ()).forward(np.ones(5, np.float32)).shape == (5, 1)


@given(st.lists(st.integers(1, 4), max_size=4), st.data())
def test_minus_one_stands_for_what_remains(shape, data):
    place = data.draw(st.integers(0, len(shape)))
    remaining = data.draw(st.integers(1, 4))
    elements = remaining * int(np.prod(shape, dtype=int))
    layer = Reshape((*shape[:place], -1, *shape[place:]))
    network = Network([layer], (elements,))
    assert network.output_shape == (*shape[:place], remaining, *shape[place:])
    for batch in (0, 2):
        assert network.forward(np.zeros((batch, elements), np.float32)).shape == (batch, *network.output_shape)


def test_reshaping_there_and_back_is_the_identity():
    x = np.arange(24, dtype=np.float32).reshape(2, 12)
    np.testing.assert_array_equal(Network([Reshape((3, 4)), Reshape((-1,))], (12,)).forward(x), x)


@pytest.mark.parametrize("shape", [(5,), (3, 3), (-1, 5)])
def test_a_shape_of_other_size_is_an_error_that_names_both(shape):
    with pytest.raises(ConfigError) as error:
        Network([Reshape(shape)], (2, 6))
    assert str(shape) in str(error.value)
    assert "(2, 6)" in str(error.value)


@pytest.mark.parametrize("shape", [(-1, -1), (0, 3), (3, -2)])
def test_a_shape_without_meaning_is_an_error(shape):
    with pytest.raises(ConfigError, match="of which one may be -1"):
        Reshape(shape)


@pytest.mark.parametrize("shape", [(10**99,) * 30_000, (1,) * 64, (2**30, -1, 2**30)], ids=["both", "axes", "elements"])
def test_a_shape_that_no_array_can_have_is_an_error_before_anything_is_computed_of_it(shape, monkeypatch):
    monkeypatch.setattr(Reshape, "_output_shape", lambda *_: pytest.fail("it was"))
    with pytest.raises(ConfigError, match=r"expected arrays of at most 63 axes and 2\^59 elements"):
        Reshape(shape)
