"""The conformance suite against components that are known to be faulty, or known to be right."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "planted_bugs"
GUIDE = Path(__file__).parents[2] / "plugins" / "README.md"


def load_planted_bugs():
    """Import the folder as a package; annotations of its components are resolved through `sys.modules`."""
    specification = importlib.util.spec_from_file_location(
        FOLDER.name, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    module = importlib.util.module_from_spec(specification)
    sys.modules[FOLDER.name] = module
    specification.loader.exec_module(module)
    return module


planted_bugs = load_planted_bugs()


def identify(component):
    return f"{component.kind}-{component.__name__}"


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a faulty part may well divide by zero
@pytest.mark.parametrize("planted", planted_bugs.PLANTED, ids=lambda planted: identify(planted.component))
def test_a_planted_bug_is_caught_by_the_check_that_should(planted):
    reason = planted_bugs.reason_of_failure(planted)
    assert reason is not None, f"passed {planted.check}, failed {planted_bugs.failures(planted.component) or 'nothing'}"


@pytest.mark.parametrize("component", planted_bugs.CORRECT, ids=identify)
def test_a_right_component_is_accused_of_nothing(component):
    assert planted_bugs.failures(component) == {}


def test_there_are_bugs_of_every_kind():
    kinds = {planted.component.kind for planted in planted_bugs.PLANTED}
    assert kinds == {component.kind for component in planted_bugs.CORRECT}
    assert len(kinds) == 9


def test_there_are_as_many_bugs_as_the_guide_says():
    (number,) = re.findall(r"`tests/testing/planted_bugs` holds more than (\d+) faulty parts", GUIDE.read_text("utf-8"))
    assert len(planted_bugs.PLANTED) > int(number) >= 40
