"""An input with nothing in it is refused when the network is built, not found out when it runs."""

from __future__ import annotations

import pytest
from microframe_conv import microframe_components

CASES = [
    pytest.param(example.component, (*shape[:axis], 0, *shape[axis + 1 :]), id=f"{component.type}-{axis}")
    for component in microframe_components()
    for example in [component.examples()[0]]
    for shape in example.inputs
    for axis in range(len(shape))
]


@pytest.mark.parametrize(("layer", "shape"), CASES)
def test_an_input_with_nothing_along_an_axis_is_refused(refuses, layer, shape):
    refuses(layer, shape, "expected at least one " + ("time step and one feature" if len(shape) == 2 else "pixel"))
