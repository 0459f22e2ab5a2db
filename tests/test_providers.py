from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microframe import Layer
from microframe.component import Component
from microframe.configuration import Configuration
from microframe.errors import PluginError
from microframe.plugins import Provider
from microframe.providers import (
    Record,
    RequirementError,
    components,
    difference,
    find_recorded,
    installed_instead,
    installed_version,
    record_all,
    to_json,
)
from microframe.registry import registry
from microframe.standard.layers import Dense
from microframe.storage import Refused, check_fields
from microframe.version import __version__

NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4)


def dotted(numbers):
    return ".".join(map(str, numbers))


@pytest.mark.parametrize(
    ("installed", "recorded", "how"),
    [
        ("1.0", "1.0", None),
        ("1.0", "1", None),
        ("1.10", "1.9", "newer"),
        ("1.9", "1.10", "older"),
        ("2", "1.99.3", "newer"),
        ("2.0rc1", "2.0rc1", None),
        ("2.0rc1", "2.0", "another"),
        ("2.0", "2.0+local", "another"),
        ("1!1.0", "2.0", "another"),
        (None, "1.0", None),
        ("1.0", None, None),
        ("9" * 5000, "1.0", "another"),
    ],
)
def test_versions_are_ordered_where_numbers_decide(installed, recorded, how):
    assert difference(installed, recorded) == how


@given(NUMBERS, NUMBERS)
def test_one_of_two_versions_is_the_newer(a, b):
    there_and_back = (difference(dotted(a), dotted(b)), difference(dotted(b), dotted(a)))
    is_equal = a + [0] * (4 - len(a)) == b + [0] * (4 - len(b))
    assert there_and_back in ([(None, None)] if is_equal else [("newer", "older"), ("older", "newer")])
    assert is_equal or (difference(dotted(a), dotted(b)) == "newer") == (a > b)


@pytest.mark.parametrize(
    ("distribution", "version", "line"),
    [
        ("microframe-swish", "1.0", '"microframe-swish>=1.0"'),
        ("microframe_swish.x", "1!2.0.post1", '"microframe_swish.x>=1!2.0.post1"'),
        ("microframe-swish", "1.0+cpu", '"microframe-swish>=1.0"'),
        ("microframe-swish", None, '"microframe-swish"'),
        ("microframe-swish", '1.0"; rm -rf "', '"microframe-swish"'),
        ('x"; rm -rf "', "1.0", None),
        ("--editable=elsewhere", "1.0", None),
        ("$(id)", "1.0", None),
        (None, None, None),
        ("x" * 101, "1.0", None),
        ("microframe-swish", "1" * 101, '"microframe-swish"'),
    ],
)
def test_a_requirement_is_what_pip_takes_and_nothing_that_a_shell_would_run(distribution, version, line):
    assert Record("swish", "swish_module", distribution, version).requirement() == line


FORGED = 'good\npip install "evil"\n\x1b[2K'


@pytest.mark.parametrize(
    "record",
    [
        Record("gone", "gone_module", FORGED, "1.0"),
        Record("gone", "gone_module", "microframe-gone", FORGED),
        Record("gone", FORGED),
        Record("gone", FORGED + ".py"),
        Record(FORGED, "gone_module", "microframe-gone", "1.0"),
        Record("local", FORGED),
        Record("standard", None, FORGED, FORGED),
        Record("gone", "gone_module", "x" * 10**6, "1.0"),
        Record("gone", "gone_module", "microframe-gone", "1" * 10**6),
        Record("gone", "x" * 10**6),
        Record("x" * 10**6, "gone_module", "microframe-gone", "1.0"),
        Record("local", "x" * 10**6),
    ],
    ids=lambda record: ",".join(str(value)[:5] for value in (record.plugin, record.module, record.distribution)),
)
@pytest.mark.parametrize("name", ["gone.layer", f"{FORGED}.layer", f"gone.{FORGED}", "gone." + "x" * 10**6])
def test_what_a_file_says_of_a_provider_is_shown_on_one_line_of_readable_length(record, name):
    name = f"local.{name}" if record.plugin == "local" else name
    with pytest.raises(PluginError) as error:
        find_recorded(Layer, name, record)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 700
    assert (getattr(error.value, "requirement", None) or "").isprintable()


def test_what_is_installed_instead_of_what_a_file_says_is_shown_on_one_line():
    assert installed_instead(Record("x", "y", FORGED, FORGED), Provider("x", "y", "fork", "1\n0")) == r"fork 1\n0"
    origin = Record("x", "y", FORGED, "1.0").origin
    assert origin == r'good\npip install "evil"\n\x1b[2K 1.0'


def test_every_component_of_a_configuration_has_its_record():
    configuration = Configuration.parse(
        {
            "layers": [{"type": "dense", "units": 1, "activation": "tanh"}, "flatten"],
            "data": {"source": "digits"},
            "training": {"loss": "hinge", "optimizer": {"type": "sgd", "schedule": "cosine"}, "metrics": ["accuracy"]},
        }
    )
    expected = {
        "activation:tanh",
        "initializer:glorot_uniform",
        "initializer:zeros",
        "layer:dense",
        "layer:flatten",
        "loss:hinge",
        "metric:accuracy",
        "optimizer:sgd",
        "schedule:cosine",
        "source:digits",
    }
    records = record_all(configuration)
    assert set(records) == expected
    assert len(components(configuration)) == len(expected)
    assert records["layer:dense"] == Record("standard", "microframe.standard.layers", "microframe", __version__, 1, 1)
    assert read(to_json(records)) == records


def read(values):
    """The records that plain values from a file describe."""
    return check_fields(values, dict[str, Record])


