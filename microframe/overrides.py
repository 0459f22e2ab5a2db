"""Single settings that replace those of a configuration: ``--set optimizer.learning_rate=0.01``."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from typing import Any, get_args, get_origin

from microframe.component import Component
from microframe.errors import PluginError, Problem, nearest, one_of
from microframe.registry import registry
from microframe.settings import Settings, parse
from microframe.values import describe_value


@dataclass(frozen=True)
class Override:
    """A setting that was given: its text, and the path from the root of the configuration that it sets."""

    text: str
    path: tuple[str | int, ...]


def apply_overrides(
    values: dict[str, Any], overrides: Sequence[str], root: type[Settings], problems: list[Problem]
) -> list[Override]:
    """Set each ``path=value`` in `values`, in place; what cannot be set is appended to `problems`.

    A path starts at the root or inside one of its sections: ``optimizer.learning_rate`` is short for
    ``training.optimizer.learning_rate``. Layers are reached by number or name. A value is read as TOML, or as a
    string where it isn't TOML or where its field takes the string alone. A component that stands there as a name, or
    only as a default, is opened up.
    """
    applied = []
    for text in overrides:
        dotted, separator, value = text.partition("=")
        keys = [key.strip() for key in dotted.split(".")]
        if not separator or not all(keys):
            problems.append(Problem((), "path=value, such as optimizer.learning_rate=0.01", repr(text), file="--set"))
            continue
        known = [*root.field_types(), *_sections(root)]
        if keys[0] not in known:
            problems.append(
                Problem((), f"a path that starts with {one_of(known)}", repr(dotted), nearest(keys[0], known), "--set")
            )
            continue
        path = _set(values, _from_root(keys, root), value.strip(), root, text, problems)
        if path is not None:
            applied.append(Override(text, path))
    return applied


def _sections(root: type[Settings]) -> dict[str, str]:
    """The fields of the root's sections, each with the section it stands in."""
    return {
        name: section
        for section, hint in root.field_types().items()
        if (settings := _settings_class(hint, None)) is not None
        for name in settings.field_types()
    }


def _from_root(keys: list[str], root: type[Settings]) -> list[str]:
    sections = _sections(root)
    return keys if keys[0] in root.field_types() else [sections[keys[0]], *keys]


def _read_value(text: str, hint: Any) -> Any:
    """`text` as a value for a field annotated `hint`, which is None where there is no such field."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if _takes_text(hint) and not _fits(value, hint) and _fits(text, hint) else value


def _takes_text(hint: Any) -> bool:
    """Whether some strings that name no component fit `hint`."""
    return hint is str or isinstance(hint, str) or any(map(_takes_text, get_args(hint)))


def _fits(value: Any, hint: Any) -> bool:
    problems: list[Problem] = []
    parse(value, hint, (), problems)
    return not problems


def _set(
    values: dict[str, Any], keys: list[str], value: str, root: type[Settings], text: str, problems: list[Problem]
) -> tuple[str | int, ...] | None:
    place: Any = values
    hint: Any = root
    path: list[str | int] = []
    for key in keys:
        step = _step(place, key)
        if step is None:
            problems.append(_no_step(place, key, path, text))
            return None
        path.append(step)
        settings = _settings_class(hint, place)
        if isinstance(step, int):
            hint = _element_hint(hint)
        else:
            hint = settings.field_types().get(key) if settings is not None else None
        if len(path) == len(keys):
            break
        inner = place[step] if isinstance(step, int) or step in place else _default(settings, key)
        place[step] = {"type": inner} if isinstance(inner, str) else inner
        place = place[step]
    place[path[-1]] = _read_value(value, hint)
    return tuple(path)


def _element_hint(hint: Any) -> Any:
    """The annotation of what is in a list that `hint` is for."""
    lists = [kind for kind in (hint, *get_args(hint)) if get_origin(kind) is tuple]
    return get_args(lists[0])[0] if lists else None


def _step(place: Any, key: str) -> str | int | None:
    """The key or index by which `key` is reached in `place`; a list is searched by number, then by name."""
    if isinstance(place, dict):
        return key
    if not isinstance(place, list):
        return None
    if key.isdecimal():
        return int(key) if int(key) < len(place) else None
    names = _names(place)
    return names.index(key) if key in names else None


def _names(places: list[Any]) -> list[Any]:
    return [place.get("name") if isinstance(place, dict) else None for place in places]


def _no_step(place: Any, key: str, path: list[str | int], text: str) -> Problem:
    expected, received, names = f"a table, to set {key!r} in it", describe_value(place), []
    if isinstance(place, list):
        names = [name for name in _names(place) if isinstance(name, str)]
        expected = f"a number less than {len(place)}" + (f" or {one_of(names)}" if names else "")
        received = repr(key)
    return Problem(tuple(path), expected, received, nearest(key, names), f"--set {text}")


def _default(settings: type[Settings] | None, key: str) -> Any:
    """What the field `key` holds when it is not given, as plain values."""
    field = settings.__dataclass_fields__.get(key) if settings is not None else None
    if settings is None or field is None or field.default in (MISSING, None):
        return {}
    default = settings.parsed_default(key)
    if isinstance(default, tuple):
        return list(default)
    return default.to_config() if isinstance(default, Settings) else default


def _settings_class(hint: Any, place: Any) -> type[Settings] | None:
    """The class whose fields `place` holds, which the annotation `hint` is for."""
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and issubclass(kind, Settings):
            if not issubclass(kind, Component):
                return kind
            name = place.get("type") if isinstance(place, dict) else None
            with contextlib.suppress(PluginError):  # which is reported when the configuration is checked
                return registry.find(kind.kind, name, (), []) if isinstance(name, str) else None
    return None
