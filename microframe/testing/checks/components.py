"""What every component must do, whatever its kind."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import keyword
import math
import random
import re
import tomllib
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence, MutableSet
from dataclasses import MISSING
from typing import Any

import numpy as np
import tomli_w

from microframe.component import Component, Example, config
from microframe.errors import ConfigError, Problem, error_of
from microframe.plugins import LOCAL, STANDARD
from microframe.registry import registry
from microframe.schema import check_fields, component_schema
from microframe.settings import parse
from microframe.testing.conformance import Skipped

_TRIED: tuple[Any, ...] = (
    "wrong",
    "",
    True,
    -1,
    0,
    1,
    2,
    0.5,
    -1e300,
    math.nan,
    math.inf,
    [],
    [1, 2],
    ["wrong", {"wrong": 1}],
    {},
    {"wrong": 1},
    object(),
)
"""Values of all sorts; for every field some of them are of a wrong type."""
_UNKNOWN = "no_such_field"
_MOST_ASKED_FOR = 50
"""How many fields an older version may have had that this one lacks."""
_MUTABLE = (
    MutableSequence,
    MutableMapping,
    MutableSet,
    Iterator,
    random.Random,
    np.random.Generator,
    np.random.RandomState,
)


def config_round_trip(example: Example) -> None:
    """What is read from the configuration, written as JSON and as TOML, is an equal component with an equal hash."""
    component = example.component
    try:
        known = hash(component)
    except TypeError as error:
        raise AssertionError(f"expected fields whose values have a hash, such as tuples, received {error}") from error
    plain = config(component)
    for form, write, read in (("JSON", _as_json, json.loads), ("TOML", _as_toml, _from_toml)):
        try:
            again = _parsed(type(component), read(write(plain)))
        except Exception as error:
            raise AssertionError(f"expected {plain!r} to be read again from its {form}, but {error}") from error
        assert again == component, f"expected {component!r} again from its {form}, received {again!r}"
        assert hash(again) == known, f"expected the same hash for what is read from {form}, received another"


def json_schema(example: Example) -> None:
    """There is a JSON Schema of the configuration: it has each field with its default, and says which are required."""
    component = type(example.component)
    try:
        check_fields(component)
        schema = json.loads(json.dumps(component_schema(component), allow_nan=False))
    except Exception as error:
        raise AssertionError(f"expected fields that a JSON Schema can describe, but {error}") from error
    fields = {field.name: field for field in component.fields()}
    properties = schema["properties"]
    assert properties.keys() == {"type", *fields}, f"expected 'type' and {[*fields]} in it, received {[*properties]}"
    required = ["type", *(name for name, field in fields.items() if field.default is MISSING)]
    assert schema["required"] == required, f"expected {required} to be required, received {schema['required']}"
    for name, field in fields.items():
        if field.default not in (MISSING, None):
            default = parse(properties[name].get("default"), component.field_types()[name], (name,), [])
            expected = component.parsed_default(name)
            assert default == expected, f"expected {name} to have the default {expected!r} in it, received {default!r}"


def unknown_field_refused(example: Example) -> None:
    """A field that there is none of is refused by its name, in a configuration and in Python."""
    component = example.component
    plain = config(component)
    table = {"type": plain} if isinstance(plain, str) else plain
    values = {field.name: getattr(component, field.name) for field in component.fields()}
    _assert_unknown_refused(lambda: _parsed(type(component), table | {_UNKNOWN: 1}))
    _assert_unknown_refused(lambda: type(component)(**values, **{_UNKNOWN: 1}))


def wrong_type_refused(example: Example) -> None:
    """A value of a wrong type is refused by each field with a ConfigError, and no value leads to any other error."""
    component = example.component
    for name, hint in component.field_types().items():
        wrong = [value for value in _TRIED if not _fits(value, hint)]
        assert len(wrong) > 2, (
            f"expected {name} to be annotated with a type, received {hint}, to which anything belongs"
        )
        for value in _TRIED:
            _assert_handled(component, name, value, refused=any(value is one for one in wrong))


def defaults_not_shared(example: Example) -> None:
    """Nothing that can change is shared between instances: no default, and nothing that stands on the class."""
    one, other = (dataclasses.replace(example.component) for _ in range(2))
    shared = {id(found) for value in vars(one).values() for found in _mutable_within(value)}
    for name, value in vars(other).items():
        for found in _mutable_within(value):
            assert id(found) not in shared, f"expected {name} not to be shared, but two instances have one {found!r}"
    for owner in type(one).__mro__:
        if _is_own(owner):
            _assert_nothing_mutable(owner, one.field_types())


def name_legal(example: Example) -> None:
    """The name is a word in snake_case, no keyword of Python, and not ``type``."""
    name = example.component.type
    assert isinstance(name, str), f"expected type to be a string, received {name!r}"
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), f"expected a name in snake_case, received {name!r}"
    assert not keyword.iskeyword(name), f"expected a name that is no keyword of Python, received {name!r}"
    assert name != "type", "expected another name than 'type', which is what configurations call the name itself"


def name_free(example: Example) -> None:
    """No standard part and no part of another plugin has the name; that of a standard part is found first."""
    component = type(example.component)
    provider = registry.provider(component).name
    kind, name = component.kind, component.type
    if provider == STANDARD:
        assert registry.get(kind, name) is component, f"expected one standard {kind} {name!r}, but there are two"
        return
    assert name not in registry.standard_names(kind), (
        f"expected a name of its own, but there is a standard {kind} {name!r}"
    )
    for reference in registry.names(kind):
        other, _, plain = reference.rpartition(".")
        is_other = plain == name and other not in ("", provider, LOCAL)
        assert not is_other or _is_state_of(registry.get(kind, reference), component), (
            f"expected a name of its own, but there is the {kind} {reference!r}"
        )


def frozen(example: Example) -> None:
    """No field can be assigned to, and nothing else can be set on an instance."""
    component = dataclasses.replace(example.component)
    for name in (*component.field_types(), _UNKNOWN):
        try:
            setattr(component, name, getattr(component, name, None))
        except AttributeError:
            continue
        what = f"its field {name!r} could be assigned to" if name != _UNKNOWN else "an attribute could be set on it"
        raise AssertionError(f"expected a frozen component, but {what}")


def upgrade(example: Example) -> None:
    """`upgrade` turns what any older version saved into a dict of fields that there are, or raises an error."""
    component = type(example.component)
    if component.version == 1:
        raise Skipped("this is its first version, before which nothing was saved")
    try:
        inspect.signature(component.upgrade).bind({}, 1)
    except TypeError as error:
        raise AssertionError(
            f"expected a classmethod upgrade(cls, config, from_version), but it cannot be called so: {error}"
        ) from error
    plain = config(example.component)
    fields = {} if isinstance(plain, str) else {name: value for name, value in plain.items() if name != "type"}
    for version in range(1, component.version):
        try:
            upgraded = _upgraded(component, fields, version)
        except Exception:  # noqa: S112  # nobody outside knows what the fields of that version were like
            continue
        what = f"from upgrade, for a configuration of version {version}"
        assert isinstance(upgraded, dict), f"expected a dict of fields {what}, received {upgraded!r}"
        unknown = sorted(map(str, upgraded.keys() - component.field_types().keys()))
        assert not unknown, f"expected nothing but fields that there are {what}, received {', '.join(unknown)} too"


CHECKS: tuple[Callable[[Example], None], ...] = (
    config_round_trip,
    json_schema,
    unknown_field_refused,
    wrong_type_refused,
    defaults_not_shared,
    name_legal,
    name_free,
    frozen,
    upgrade,
)


def _upgraded(component: type[Component], fields: Mapping[str, Any], version: int) -> Any:
    """What `upgrade` makes of `fields`, and of those beside them that it asks for, which are all given as 1."""
    given = dict(fields)
    for _ in range(_MOST_ASKED_FOR):
        try:
            return component.upgrade(copy.deepcopy(given), version)
        except KeyError as error:
            (name,) = error.args
            if not isinstance(name, str) or name in given:
                raise
            given[name] = 1
    raise KeyError("more than any version had")


def _as_json(plain: Any) -> str:
    return json.dumps(plain, allow_nan=False)


def _as_toml(plain: Any) -> str:
    return tomli_w.dumps({"part": plain})


def _from_toml(text: str) -> Any:
    return tomllib.loads(text)["part"]


def _parsed(component: type[Component], plain: Any) -> Any:
    """What a configuration makes of `plain`."""
    problems: list[Problem] = []
    parsed = component.from_value(plain, (), problems)
    if problems:
        raise error_of(problems)
    return parsed


def _assert_unknown_refused(make: Callable[[], Any]) -> None:
    expected = f"expected a ConfigError that names the field {_UNKNOWN!r}"
    try:
        made = make()
    except ConfigError as error:
        message = str(error)
    except Exception as error:
        raise AssertionError(f"{expected}, received {type(error).__name__}: {error}") from error
    else:
        raise AssertionError(f"{expected}, but it was ignored, and {made!r} was made")
    assert _UNKNOWN in message, f"{expected}, received one that says: {message}"


def _fits(value: Any, hint: Any) -> bool:
    """Whether `value` is one for a field that is annotated `hint`."""
    problems: list[Problem] = []
    parse(value, hint, (), problems)
    return not problems


def _assert_handled(component: Component, name: str, value: Any, *, refused: bool) -> None:
    """Assert that a value of a field is refused, or if it need not be, that it is if anything refused properly."""
    try:
        dataclasses.replace(component, **{name: value})
    except ConfigError:
        return
    except Exception as error:
        received = f"received {type(error).__name__}: {error}"
        hint = " (__post_init__ refuses what does not fit together with a ValueError)" if not refused else ""
        raise AssertionError(f"expected a ConfigError, if any, for {name} = {value!r}, {received}{hint}") from error
    assert not refused, f"expected a ConfigError for {name} = {value!r}, which was accepted"


def _is_state_of(other: type[Component], component: type[Component]) -> bool:
    """Whether two classes are one, imported as a module and as a plugin's file, say."""
    names = [(known.__module__.rpartition(".")[2], known.__qualname__) for known in (other, component)]
    return names[0] == names[1]


