"""What these tests share: plugins that other versions replace, and a model file that needs them."""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import microframe
from microframe import ProviderVersionWarning
from microframe.registry import Registry, registry
from microframe.storage import ModelFile, write_model_file

HEADER = """
from dataclasses import KW_ONLY
import numpy as np
import microframe
from microframe import Part
"""

SCALE = """
class Scale(microframe.Activation):
    {body}

    def forward(self, x, out):
        np.multiply(x, {factor}, out=out)

    def backward(self, dy, x, y, out):
        np.multiply(dy, {factor}, out=out)
"""
HALF = SCALE.format(body="version = 1", factor="0.5")
SLOPE = SCALE.format(body="slope: float = 0.5", factor="self.slope")
FACTOR = SCALE.format(
    body="""
    version = 2
    factor: float

    @classmethod
    def upgrade(cls, config, from_version):
        assert from_version == 1
        return {"factor": config.pop("slope", 0.5)}
""",
    factor="self.factor",
)

TWICE = """
class Twice(microframe.Layer):
    {fields}

    def build(self, scope, shape):
        return shape

    def forward(self, ctx, x):
        y = np.empty_like(x)
        self.{first}.forward(x, y)
        self.{first}.forward(y, y)
        return y

    def backward(self, ctx, dy):
        return dy
"""
INNER = TWICE.format(fields="inner: Part[microframe.Activation]", first="inner")
ACTIVATIONS = TWICE.format(
    fields="""
    version = 3
    activations: Part[tuple[microframe.Activation, ...]]
    other: Part[microframe.Activation | None] = Part({"type": "parts.scale", "factor": 7.0})

    @classmethod
    def upgrade(cls, config, from_version):
        assert (config, from_version) == ({"inner": {"type": "parts.scale", "slope": 0.25}}, 1)
        return {"activations": [config["inner"]]}
""",
    first="activations[0]",
)

FOLLOW = """
class Follow(microframe.Optimizer):
    {body}

    def update(self, parameters, gradients, ctx):
        parameters -= ctx.learning_rate * gradients
"""
STEPS = FOLLOW.format(body="steps: tuple[float, ...] = (0.5,)")
STRIDE = FOLLOW.format(
    body="""
    version = 2
    stride: float = 0.5

    @classmethod
    def upgrade(cls, config, from_version):
        config["stride"] = config["steps"].pop()
        del config["steps"]
        return config
"""
)

HOOK = """
@microframe.hookimpl
def microframe_components():
    return [value for name, value in list(globals().items()) if getattr(value, "__module__", "") == __name__
            and isinstance(value, type)]
"""

numbers = itertools.count()


@pytest.fixture(scope="session")
def code() -> SimpleNamespace:
    """The sources of parts, each with what its older and newer versions differ in."""
    return SimpleNamespace(
        half=HALF,
        slope=SLOPE,
        factor=FACTOR,
        inner=INNER,
        activations=ACTIVATIONS,
        steps=STEPS,
        stride=STRIDE,
        with_upgrade=lambda body: SCALE.format(body=textwrap.dedent(body), factor="0.5"),
    )


class Site:
    """A folder of distributions; after each change all is as in a new process, as far as plugins are concerned."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, write_distribution: Callable[..., None]) -> None:
        self.folder, self.monkeypatch, self.write_distribution = folder, monkeypatch, write_distribution
        self.modules: list[str] = []

    def install(self, version: str, *code: str, plugin: str = "parts", distribution: str | None = None) -> None:
        distribution = distribution or f"microframe-{plugin}"
        self.remove(distribution)
        module = f"{plugin}_of_a_test_{next(numbers)}"
        self.modules.append(module)
        self.write_distribution(self.folder, distribution, {plugin: module}, {module: self.module(*code)}, version)
        self.renew()

    @staticmethod
    def module(*code: str) -> str:
        return "\n".join((HEADER, *code, HOOK))

    def remove(self, distribution: str = "microframe-parts") -> None:
        for metadata in self.folder.glob(f"{distribution.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(metadata)
        self.renew()

    def renew(self) -> None:
        importlib.invalidate_caches()
        self.monkeypatch.setattr(registry, "__dict__", vars(Registry()))


@pytest.fixture
def site(tmp_path, monkeypatch, write_distribution) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    site = Site(folder, monkeypatch, write_distribution)
    yield site
    for module in site.modules:
        sys.modules.pop(module, None)


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    """Twenty samples of three features."""
    return np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


class File:
    """A model file, and what a test does with it."""

    def __init__(self, path: Path, x: np.ndarray) -> None:
        self.path, self.x = path, x

    def save(self, *layers: Any) -> np.ndarray:
        """An untrained network of the layers and one more; gives what it predicts for `x`."""
        model = microframe.Model([*layers, {"type": "dense", "units": 2}]).build((3,))
        model.save(self.path)
        return model.predict(self.x)

    def train(self, *layers: Any, optimizer: Any) -> np.ndarray:
        """A network of the layers and one more, trained for an epoch; gives what it predicts for `x`."""
        model = microframe.Model([*layers, {"type": "dense", "units": 1}])
        model.fit(self.x, self.x[:, :1], loss="mean_squared_error", optimizer=optimizer, epochs=1)
        model.save(self.path)
        return model.predict(self.x)

    def load(self) -> microframe.Model:
        return microframe.load(self.path)

    def load_silently(self) -> microframe.Model:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ProviderVersionWarning)
            return self.load()

    @property
    def manifest(self) -> dict[str, Any]:
        with ModelFile(self.path) as file:
            return file.manifest

    def edit(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Write the file anew with its manifest changed."""
        with ModelFile(self.path) as file:
            manifest, tensors = file.manifest, {name: file.read(name) for name in file.manifest["tensors"]}
        change(manifest)
        write_model_file(self.path, {name: value for name, value in manifest.items() if name != "tensors"}, tensors)


@pytest.fixture
def file(tmp_path, x) -> File:
    return File(tmp_path / "model.h5", x)
