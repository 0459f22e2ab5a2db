from __future__ import annotations

from microframe_recurrent import microframe_components

from microframe.testing import parametrize_with_checks


@parametrize_with_checks(*microframe_components())
def test_every_layer_does_what_a_layer_must(check):
    check()
