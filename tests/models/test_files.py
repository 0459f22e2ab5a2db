from __future__ import annotations

from pathlib import Path

import pytest

from microframe import Model

FILES = sorted((Path(__file__).parents[2] / "models").glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_model_is_a_valid_configuration_that_says_what_it_shows(file):
    assert Model.from_config(file).configuration.description
    comment = [line for line in file.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if line.startswith("#")]
    assert 1 <= len(comment) <= 3
