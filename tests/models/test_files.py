from __future__ import annotations

from pathlib import Path

import pytest

from microframe import Model
from microframe.registry import registry

NEEDS = {"digits-conv": "conv", "digits-rows": "recurrent"}
"""The plugins that some of the networks are made with."""
FILES = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_model_is_a_valid_configuration_that_says_what_it_shows(file):
    plugin = NEEDS.get(file.stem)
    if plugin is not None and plugin not in registry.plugins.available():
        pytest.skip(f"the plugin {plugin!r} is not installed")
    assert Model.from_config(file).configuration.description
    comment = [line for line in file.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if line.startswith("#")]
    assert 1 <= len(comment) <= 3
