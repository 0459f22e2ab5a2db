from __future__ import annotations

from microframe_conv import microframe_components

from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_every_layer_conforms(check):
    check()
