"""Records of typed fields: the ground that components and the sections of a configuration stand on.

A subclass of `Settings` writes annotated fields and nothing else; it becomes a frozen dataclass whose values are
checked against the annotations whether they come from Python or from a file. `parse` walks the fields itself and
hands only leaf values to msgspec, so that every problem of a configuration is found in one pass and a field that
holds a component can be given by name.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, dataclass_transform

from microframe.errors import ConfigError, Problem, error_of, expectation, nearest, one_of
from microframe.values import check_leaf, check_tuples, describe, describe_value

T = TypeVar("T")
Path = tuple[str | int, ...]


class Part(Generic[T]):
    """The annotation of a field that holds another component, and the default of such a field.

    ``activation: Part[Activation] = Part("linear")`` accepts an `Activation`, its name, or a mapping with ``type``
    and fields; reading it always gives the `Activation`. To a type checker it is a descriptor that says just that;
    at run time it is only a mark, and the instance holds the component itself.
    """

    def __init__(self, default: T | str | Mapping[str, Any] | Sequence[Any]) -> None:
        self.default = default

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type[object] | None = None) -> T: ...

        def __set__(self, instance: object, value: T | str | Mapping[str, Any] | Sequence[Any]) -> None: ...


@dataclass_transform(frozen_default=True)
class Settings:
    """A frozen record whose annotated fields are its configuration.

    Raises:
        ConfigError: a value does not fit its field, a required field is missing, or a field is unknown. All
            problems are reported at once.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    _field_types: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
        for field in dataclasses.fields(cls):
            if field.default_factory is not dataclasses.MISSING:
                raise TypeError(
                    f"{cls.__name__}.{field.name}: give a default instead of a factory; nothing can change it"
                )
            if isinstance(field.default, Part):
                field.default = field.default.default
                setattr(cls, field.name, field.default)

    if not TYPE_CHECKING:

        def __init__(self, *values, **named):
            problems: list[Problem] = []
            positional = [field.name for field in self.fields() if not field.kw_only]
            if len(values) > len(positional):
                expected = f"at most {len(positional)} positional values"
                raise ConfigError([Problem((type(self).__name__,), expected, f"{len(values)}")])
            given = dict(zip(positional, values, strict=False))
            twice = given.keys() & named.keys()
            problems += [
                Problem((type(self).__name__, name), "one value", "one by position, one by name") for name in twice
            ]
            self._fill(given | named, (type(self).__name__,), problems)
            if problems:
                raise error_of(problems)

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(
            f"{type(self).__name__} is frozen: make another with dataclasses.replace(..., {name}=...)"
        )

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.field_values() == other.field_values()

    def __hash__(self) -> int:
        return hash((type(self), *self.field_values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._shown_fields())})"

    def __post_init__(self) -> None:
        """Check what no single field can say; raise ValueError with what is expected of the fields together."""

    @classmethod
    def fields(cls) -> tuple[dataclasses.Field[Any], ...]:
        """The fields, those that can be given by position first."""
        return tuple(sorted(dataclasses.fields(cls), key=lambda field: bool(field.kw_only)))

    @classmethod
    def field_types(cls) -> dict[str, Any]:
        """The annotation of each field, resolved."""
        if "_field_types" not in cls.__dict__:
            cls._field_types = _resolve_annotations(cls)
        return cls._field_types

    @classmethod
    def parsed_default(cls, name: str) -> Any:
        """The default of the field `name`, as an instance holds it."""
        return parse(cls.__dataclass_fields__[name].default, cls.field_types()[name], (), [])

    @classmethod
    def from_value(cls, value: Any, path: Path, problems: list[Problem]) -> Any:
        """Build from what stands in a configuration at `path`; on failure append to `problems` and return None."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            problems.append(Problem(path, "a table", describe_value(value)))
            return None
        settings = cls.__new__(cls)
        known = len(problems)
        settings._fill(value, path, problems)
        return settings if len(problems) == known else None

    def to_config(self) -> Any:
        """The fields as plain JSON values."""
        values = ((field, self.__dict__[field.name]) for field in self.fields())
        return {field.name: plain(value) for field, value in values if (value, field.default) != (None, None)}

    def _fill(self, values: Mapping[str, Any], path: Path, problems: list[Problem]) -> None:
        hints = self.field_types()
        known = len(problems)
        for name in values:
            if name not in hints:
                expected = one_of(hints) if hints else "no fields"
                problems.append(Problem((*path, name), expected, "an unknown field", nearest(name, hints)))
        for field in self.fields():
            value = values.get(field.name, field.default)
            if value is dataclasses.MISSING:
                problems.append(Problem((*path, field.name), describe(hints[field.name]), "nothing"))
            else:
                self.__dict__[field.name] = parse(value, hints[field.name], (*path, field.name), problems)
        if len(problems) == known:
            try:
                self.__post_init__()
            except ValueError as error:
                given = ", ".join(f"{name} = {value!r}" for name, value in values.items()) or "the defaults"
                problems.append(Problem(path, expectation(error), given))

    def field_values(self) -> tuple[Any, ...]:
        """The values of the fields, in the order of `fields`."""
        return tuple(self.__dict__[field.name] for field in self.fields())

    def _shown_fields(self) -> Iterator[str]:
        for field in self.fields():
            value = self.__dict__[field.name]
            if field.default is dataclasses.MISSING:
                yield f"{value!r}"
            elif value != self.parsed_default(field.name):
                yield f"{field.name}={value!r}"


def _resolve_annotations(cls: type[Settings]) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise ConfigError(
            f"{cls.__module__}.{cls.__qualname__}: the annotations of a component's fields must be importable at "
            f"run time, not only while type checking: {error}"
        ) from error
    unwrapped = {field.name: _unwrap(hints[field.name]) for field in cls.fields()}
    for name, hint in unwrapped.items():
        try:
            check_tuples(hint)
        except TypeError as error:
            raise TypeError(f"{cls.__qualname__}.{name}: {error}") from error
    return unwrapped


def _unwrap(hint: Any) -> Any:
    """``Part[X]`` -> ``X``."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Part else hint


