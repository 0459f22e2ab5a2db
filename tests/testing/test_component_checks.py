"""The checks that components of every kind must pass."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pytest

from microframe import Initializer, Metric, Part, Schedule
from microframe.registry import registry
from microframe.testing import check_component


class Steady(Schedule):
    """The same factor all the time."""

    value: float = 1.0

    def factor(self, epoch, epochs):
        return self.value


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def test_a_right_component_fails_nothing():
    assert failed(Steady) == {}


def test_the_name_of_a_standard_part_is_told_where_it_is_taken():
    class Warmup(Steady):
        pass

    assert "there is a standard schedule 'warmup'" in failed(Warmup)["name_free"]


def test_the_name_of_a_standard_part_of_another_kind_is_free():
    class Adam(Steady):
        pass

    assert "name_free" not in failed(Adam)


def test_a_part_is_no_other_than_the_one_of_its_own_file(monkeypatch):
    same = type("Steady", (Steady,), {"__module__": f"microframe_plugin_file.{__name__.rpartition('.')[2]}"})
    other = type("Steady", (Steady,), {"__module__": "microframe_plugin_file.other"})
    monkeypatch.setattr(registry, "names", lambda kind: [f"elsewhere.{Steady.type}"])
    monkeypatch.setattr(registry, "get", lambda kind, name: same)
    assert "name_free" not in failed(Steady)
    monkeypatch.setattr(registry, "get", lambda kind, name: other)
    assert "there is the schedule 'elsewhere.steady'" in failed(Steady)["name_free"]


def test_a_standard_part_has_its_name_to_itself():
    results = {result.check: result.outcome for result in check_component(registry.get("schedule", "cosine"))}
    assert results["name_free"] == "passed"
    assert "failed" not in results.values()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SlowStart", "a name in snake_case, received 'SlowStart'"),
        ("slow__start", "a name in snake_case"),
        ("_slow", "a name in snake_case"),
        ("2slow", "a name in snake_case"),
        ("lambda", "no keyword of Python, received 'lambda'"),
        ("type", "another name than 'type'"),
    ],
)
def test_names_that_are_not_legal(name, message):
    named = type("Named", (Steady,), {"type": name, "__module__": __name__})
    assert message in failed(named)["name_legal"]


@pytest.mark.parametrize(
    "shared",
    [[], {}, set(), bytearray(), np.zeros(2), ([],), np.random.default_rng(0), iter(()), MappingProxyType({"a": []})],
    ids=lambda shared: type(shared).__name__,
)
def test_what_can_change_must_not_stand_on_the_class(shared):
    sharing = type("Sharing", (Steady,), {"kept": shared, "__module__": __name__})
    assert "expected Sharing.kept to be constant" in failed(sharing)["defaults_not_shared"]


def test_constants_may_stand_on_the_class():
    class Constants(Steady):
        names: ClassVar[tuple[str, ...]] = ("a", "b")
        table = MappingProxyType({"a": (1, 2)})
        choices = frozenset({1, 2})
        frozen = np.zeros(2)
        frozen.flags.writeable = False

    assert failed(Constants) == {}


def test_a_default_argument_that_can_change_is_shared_too():
    class Remembering(Steady):
        def factor(self, epoch, epochs, cache={}):  # noqa: B006  # what is to be found
            return self.value

    expected = "expected the default of cache in test_a_default_argument_that_can_change_is_shared_too.<locals>."
    assert failed(Remembering)["defaults_not_shared"].partition(": ")[2].startswith(expected)


def test_a_value_without_a_hash_does_not_survive_as_configuration():
    class Listing(Steady):
        factors: list[float] = (1.0, 2.0)

    assert "expected fields whose values have a hash, such as tuples" in failed(Listing)["config_round_trip"]


def test_a_value_that_toml_has_no_word_for():
    class Optional(Steady):
        limit: float | None = 1.0

    reason = failed(Optional(limit=None))["config_round_trip"]
    assert "'limit': None} to be read again from its TOML" in reason


@pytest.mark.parametrize("error", [TypeError, ZeroDivisionError, AssertionError])
def test_what_does_not_fit_together_is_refused_with_a_value_error(error):
    class Refusing(Steady):
        def __post_init__(self):
            if self.value < 0:
                raise error("a value of at least 0")

    reason = failed(Refusing)["wrong_type_refused"]
    assert "expected a ConfigError, if any, for value = -1" in reason
    assert "(__post_init__ refuses what does not fit together with a ValueError)" in reason


def test_an_own_constructor_must_refuse_what_the_common_one_does():
    class Own(Steady):
        def __init__(self, value=1.0, **others):
            self.__dict__["value"] = value

    reasons = failed(Own)
    assert "but it was ignored, and Own() was made" in reasons["unknown_field_refused"]
    assert "expected a ConfigError for value = 'wrong', which was accepted" in reasons["wrong_type_refused"]


@pytest.mark.parametrize("hint", [Any, object])
def test_a_field_must_have_a_type(hint):
    loose = type("Loose", (Steady,), {"__annotations__": {"value": hint}, "value": 1.0, "__module__": __name__})
    assert failed(loose).keys() & {"wrong_type_refused", "json_schema"}


class Nested(Metric):
    """Fields that hold parts."""

    first: Part[Initializer] = Part("zeros")
    others: Part[tuple[Schedule, ...]] = Part(())
    maybe: Part[Schedule | None] = Part(None)

    def value(self, prediction, target, weight=None):
        return 0.0


def test_fields_may_hold_parts():
    example = Nested(first={"type": "normal", "mean": 1.0}, others=["constant", {"type": "step", "every": 2}])
    common = {"config_round_trip", "json_schema", "unknown_field_refused", "wrong_type_refused", "defaults_not_shared"}
    assert not failed(example).keys() & common


def upgrading(function, version=2):
    """A component of a later version, which had the field ``alpha`` in place of ``value`` before."""
    members = {"version": version, "upgrade": function, "__module__": __name__}
    return failed(type("Renamed", (Steady,), members)).get("upgrade")


def rename(config):
    return {"value": 1 / config["alpha"]}


@pytest.mark.parametrize(
    "function",
    [
        lambda cls, config, from_version: rename(config),
        lambda cls, config, from_version: rename(config) if from_version < 2 else config,
        lambda cls, config, from_version: {"value": config["value"]["inner"]},
        lambda cls, config, from_version: {"value": config["old"]["inner"]},
    ],
    ids=["renames", "renames if it is old", "fails", "fails for what it asks for"],
)
def test_an_upgrade_gives_fields_or_fails(function):
    assert upgrading(classmethod(function), version=3) is None


def forgets_to_return(cls, config, from_version):
    config["value"] = config.pop("alpha")


def leaves_the_old_name(cls, config, from_version):
    return {**config, "value": config["alpha"]}


def returns_a_component(cls, config, from_version):
    return cls(config["alpha"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            classmethod(forgets_to_return),
            "a dict of fields from upgrade, for a configuration of version 1, received No",
        ),
        (classmethod(leaves_the_old_name), "nothing but fields that there are from upgrade, for a configuration of"),
        (classmethod(returns_a_component), "expected a dict of fields from upgrade, for a configuration of version 1"),
        (forgets_to_return, "a classmethod upgrade(cls, config, from_version), but it cannot be called so: missing"),
        (classmethod(lambda cls, config: config), "but it cannot be called so: too many positional arguments"),
    ],
)
def test_an_upgrade_that_gives_something_else_fails(function, message):
    assert message in upgrading(function)


def test_the_first_version_has_nothing_to_upgrade():
    (result,) = (result for result in check_component(Steady) if result.check == "upgrade")
    assert (result.outcome, result.reason) == ("skipped", "this is its first version, before which nothing was saved")


def test_a_component_that_lets_itself_be_changed():
    class Open(Steady):
        def __setattr__(self, name: str, value: Callable[..., Any]) -> None:
            vars(self)[name] = value

    assert "its field 'value' could be assigned to" in failed(Open)["frozen"]
