"""The models that come with the plugin, trained for real."""

from __future__ import annotations

from pathlib import Path

import pytest

import microframe

PLUGIN = Path(__file__).parents[1]
FILES = [PLUGIN.parents[1] / "models" / "digits-rows.toml", PLUGIN / "models" / "transformer-rows.toml"]
"""The first stands beside the core's models, which a distribution of the plugin alone does not hold."""

every_file = pytest.mark.parametrize("file", [file for file in FILES if file.exists()], ids=lambda file: file.stem)


@every_file
def test_digits_are_read_row_by_row(file, tmp_path):
    model = microframe.Model.from_config(file)
    model.fit()
    assert model.results["test"]["accuracy"] >= 0.96
    model.save(tmp_path / "model.h5")
    digits = microframe.load(tmp_path / "model.h5").predict(ten_digits())
    assert (digits == range(10)).sum() >= 8


def ten_digits():
    from microframe.standard.sources import Digits

    digits = Digits().load()
    return digits.inputs[[list(digits.target).index(digit) for digit in range(10)]]


@every_file
def test_a_model_says_what_it_shows(file):
    assert microframe.Model.from_config(file).configuration.description
    assert file.read_text(encoding="utf-8").startswith("# ")