def test_what_a_file_leaves_out_of_a_record_has_a_default_and_what_is_of_tomorrow_is_ignored():
    assert read({"layer:x.y": {"plugin": "x", "colour": "red"}}) == {"layer:x.y": Record("x")}


@pytest.mark.parametrize(
    "values",
    [
        5,
        [],
        {"layer:x": 5},
        {"layer:x": {}},
        {"layer:x": {"plugin": "x", "component_version": "2"}},
        {"layer:x": {"plugin": "x", "component_version": True}},
    ],
)
def test_what_is_no_record_is_refused(values):
    with pytest.raises(Refused, match=r"Expected|missing") as error:
        read(values)
    assert error.value.code == "E_MANIFEST_FIELD"


def test_the_folder_of_a_plugin_that_is_a_file_is_not_recorded(tmp_path, swish, monkeypatch):
    monkeypatch.setattr(registry, "provider", lambda component: Provider("swish", str(tmp_path / "swish.py")))
    assert Record.of(Dense) == Record("swish", "swish.py")


@pytest.mark.parametrize(
    ("provider", "instead"),
    [
        (Provider("swish", "module", "microframe-swish", "1.0"), None),
        (Provider("swish", "module", "Microframe_Swish", "1.0.0"), None),
        (Provider("swish", "module", "microframe-swish", "1.1"), "the newer 1.1"),
        (Provider("swish", "module", "microframe-swish", "0.9"), "the older 0.9"),
        (Provider("swish", "module", "microframe-swish", "1.0b2"), "another version, 1.0b2,"),
        (Provider("swish", "module", "swish-fork", "1.0"), "swish-fork 1.0"),
        (Provider("swish", "swish.py"), None),
        (Provider("standard", "microframe.standard.layers", "microframe", "99"), None),
    ],
)
def test_a_provider_that_is_not_the_recorded_one_is_described(provider, instead):
    assert installed_instead(Record("swish", "module", "microframe-swish", "1.0"), provider) == instead


def test_a_distribution_that_cannot_be_is_not_installed():
    assert installed_version("") is None
    assert installed_version("a distribution that nobody has") is None
    assert installed_version("microframe") is not None


@pytest.mark.parametrize(
    ("name", "record", "message", "requirement"),
    [
        (
            "dense",
            Record("standard", None, "microframe", "99", interface_version=2),
            f"the layer 'dense' needs version 2 of the layer interface, and microframe {__version__} has version 1",
            f'"microframe>{__version__}"',
        ),
        (
            "dense",
            Record("standard", None, "microframe", "99", component_version=7),
            "the layer 'dense' was saved by version 7 of its class, from microframe 99, and "
            f"standard (microframe {__version__}) has version 1",
            '"microframe>=99"',
        ),
        (
            "of_tomorrow",
            Record("standard", None, "microframe", "99"),
            f"the layer 'of_tomorrow' is from microframe 99, and microframe {__version__}, which is installed, has "
            "none of that name",
            '"microframe>=99"',
        ),
        (
            "of_yesterday",
            Record("standard", None, "microframe", "0.0.1"),
            f"the layer 'of_yesterday' is from microframe 0.0.1, and microframe {__version__}, which is installed, has "
            "none of that name",
            '"microframe==0.0.1"',
        ),
        (
            "gone.layer",
            Record("gone", "gone_module", "microframe-gone", "1.2"),
            "the layer 'gone.layer' needs the plugin 'gone' from microframe-gone 1.2, not installed",
            '"microframe-gone>=1.2"',
        ),
        (
            "gone.layer",
            Record("gone", "gone_module", "msgspec", "999"),
            "the layer 'gone.layer' needs the plugin 'gone' from msgspec 999; msgspec "
            f"{installed_version('msgspec')}, which is installed, has no such plugin",
            '"msgspec>=999"',
        ),
        (
            "gone.layer",
            Record("gone", "gone_module", "msgspec", "0.0.1"),
            "the layer 'gone.layer' needs the plugin 'gone' from msgspec 0.0.1; msgspec "
            f"{installed_version('msgspec')}, which is installed, has no such plugin",
            '"msgspec==0.0.1"',
        ),
    ],
)
def test_what_pip_can_bring_is_said_with_what_to_install(name, record, message, requirement):
    with pytest.raises(RequirementError) as error:
        find_recorded(Layer, name, record)
    assert (str(error.value), error.value.requirement) == (message, requirement)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            Record("mine", "a folder/mine.py"),
            "from a folder/mine.py, which was not installed: --plugin 'a folder/mine.py'",
        ),
        (Record("mine", "package.mine"), "from package.mine, which was not installed: --plugin package.mine loads it"),
        (
            Record("local", "notebook"),
            "is a class of the module 'notebook', where it was passed to microframe.register",
        ),
    ],
    ids=["file", "module", "local"],
)
def test_what_pip_cannot_bring_is_said_with_where_it_came_from(record, message):
    with pytest.raises(PluginError) as error:
        find_recorded(Layer, f"{record.plugin}.layer", record)
    assert message in str(error.value)
    assert not isinstance(error.value, RequirementError)


def test_a_standard_part_that_is_not_there_is_not_taken_from_a_plugin(monkeypatch):
    monkeypatch.setattr(registry, "find", lambda *_: pytest.fail("somebody else was asked"))
    assert find_recorded(Layer, "of_today", Record("standard", None, "microframe", __version__)) is None


@pytest.mark.parametrize("version", [0, -1, "2", 1.0, None])
def test_the_version_of_a_component_is_a_whole_number(version):
    with pytest.raises(TypeError, match=r"Part\.version: expected a whole number of at least 1, not "):
        type("Part", (Component,), {"version": version})
