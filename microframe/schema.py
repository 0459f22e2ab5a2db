"""The JSON Schema of configurations, for editors."""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING
from typing import Any

import msgspec

from microframe.component import Component
from microframe.configuration import Configuration
from microframe.docstrings import describe_fields, docstring_of, split_docstring
from microframe.errors import MicroframeError, Problem
from microframe.registry import KINDS, registry
from microframe.settings import Part, Settings, parse, plain

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
    """The schema of a table that configures `component`, its fields described as its docstring does."""
    schema = _settings_schema(component)
    schema["properties"] = {"type": {"enum": _names(component)}, **schema["properties"]}
    schema["required"] = ["type", *schema.get("required", [])]
    return schema


def check_fields(settings: type[Settings]) -> None:
    """Check that a configuration can hold the fields of `settings`; no part is looked up by its name for that.

    Raises:
        ConfigError: an annotation cannot be resolved.
        TypeError: an annotation says nothing that a configuration can hold, or the default is not of its kind.
    """
    for name, hint in settings.field_types().items():
        try:
            _check_hint(hint)
            if not _holds_settings(hint):
                _check_default(settings.__dataclass_fields__[name].default, hint)
        except TypeError as error:
            raise TypeError(f"{settings.__qualname__}.{name}: {error}") from error


def _check_hint(hint: Any) -> None:
    if isinstance(hint, type) and issubclass(hint, Component):
        if hint.kind not in KINDS:
            raise TypeError(f"{hint.__qualname__} is no interface such as microframe.Layer")
    elif isinstance(hint, type) and issubclass(hint, Settings):
        check_fields(hint)
    elif _holds_settings(hint):
        if typing.get_origin(hint) not in (Part, tuple, typing.Union, types.UnionType):
            raise TypeError(f"it is annotated {hint}: use a component, an optional one, or tuple[component, ...]")
        for argument in typing.get_args(hint):
            if argument not in (types.NoneType, Ellipsis):
                _check_hint(argument)
    else:
        try:
            msgspec.json.schema(hint)
        except TypeError as error:
            raise TypeError(f"it is annotated {hint}, which no configuration can hold") from error


def _check_default(default: Any, hint: Any) -> None:
    if default is MISSING:
        return
    if default is None and types.NoneType not in (hint, *typing.get_args(hint)):
        raise TypeError(f"its default is None, and it is annotated {hint}, which does not allow that: add | None")
    problems: list[Problem] = []
    value = parse(default, hint, ("default",), problems)
    for problem in problems:
        raise TypeError(str(problem))
    json.dumps(value)


def _holds_settings(hint: Any) -> bool:
    is_settings = isinstance(hint, type) and issubclass(hint, Settings)
    return is_settings or any(_holds_settings(argument) for argument in typing.get_args(hint))


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
    summary = " ".join(split_docstring(docstring_of(settings))[0].partition("\n\n")[0].split())
    texts = describe_fields(settings)
    schema: Schema = {
        "type": "object",
        **_description(summary),
        "properties": {
            field.name: _field_schema(settings, field.name) | _description(texts.get(field.name)) for field in fields
        },
        "additionalProperties": False,
    }
    required = [field.name for field in fields if field.default is MISSING]
    return schema | ({"required": required} if required else {})


def _description(text: str | None) -> Schema:
    return {"description": text} if text else {}


def _field_schema(settings: type[Settings], name: str) -> Schema:
    schema = _hint_schema(settings.field_types()[name])
    if settings.__dataclass_fields__[name].default in (MISSING, None):
        return schema
    try:
        default = settings.parsed_default(name)
    except MicroframeError:  # it names a part of a plugin that is missing or broken
        return schema
    return schema | {"default": plain(default)}


def _hint_schema(hint: Any) -> Schema:
    if isinstance(hint, type) and issubclass(hint, Component):
        return {"$ref": f"#/$defs/{hint.kind}"}
    if isinstance(hint, type) and issubclass(hint, Settings):
        return _settings_schema(hint)
    arguments = [argument for argument in typing.get_args(hint) if argument is not types.NoneType]
    origin = typing.get_origin(hint)
    if origin is Part:
        return _hint_schema(arguments[0])
    if origin in (typing.Union, types.UnionType):
        choices = [_hint_schema(argument) for argument in arguments]
        return choices[0] if len(choices) == 1 else {"anyOf": choices}
    if origin is tuple and arguments[1:] == [Ellipsis]:
        return {"type": "array", "items": _hint_schema(arguments[0])}
    return msgspec.json.schema(hint)
