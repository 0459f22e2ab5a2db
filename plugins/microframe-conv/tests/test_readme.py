"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from microframe_conv import Conv1D, Conv2D, Conv2DTranspose, DepthwiseConv2D, microframe_components

import microframe

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ((?:`\w+` ?)+)\| ((?:`\w+` ?)*) ?\| [a-z]", TEXT, re.MULTILINE)
FIELDS = {name: re.findall(r"`(\w+)`", fields) for names, fields in ROWS for name in re.findall(r"`(\w+)`", names)}


def block(language):
    (only,) = re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return only


def test_every_layer_is_listed_and_no_other():
    assert sorted(FIELDS) == sorted(component.type for component in microframe_components())


@pytest.mark.parametrize("component", microframe_components(), ids=lambda component: component.type)
def test_the_fields_of_a_layer_are_listed_in_their_order(component):
    assert FIELDS[component.type] == [field.name for field in component.fields() if not field.kw_only]


def test_the_configuration_builds():
    model = microframe.Model.from_config(tomllib.loads(block("toml"))).build((32, 32, 3))
    assert model.network.output_shape == (10,)


def test_the_program_runs(tmp_path):
    command = [sys.executable, "-c", block("python")]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert float(output.splitlines()[-1]) > 0.9


def test_weights_from_pytorch_give_its_results(built):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    double = {"dtype": torch.float64}
    cases = [
        (Conv2D(6, (2, 3), groups=2), torch.nn.Conv2d(4, 6, (2, 3), groups=2, **double), (2, 3, 1, 0)),
        (Conv1D(6, 3, groups=2), torch.nn.Conv1d(4, 6, 3, groups=2, **double), (2, 1, 0)),
        (Conv2DTranspose(3, 2, strides=2), torch.nn.ConvTranspose2d(4, 3, 2, stride=2, **double), (2, 3, 0, 1)),
    ]
    for layer, module, axes in cases:
        mine = built(layer, (7, 4) if isinstance(layer, Conv1D) else (5, 6, 4))
        weight, bias = (parameter.detach().numpy() for parameter in (module.weight, module.bias))
        expected = module(torch.tensor(np.moveaxis(mine.x, -1, 1))).detach().numpy()
        output = mine.output(kernel=weight.transpose(axes), bias=bias)
        np.testing.assert_allclose(output, np.moveaxis(expected, 1, -1), atol=1e-12)
    module = torch.nn.Conv2d(3, 6, (2, 3), groups=3, **double)
    mine = built(DepthwiseConv2D((2, 3), depth_multiplier=2), (5, 6, 3))
    kernel = module.weight.detach().numpy().reshape(3, 2, 2, 3).transpose(2, 3, 0, 1)
    expected = module(torch.tensor(np.moveaxis(mine.x, -1, 1))).detach().numpy()
    output = mine.output(kernel=kernel, bias=module.bias.detach().numpy())
    np.testing.assert_allclose(output, np.moveaxis(expected, 1, -1), atol=1e-12)
