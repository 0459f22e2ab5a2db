"""Single settings that replace those of a configuration: ``--set optimizer.learning_rate=0.01``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any, get_args

from microframe.component import Component
from microframe.errors import Problem, nearest, one_of
from microframe.settings import Settings


@dataclass(frozen=True)
class Override:
    """A setting that was given: its text, the path it sets from the root of the configuration, and the value."""

    text: str
    path: tuple[str | int, ...]
    value: Any


def apply_overrides(
    values: dict[str, Any], overrides: Sequence[str], root: type[Settings], problems: list[Problem]
) -> list[Override]:
    """Set each ``path=value`` in `values`, in place; what cannot be set is appended to `problems`.

    A path starts at the root or inside one of its sections: ``optimizer.learning_rate`` is short for
    ``training.optimizer.learning_rate``. Layers are reached by number or name. A value is read as TOML, or as a
    string where it isn't TOML. A component that stands there as a name, or only as a default, is opened up.
    """
    applied = []
    for text in overrides:
        dotted, separator, value = text.partition("=")
        keys = [key.strip() for key in dotted.split(".")]
        if not separator or not all(keys):
            problems.append(Problem((), "path=value, such as optimizer.learning_rate=0.01", repr(text), file="--set"))
            continue
        path = _set(values, _from_root(keys, root), _read_value(value.strip()), root)
        if path is None:
            known = [*root.field_types(), *_sections(root)]
            problems.append(
                Problem((), f"a path that starts with {one_of(known)}", repr(dotted), nearest(keys[0], known), "--set")
            )
        else:
            applied.append(Override(text, path, value))
    return applied


def _sections(root: type[Settings]) -> dict[str, str]:
    """The fields of the root's sections, each with the section it stands in."""
    return {
        name: section
        for section in root.field_types()
        if (settings := _section_class(root, section)) is not None
        for name in settings.field_types()
    }


def _from_root(keys: list[str], root: type[Settings]) -> list[str]:
    sections = _sections(root)
    return keys if keys[0] in root.field_types() or keys[0] not in sections else [sections[keys[0]], *keys]


def _read_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(values: dict[str, Any], keys: list[str], value: Any, root: type[Settings]) -> tuple[str | int, ...] | None:
    if keys[0] not in root.field_types():
        return None
    place: Any = values
    settings: type[Settings] | None = root
    path: list[str | int] = []
    for key in keys[:-1]:
        step = _step(place, key)
        if step is None:
            return None
        inner = place[step] if isinstance(step, int) or step in place else _default(settings, key)
        place[step] = {"type": inner} if isinstance(inner, str) else inner
        place, settings = place[step], _section_class(settings, key)
        path.append(step)
    last = _step(place, keys[-1])
    if last is None:
        return None
    place[last] = value
    return (*path, last)


def _step(place: Any, key: str) -> str | int | None:
    """The key or index by which `key` is reached in `place`; a list is searched by number, then by name."""
    if isinstance(place, dict):
        return key
    if not isinstance(place, list):
        return None
    if key.isdecimal():
        return int(key) if int(key) < len(place) else None
    names = [element.get("name") if isinstance(element, dict) else None for element in place]
    return names.index(key) if key in names else None


def _default(settings: type[Settings] | None, key: str) -> Any:
    """What the field `key` holds when it is not given, as plain values."""
    field = settings.__dataclass_fields__.get(key) if settings is not None else None
    if settings is None or field is None or field.default in (MISSING, None):
        return {}
    default = settings.parsed_default(key)
    return default.to_config() if isinstance(default, Settings) else default


def _section_class(settings: type[Settings] | None, key: str) -> type[Settings] | None:
    hint = settings.field_types().get(key) if settings is not None else None
    classes = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type)]
    sections = [kind for kind in classes if issubclass(kind, Settings) and not issubclass(kind, Component)]
    return sections[0] if sections else None
