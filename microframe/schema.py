"""The JSON Schema of configurations, for editors."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING
from typing import Any

import msgspec

from microframe.component import Component
from microframe.configuration import Configuration
from microframe.registry import KINDS, registry
from microframe.settings import Settings

Schema = dict[str, Any]


def configuration_schema() -> Schema:
    """The schema of a whole configuration, with every part within reach."""
    definitions: Schema = {kind: _kind_schema(kind) for kind in KINDS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "microframe configuration",
        **_settings_schema(Configuration),
        "$defs": definitions,
    }


def component_schema(component: type[Component]) -> Schema:
    """The schema of a table that configures `component`."""
    schema = _settings_schema(component)
    schema["properties"] = {"type": {"enum": _names(component)}, **schema["properties"]}
    schema["required"] = ["type", *schema.get("required", [])]
    return schema


def _kind_schema(kind: str) -> Schema:
    parts = [registry.get(kind, name) for name in registry.names(kind)]
    bare = [part for part in parts if "required" not in _settings_schema(part)]
    names = {"enum": [name for part in bare for name in _names(part)]}
    return {"anyOf": [names, *map(component_schema, parts)]}


def _names(component: type[Component]) -> list[str]:
    """The plain name, if no standard part has it, and the qualified one."""
    reference = registry.reference(component)
    hidden = component.type in registry.standard_names(component.kind)
    return [reference] if hidden else [component.type, reference]


def _settings_schema(settings: type[Settings]) -> Schema:
    fields = settings.fields()
    schema: Schema = {
        "type": "object",
        "description": " ".join((settings.__doc__ or "").partition("\n\n")[0].split()),
        "properties": {field.name: _field_schema(settings, field.name) for field in fields},
        "additionalProperties": False,
    }
    required = [field.name for field in fields if field.default is MISSING]
    return schema | ({"required": required} if required else {})


def _field_schema(settings: type[Settings], name: str) -> Schema:
    schema = _hint_schema(settings.field_types()[name])
    if settings.__dataclass_fields__[name].default in (MISSING, None):
        return schema
    default = settings.parsed_default(name)
    plain = default.to_config() if isinstance(default, Settings) else default
    return schema | {"default": list(plain) if isinstance(plain, tuple) else plain}


def _hint_schema(hint: Any) -> Schema:
    if isinstance(hint, type) and issubclass(hint, Component):
        return {"$ref": f"#/$defs/{hint.kind}"}
    if isinstance(hint, type) and issubclass(hint, Settings):
        return _settings_schema(hint)
    arguments = [argument for argument in typing.get_args(hint) if argument is not types.NoneType]
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        choices = [_hint_schema(argument) for argument in arguments]
        return choices[0] if len(choices) == 1 else {"anyOf": choices}
    if origin is tuple and arguments[1:] == [Ellipsis]:
        return {"type": "array", "items": _hint_schema(arguments[0])}
    return msgspec.json.schema(hint)