def parse(value: Any, hint: Any, path: Path, problems: list[Problem]) -> Any:
    """`value` as what the annotation `hint` asks for; on failure append to `problems` and return None."""
    hint = _unwrap(hint)
    structure = _structure(hint)
    return structure(value, path, problems) if structure else check_leaf(value, hint, path, problems)


@functools.cache
def _structure(hint: Any) -> Callable[[Any, Path, list[Problem]], Any] | None:
    """How to parse a hint that holds settings somewhere inside it; None for a leaf, which is msgspec's."""
    if isinstance(hint, type) and issubclass(hint, Settings):
        return hint.from_value
    arguments = typing.get_args(hint)
    if not any(_is_structured(argument) for argument in arguments):
        return None
    origin = typing.get_origin(hint)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return functools.partial(_parse_tuple, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return functools.partial(_parse_union, arguments)
    raise ConfigError(f"a field cannot be annotated {hint}: use a component, an optional one, or tuple[component, ...]")


def _is_structured(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, Settings):
        return True
    return any(_is_structured(argument) for argument in typing.get_args(hint))


def _parse_tuple(item: Any, value: Any, path: Path, problems: list[Problem]) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        problems.append(Problem(path, "a list", describe_value(value)))
        return None
    return tuple(parse(element, item, (*path, index), problems) for index, element in enumerate(value))


def _parse_union(members: tuple[Any, ...], value: Any, path: Path, problems: list[Problem]) -> Any:
    if value is None and types.NoneType in members:
        return None
    structured = [member for member in members if _is_structured(member)]
    leaves = [member for member in members if not _is_structured(member) and member is not types.NoneType]
    if leaves and not isinstance(value, str | Mapping | Settings):
        return check_leaf(value, functools.reduce(lambda a, b: a | b, leaves), path, problems)
    return parse(value, structured[0], path, problems)


def config(settings: Settings) -> Any:
    """`settings` as plain JSON values; parsing them gives an equal object back.

    A field whose value and default are None is left out (TOML has no null). A component without
    fields is its name alone.
    """
    return settings.to_config()


def plain(value: Any) -> Any:
    """A field's value as plain JSON values."""
    if isinstance(value, Settings):
        return value.to_config()
    if isinstance(value, tuple):
        return [plain(element) for element in value]
    return value