def _is_own(owner: type) -> bool:
    """Whether a class is not of the core."""
    module = owner.__module__
    return module.partition(".")[0] != "microframe" or module.startswith("microframe.standard.")


def _assert_nothing_mutable(owner: type, fields: Mapping[str, Any]) -> None:
    for name, value in vars(owner).items():
        if name in fields or name.startswith(("__", "_abc_")) or name == "_field_types":
            continue
        where = f"{owner.__qualname__}.{name}"
        for found in _mutable_within(value):
            raise AssertionError(f"expected {where} to be constant, such as a tuple, received {found!r}")
        for argument, default in _default_arguments(value):
            for found in _mutable_within(default):
                raise AssertionError(
                    f"expected the default of {argument} in {where} to be constant, such as None, received {found!r}"
                )


def _mutable_within(value: Any) -> Iterator[Any]:
    """`value`, or what stands inside it, as far as it can be changed in place."""
    if isinstance(value, np.ndarray):
        if value.flags.writeable:
            yield value
    elif isinstance(value, tuple | frozenset):
        for inner in value:
            yield from _mutable_within(inner)
    elif isinstance(value, types.MappingProxyType):
        for inner in value.values():
            yield from _mutable_within(inner)
    elif isinstance(value, _MUTABLE):
        yield value


def _default_arguments(value: Any) -> Iterator[tuple[str, Any]]:
    """The default arguments of a method, by name."""
    function = getattr(value, "__func__", value)
    if isinstance(function, types.FunctionType):
        for parameter in inspect.signature(function).parameters.values():
            yield parameter.name, parameter.default
