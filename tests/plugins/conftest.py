"""What the tests of plugins share: distributions that are installed for a test, and what a lookup is told."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from microframe.registry import Registry

HOOK = """
    import microframe

    @microframe.hookimpl
    def microframe_components():
        return {}
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("MICROFRAME_PLUGIN", "MICROFRAME_WITHOUT", "MICROFRAME_NO_PLUGINS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def install(tmp_path, monkeypatch, write_distribution) -> Callable[..., Path]:
    """Installs a distribution for the test; gives the folder with its modules."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    installed: list[str] = []

    def install(distribution, entry_points, modules, version="1.0"):
        write_distribution(site, distribution, entry_points, modules, version)
        installed.extend(modules)
        importlib.invalidate_caches()
        return site

    yield install
    for name in installed:
        sys.modules.pop(name, None)


@pytest.fixture
def write_plugin(tmp_path) -> Callable[..., str]:
    """Writes a plugin that isn't installed; gives its path."""

    def write(name: str, source: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return str(path)

    return write


@pytest.fixture(scope="session")
def components_hook() -> Callable[[str], str]:
    """Gives the source of a plugin whose microframe_components returns an expression."""
    return HOOK.format


@pytest.fixture(scope="session")
def problem_of() -> Callable[..., str]:
    """Gives what is said of a name that a registry doesn't know."""

    def problem_of(registry: Registry, name: str, kind: str = "activation") -> str:
        problems = []
        assert registry.find(kind, name, (), problems) is None
        return str(problems[0])

    return problem_of
