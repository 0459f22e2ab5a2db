from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import microframe

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture(scope="session")
def configuration():
    """A function that gives the content of a file in models/, with settings of its training replaced."""

    def read(name, **training):
        values = tomllib.loads((MODELS / f"{name}.toml").read_text(encoding="utf-8"))
        return {**values, "training": {**values["training"], **training}}

    return read


@pytest.fixture(scope="session")
def run_model(tmp_path_factory):
    """A function that trains a file in models/ with the command line, in a process and a folder of its own."""

    def run(name, *options):
        output = tmp_path_factory.mktemp("run") / f"{name}.h5"
        command = [sys.executable, "-m", "microframe", "run", MODELS / f"{name}.toml", "--output", output, "--quiet"]
        process = subprocess.run(
            [*command, *options], capture_output=True, text=True, cwd=output.parent, timeout=120, check=False
        )
        assert process.returncode == 0, process.stderr
        return microframe.load(output)

    return run
