from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest

from microframe.component import Component, Part
from microframe.configuration import Configuration
from microframe.interfaces import Activation, Initializer
from microframe.registry import KINDS, Registry, registry
from microframe.schema import check_fields, component_schema, configuration_schema
from microframe.values import PositiveFloat

MODELS = sorted(Path(__file__).parent.parent.glob("models/*.toml"))
PARTS = [(kind, name) for kind in KINDS for name in registry.standard_names(kind)]
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
KEYWORDS = {
    "$schema",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "type",
    "enum",
    "const",
    "anyOf",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "prefixItems",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
}


@pytest.fixture(scope="module")
def schema():
    return configuration_schema()


def schemas_within(schema: Any) -> list[dict[str, Any]]:
    """`schema` and every schema inside it."""
    inner = [
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
        *schema.get("anyOf", []),
        *schema.get("prefixItems", []),
    ]
    if isinstance(schema.get("items"), dict):
        inner.append(schema["items"])
    return [schema, *[found for one in inner for found in schemas_within(one)]]


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """Whether `value` is valid by the keywords of JSON Schema that are in use."""
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    checks = [
        "type" not in schema or has_type(value, schema["type"]),
        "enum" not in schema or value in schema["enum"],
        "const" not in schema or value == schema["const"],
        "anyOf" not in schema or any(accepts(one, value, root) for one in schema["anyOf"]),
    ]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        checks += [name in value for name in schema.get("required", [])]
        checks += [accepts(properties[name], inner, root) for name, inner in value.items() if name in properties]
        checks.append(schema.get("additionalProperties", True) or value.keys() <= properties.keys())
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        checks += [accepts(one, inner, root) for one, inner in zip(first, value, strict=False)]
        rest = schema.get("items", True)
        checks += [accepts(rest, inner, root) if isinstance(rest, dict) else rest for inner in value[len(first) :]]
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
    if isinstance(value, int | float):
        checks.append(schema.get("minimum", value) <= value <= schema.get("maximum", value))
        checks.append("exclusiveMinimum" not in schema or schema["exclusiveMinimum"] < value)
        checks.append("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    return all(checks)


def has_type(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def test_it_is_json(schema):
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_it_uses_the_keywords_that_it_should(schema):
    for one in schemas_within(schema):
        assert set(one) <= KEYWORDS
        assert one.get("type", "object") in TYPES
        assert one.get("enum", ["one"]), "an empty list of choices is not valid"


def test_every_reference_leads_to_a_definition(schema):
    references = {one["$ref"] for one in schemas_within(schema) if "$ref" in one}
    assert references
    for reference in references:
        assert re.fullmatch(r"#/\$defs/[a-z]+", reference)
        assert reference.rpartition("/")[2] in schema["$defs"]
    assert set(schema["$defs"]) == set(KINDS)


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_standard_part_is_there_with_its_fields_and_defaults(schema, kind, name):
    part = registry.get(kind, name)
    names, *tables = schema["$defs"][kind]["anyOf"]
    (table,) = [table for table in tables if name in table["properties"]["type"]["enum"]]
    assert table == component_schema(part)
    assert table["description"]
    assert list(table["properties"]) == ["type", *[field.name for field in part.fields()]]
    required = [field.name for field in part.fields() if field.default is dataclasses.MISSING]
    assert table["required"] == ["type", *required]
    assert (name in names["enum"]) == (not required)
    for field in part.fields():
        described = table["properties"][field.name]
        has_default = field.default not in (dataclasses.MISSING, None)
        assert ("default" in described) == has_default
        if has_default:
            assert accepts(described, described["default"], schema)


def test_the_defaults_of_sections_are_there(schema):
    (training,) = [one for one in schemas_within(schema) if "batch_size" in one.get("properties", {})]
    defaults = {name: one["default"] for name, one in training["properties"].items() if "default" in one}
    assert defaults["epochs"] == 10
    assert defaults["metrics"] == []
    assert defaults["optimizer"]["type"] == "adam"
    assert training["required"] == ["loss"]


def test_a_field_has_the_words_of_the_docstring(schema):
    dense = component_schema(registry.get("layer", "dense"))["properties"]
    assert dense["units"] == {"type": "integer", "minimum": 1, "description": "the number of outputs."}
    assert dense["activation"]["description"].startswith("f, elementwise or over the outputs")
    assert dense["name"]["description"].startswith("how other layers"), "of the base"
    assert "description" not in dense["type"]
    assert schema["properties"]["layers"]["description"] == "the network, from its input to its output."
    (training,) = [one for one in schemas_within(schema) if "batch_size" in one.get("properties", {})]
    assert training["description"] == "the section `[training]`; likewise."
    assert training["properties"]["batch_size"]["description"].startswith("how many samples an update is computed from")


def test_what_has_no_docstring_has_no_description(monkeypatch):
    own = Registry()
    monkeypatch.setattr("microframe.registry.registry", own)
    monkeypatch.setattr("microframe.schema.registry", own)

    class Bare(Activation):
        slope: float = 1.0

        def forward(self, x, out): ...
        def backward(self, dy, x, y, out): ...

    with own.registered_locally(Bare):
        schema = component_schema(Bare)
    assert "description" not in schema
    assert schema["properties"]["slope"] == {"type": "number", "default": 1.0}


@pytest.mark.parametrize("path", MODELS, ids=[path.name for path in MODELS])
def test_it_accepts_every_configuration_that_is_shipped(schema, path):
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    assert accepts(schema, values, schema)
    assert accepts(schema, Configuration.parse(values).to_config(), schema), "also with every default written out"


@pytest.mark.parametrize(
    "change",
    [
        {"layers": None},
        {"layers": {"type": "dense", "units": 1}},
        {"layers": ["dense"]},
        {"layers": [{"type": "dense", "units": 0}]},
        {"layers": [{"type": "dense", "units": True}]},
        {"layers": [{"type": "dense", "units": 1, "unit": 1}]},
        {"layers": [{"units": 1}]},
        {"layers": [{"type": "dropout", "rate": 1}]},
        {"dtype": "float16"},
        {"extra": 1},
        {"data": {"source": "nowhere"}},
        {"data": {}},
        {"training": {"loss": "hinge", "optimizer": {"type": "sgd", "learning_rate": 0}}},
        {"training": {"loss": "hinge", "batch_size": "some"}},
    ],
)
def test_it_refuses_what_is_wrong(schema, change):
    good = {"layers": [{"type": "dense", "units": 1, "activation": "relu"}]}
    assert accepts(schema, good, schema)
    assert not accepts(schema, {**good, **change}, schema)


def activation(hint: Any, default: Any) -> type[Activation]:
    """A class with one field."""
    return type("Odd", (Activation,), {"__annotations__": {"field": hint}, "field": default})


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_configuration_can_hold_every_standard_part(kind, name):
    check_fields(registry.get(kind, name))


@pytest.mark.parametrize(
    ("hint", "default"),
    [
        (float, 1.0),
        (int | None, None),
        (tuple[int, ...], (1, 2)),
        (dict[str, int] | None, None),
        (Activation, "a_part_of_some_plugin"),
        (Activation | None, None),
        (Part[Activation] | None, None),
        (tuple[Initializer, ...], ()),
        (Literal["auto"] | PositiveFloat, "auto"),
    ],
    ids=str,
)
def test_a_field_may_hold_what_a_configuration_can(hint, default):
    check_fields(activation(hint, default))


@pytest.mark.parametrize(
    ("hint", "default", "message"),
    [
        (np.ndarray, None, "it is annotated <class 'numpy.ndarray'>, which no configuration can hold"),
        (list[np.ndarray], None, "which no configuration can hold"),
        (Callable[[float], float], None, "which no configuration can hold"),
        (list[int] | tuple[int, ...], None, "which no configuration can hold"),
        (list[Activation], None, "use a component, an optional one, or tuple"),
        (dict[str, Activation], None, "use a component, an optional one, or tuple"),
        (Component, None, "Component is no interface such as microframe.Layer"),
        (float, "high", "default: expected a number, received 'high'"),
        (frozenset[int], frozenset(), "not JSON serializable"),
    ],
    ids=str,
)
def test_a_field_that_no_configuration_can_hold_is_refused_with_its_name(hint, default, message):
    with pytest.raises(TypeError, match=rf"^Odd\.field: .*{re.escape(message)}"):
        check_fields(activation(hint, default))


@pytest.mark.parametrize(
    "hint",
    [
        PositiveFloat | tuple[int, int],
        tuple[int, int] | None | PositiveFloat,
        tuple[PositiveFloat | tuple[int], ...],
        Annotated[str, msgspec.Meta(min_length=1)] | tuple[()],
        Annotated[tuple[int, int], msgspec.Meta(description="a pair")] | PositiveFloat,
    ],
    ids=str,
)
def test_a_field_that_would_crash_the_process_is_refused_with_what_to_write(hint):
    with pytest.raises(
        TypeError, match=r"^Odd\.field: .*a value with bounds cannot stand beside .*tuple.*Meta\(min_length"
    ):
        check_fields(activation(hint, None))


@pytest.mark.parametrize(
    "hint",
    [
        float | tuple[int, int],
        PositiveFloat | tuple[int, ...],
        PositiveFloat | Annotated[tuple[int, ...], msgspec.Meta(min_length=2, max_length=2)],
        tuple[PositiveFloat, PositiveFloat] | int,
    ],
    ids=str,
)
def test_a_field_may_hold_a_number_or_several(hint):
    check_fields(activation(hint | None, None))


def test_a_default_of_none_must_be_one_that_the_annotation_allows():
    check_fields(activation(int | None, None))
    with pytest.raises(TypeError, match="its default is None, and it is annotated <class 'int'>, which does not allow"):
        check_fields(activation(int, None))


def test_a_default_that_nobody_provides_does_not_keep_the_schema_from_the_others(monkeypatch):
    own = Registry()
    monkeypatch.setattr("microframe.registry.registry", own)
    monkeypatch.setattr("microframe.schema.registry", own)

    class Leaning(Activation):
        """Its field needs a plugin that is missing."""

        inner: Part[Activation] = Part("a_missing_plugin.swish")

        def forward(self, x, out): ...
        def backward(self, dy, x, y, out): ...

    own.register(Leaning)
    tables = configuration_schema()["$defs"]["activation"]["anyOf"]
    assert "local.leaning" in tables[0]["enum"]


def test_a_part_of_a_plugin_is_known_by_its_plain_and_its_qualified_name(monkeypatch):
    own = Registry()
    monkeypatch.setattr("microframe.registry.registry", own)
    monkeypatch.setattr("microframe.schema.registry", own)

    class Mine(Activation):
        """An activation of this test."""

        strength: float = 1.0

        def forward(self, x, out): ...
        def backward(self, dy, x, y, out): ...

    class Shadow(Mine):
        """Called as a standard one."""

        type = "relu"

    own.register(Mine)
    own.register(Shadow)
    schema = configuration_schema()
    assert {"mine", "local.mine", "relu", "local.relu"} <= set(schema["$defs"]["activation"]["anyOf"][0]["enum"])
    for name in ("mine", "local.mine", "local.relu"):
        layer = {"type": "dense", "units": 1, "activation": {"type": name, "strength": 2}}
        assert accepts(schema, {"layers": [layer]}, schema)
    layer = {"type": "dense", "units": 1, "activation": {"type": "relu", "strength": 2}}
    assert not accepts(schema, {"layers": [layer]}, schema)
