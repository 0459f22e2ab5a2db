"""Plugins that pip has installed into an environment of its own, as anybody's would be."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
CHECKOUT = TESTS.parent
SWISH = TESTS / "plugins_for_tests" / "microframe_swish"
MOMENTUM = TESTS / "models" / "notebook_momentum"

NET = """\
[data]
source = "digits"
test = 0.2

[[layers]]
type = "standardize"

[[layers]]
type = "dense"
units = 16
activation = { type = "swish", beta = 1.5 }

[[layers]]
type = "dense"
units = 10
activation = "softmax"

[training]
loss = "cross_entropy"
optimizer = { type = "notebook_momentum", learning_rate = 0.02, momentum = 0.5 }
metrics = ["accuracy"]
epochs = 3
"""

UPGRADE = """\
    version = 2
    slope: float = 1.0

    @classmethod
    def upgrade(cls, config, from_version):
        return {"slope": config["beta"]}
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with microframe and two plugins, and a model that was trained with both."""

    python: Path
    wheels: dict[str, Path]
    folder: Path

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.python), *map(str, words)],
            cwd=self.folder,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    def pip(self, *words: object) -> None:
        result = self.run("-m", "pip", *words)
        assert result.returncode == 0, result.stderr

    def microframe(self, *words: object) -> subprocess.CompletedProcess[str]:
        result = self.run("-m", "microframe", *words)
        assert "Traceback" not in result.stderr
        return result

    def json(self, *words: object) -> Any:
        result = self.microframe(*words, "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def build(self, *projects: object, into: Path) -> list[Path]:
        """The wheels of projects."""
        self.pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", into, *projects)
        return list(into.glob("*.whl"))

    def install(self, *wheels: Path) -> None:
        self.pip("install", "--no-deps", "--no-index", *wheels)

    @contextmanager
    def without(self, distribution: str) -> Iterator[None]:
        """While inside, `distribution` is not installed."""
        self.pip("uninstall", "--yes", distribution)
        try:
            yield
        finally:
            self.install(self.wheels[distribution])


def link_dependencies(packages: Path) -> None:
    """Take what microframe depends on, pip and the build tool from the environment that the tests run in.

    What is called like a plugin of microframe stays out.
    """
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for package in Path(folder).iterdir():
            if "microframe" not in package.name and not (packages / package.name).exists():
                (packages / package.name).symlink_to(package)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=os.name == "posix")
    scripts = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    python = Path(sysconfig.get_path("scripts", "venv", scripts)) / Path(sys.executable).name
    link_dependencies(Path(sysconfig.get_path("purelib", "venv", scripts)))
    found = Environment(python, {}, folder)
    for wheel in found.build(CHECKOUT, SWISH, MOMENTUM, into=folder):
        found.wheels[wheel.name.partition("-")[0].replace("_", "-")] = wheel
    found.pip("install", "--no-deps", "--no-index", "--ignore-installed", *found.wheels.values())
    (folder / "net.toml").write_text(NET)
    result = found.microframe("run", "net.toml")
    assert result.returncode == 0, result.stderr
    return found


def predict(environment):
    return environment.microframe("run", "net.h5", CHECKOUT / "models" / "digits-samples.csv")


def test_the_plugin_is_the_readme_s(environment):
    assert (SWISH / "microframe_swish.py").read_text() in (CHECKOUT / "README.md").read_text()


def test_microframe_runs_from_the_new_environment(environment):
    assert environment.run("-c", "import microframe; print(microframe.__file__)").stdout.startswith(
        str(environment.folder)
    )
    script = environment.python.parent / "microframe"
    assert subprocess.run([script, "--version"], capture_output=True, check=True).stdout.startswith(b"microframe, ")


def test_plugins_are_found_by_their_entry_points(environment):
    rows = {row["name"]: row for row in environment.json("plugins", "list")}
    assert list(rows) == ["standard", "notebook_momentum", "swish", "swish_command"]
    assert rows["swish"]["distribution"] == "microframe-swish"
    assert rows["swish"]["provides"] == {"activation": ["swish"]}
    assert rows["swish_command"]["provides"] == {"command": ["swish"]}
    assert {row["state"] for row in rows.values()} == {"ok"}


def test_a_plugin_s_command_is_a_command(environment):
    result = environment.microframe("swish", "1")
    assert (result.returncode, result.stdout, result.stderr) == (0, "0.731059\n", "")


def test_a_model_that_needs_a_plugin_predicts_in_a_new_process(environment):
    result = predict(environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 12


def test_the_model_file_records_who_provided_each_part(environment):
    report = environment.json("inspect", "net.h5")
    assert report["config"]["layers"][1]["activation"] == {"type": "swish.swish", "beta": 1.5}
    assert report["providers"]["activation:swish.swish"] == {
        "plugin": "swish",
        "module": "microframe_swish",
        "distribution": "microframe-swish",
        "distribution_version": "1.0",
        "component_version": 1,
        "interface_version": 1,
        "installed_version": "1.0",
    }
    momentum = report["providers"]["optimizer:notebook_momentum.notebook_momentum"]
    assert momentum["distribution"] == "microframe-notebook-momentum"
    assert "swish (microframe-swish 1.0)" in environment.microframe("inspect", "net.h5").stdout


def test_predicting_imports_the_plugins_of_the_layers_alone(environment):
    samples = CHECKOUT / "models" / "digits-samples.csv"
    report = environment.run("-v", "-m", "microframe", "predict", "net.h5", samples).stderr
    imported = set(re.findall(r"^import '(\S+)'", report, re.MULTILINE))
    assert "microframe_swish" in imported
    assert not imported & {"microframe_swish_command", "notebook_momentum"}


@pytest.mark.parametrize("words", [["--no-plugins"], ["--without", "swish"], ["--without", "microframe-swish"]])
def test_a_plugin_that_is_left_out_cannot_be_used(words, environment):
    result = environment.microframe("predict", "net.h5", CHECKOUT / "models" / "digits-samples.csv", *words)
    assert (result.returncode, result.stdout) == (5, "")
    assert "the activation 'swish.swish' needs the plugin 'swish', left out on request" in result.stderr


def test_without_the_optimizer_s_plugin_a_model_still_predicts_but_cannot_be_trained(environment):
    before = predict(environment).stdout
    with environment.without("microframe-notebook-momentum"):
        after = predict(environment)
        assert (after.returncode, after.stdout, after.stderr) == (0, before, "")
        assert environment.microframe("inspect", "net.h5").returncode == 0
        resumed = environment.microframe("train", "net.h5", "--resume", "--epochs", 4)
        assert resumed.returncode == 5
        assert resumed.stderr.endswith(': training.optimizer\npip install "microframe-notebook-momentum>=0.1.0"\n')
    assert environment.microframe("train", "net.h5", "--resume", "--epochs", 4).returncode == 0


def test_without_a_layer_s_plugin_the_error_says_what_is_missing(environment):
    with environment.without("microframe-swish"):
        result = predict(environment)
        assert (result.returncode, result.stdout) == (5, "")
        assert result.stderr.splitlines() == [
            "error: net.h5: the activation 'swish.swish' needs the plugin 'swish' from microframe-swish 1.0, "
            "not installed: dense_1 (layers[1].activation)",
            'pip install "microframe-swish>=1.0"',
        ]
        assert environment.microframe("config", "validate", "net.toml").returncode == 3
    assert predict(environment).returncode == 0


@pytest.fixture
def newer_swish(tmp_path) -> Path:
    """The plugin as its author has gone on with it: the field ``beta`` is called ``slope`` now."""
    project = shutil.copytree(SWISH, tmp_path / "swish")
    module, metadata = project / "microframe_swish.py", project / "pyproject.toml"
    module.write_text(module.read_text().replace("    beta: float = 1.0\n", UPGRADE).replace("self.beta", "self.slope"))
    metadata.write_text(metadata.read_text().replace('version = "1.0"', 'version = "1.10"'))
    return project


def test_a_newer_version_of_a_plugin_reads_what_the_older_one_saved(environment, newer_swish, tmp_path):
    before = predict(environment).stdout
    environment.install(*environment.build(newer_swish, into=tmp_path))
    try:
        after = predict(environment)
        assert (after.returncode, after.stdout) == (0, before)
        assert after.stderr == (
            "warning: net.h5: saved with microframe-swish 1.0, and the newer 1.10 is installed, for "
            "dense_1 (layers[1].activation)\n"
        )
        # what is shown is what the file has, which nobody has rewritten
        assert environment.json("inspect", "net.h5")["config"]["layers"][1]["activation"]["beta"] == 1.5
    finally:
        environment.install(environment.wheels["microframe-swish"])
