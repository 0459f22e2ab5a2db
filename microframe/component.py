"""The component: everything that a configuration can name."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

from microframe.errors import PluginError, Problem
from microframe.settings import Part, Path, Settings, config
from microframe.values import describe, describe_value

__all__ = ["Component", "Part", "config"]


class Component(Settings, ABC):
    """A part that a configuration can name: a class whose annotated fields are its configuration.

    A component holds configuration and never arrays, so that it can be shared, compared, copied and used from many
    threads. `kind` is set by the interface (layer, activation, ...); `type` is the name in configurations, which is
    the class name in snake_case unless the class sets it.
    """

    kind: ClassVar[str] = ""
    type: ClassVar[str] = ""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "type" not in cls.__dict__:
            cls.type = snake_case(cls.__name__)
        for field in cls.fields():
            if field.name in {"type", "kind"}:
                raise TypeError(f"{cls.__qualname__}.{field.name} is no field: write {field.name} = ... without a type")

    @classmethod
    def from_value(cls, value: Any, path: Path, problems: list[Problem]) -> Any:
        """Build a component of this kind from itself, its name, or a mapping with ``type`` and fields.

        Every problem is appended to `problems`; the result is then None.
        """
        from microframe.registry import registry

        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            name, fields = value, {}
        elif isinstance(value, Mapping) and isinstance(value.get("type"), str):
            name, fields = value["type"], {key: field for key, field in value.items() if key != "type"}
        else:
            received = "a table without 'type'" if isinstance(value, Mapping) else describe_value(value)
            problems.append(Problem(path, describe(cls), received))
            return None
        type_path = (*path, "type") if isinstance(value, Mapping) else path
        try:
            component = registry.find(cls.kind, name, type_path, problems)
        except PluginError as error:
            problems.append(Problem(type_path, describe(cls), repr(name), plugin=str(error)))
            return None
        if component is not None and not issubclass(component, cls):
            problems.append(Problem(type_path, f"a kind of {cls.type}", repr(name)))
            return None
        return super(Component, component).from_value(fields, path, problems) if component else None

    def to_config(self) -> Any:
        """The registered name, with the fields where there are any."""
        from microframe.registry import registry

        fields = super().to_config()
        name = registry.reference(type(self))
        return {"type": name, **fields} if fields else name


def snake_case(name: str) -> str:
    """``"LayerNorm"`` -> ``"layer_norm"``, ``"ELU"`` -> ``"elu"``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
