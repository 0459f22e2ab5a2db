"""The component: everything that a configuration can name."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from microframe.errors import PluginError, Problem, UsageError
from microframe.settings import Part, Path, Settings, config
from microframe.values import describe, describe_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from microframe.arrays import Array, Shape

__all__ = ["Component", "Example", "Part", "config"]

RESERVED = ("type", "kind", "version", "interface_version")
"""Class attributes of every component, which no field may be called."""

_DIMENSIONS = "D(?![a-z])"
"""What stands behind the digit of 1D, 2D or 3D, and belongs to it."""
_WORD_BOUNDARY = re.compile(
    f"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z])(?!{_DIMENSIONS})|(?<=[0-9]D)(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
)


class Component(Settings, ABC):
    """A part that a configuration can name: a class whose annotated fields are its configuration.

    A component holds configuration and never arrays, so that it can be shared, compared, copied and used from many
    threads. `kind` is set by the interface (layer, activation, ...); `type` is the name in configurations, which is
    the class name in snake_case unless the class sets it.
    """

    kind: ClassVar[str] = ""
    type: ClassVar[str] = ""
    interface_version: ClassVar[int] = 1
    """The version of the interface that the component implements, set by the interface."""

    version: ClassVar[int] = 1
    """The version of the component's fields and arrays: to be raised, with an `upgrade`, when one saved by an older
    version would otherwise be read wrongly or not at all."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "type" not in cls.__dict__:
            cls.type = snake_case(cls.__name__)
        for own in cls.fields():
            if own.name in RESERVED:
                raise TypeError(f"{cls.__qualname__}.{own.name} is no field: write {own.name} = ... without a type")
        if not (isinstance(cls.version, int) and cls.version >= 1):
            raise TypeError(f"{cls.__qualname__}.version: expected a whole number of at least 1, not {cls.version!r}")

    @classmethod
    def examples(cls) -> Iterable[Component | Example]:
        """Instances that show the component at work, for the conformance checks and for readers.

        The default is one with every field at its default; a class with required fields gives its own.

        Raises:
            UsageError: there is a required field, and the class says no values for it.
        """
        required = [own.name for own in cls.fields() if own.default is MISSING]
        if required:
            raise UsageError(
                f"{cls.__qualname__} has no example: {', '.join(required)} must be given, so it needs a classmethod "
                f"examples() that returns a list of instances"
            )
        return [cls()]

    @classmethod
    def upgrade(cls, config: dict[str, Any], from_version: int) -> dict[str, Any]:
        """The fields of a component that version `from_version` of this class saved, as this version knows them.

        It is called when a model file is loaded, before the fields are checked; the arrays of the file are as they
        were, so their names and shapes must still be what `build` declares.

        Args:
            config: the fields as plain JSON values, by name, which may be changed; a field that is None by default and
                was None is not among them. A component inside, a name or a table with its ``type``, stands as it was
                saved too, and is upgraded afterwards.
            from_version: less than `version`.

        Returns:
            The fields by name, without ``type``.
        """
        return config

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


@dataclass(frozen=True)
class Example:
    """A component, and what it needs to be shown at work.

    Attributes:
        component: the instance.
        inputs: for a layer, each of its inputs: the shape of one sample, or an array of samples (samples, *shape) where
            random numbers won't do, as for a mask or for whole numbers. Without them, shapes are tried until one fits.
            For a loss or a metric, a prediction and a target; for an initializer, shapes to fill.
        reference: the result by other means, for instance the formula in plain NumPy. For a layer
            ``reference(parameters, *inputs)``, in inference, where parameters are by name; for an activation
            ``reference(x)``; for a loss ``reference(prediction, target)``, the mean over the batch; for a metric the
            same, its value; for an optimizer ``reference(parameters, gradients)``, the parameters after one step for
            each of the gradients; for a schedule ``reference(epoch, epochs)``.
        files: the content of files by name, which are in the current folder when the component is used.
    """

    component: Component
    inputs: tuple[Shape | Array, ...] = ()
    reference: Callable[..., Any] | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def snake_case(name: str) -> str:
    """``"LayerNorm"`` -> ``"layer_norm"``, ``"ELU"`` -> ``"elu"``, ``"Conv2DTranspose"`` -> ``"conv2d_transpose"``."""
    return _WORD_BOUNDARY.sub("_", name).lower()
