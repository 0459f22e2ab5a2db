"""The configuration in a model file, read with the classes that are installed here.

The file records who provided each component, and in which versions. Before anything is built, the stored values are
gone through class by class. What is missing here is gathered, to be told at once and with the line that installs it,
and the fields of a component that an older version of its class saved are upgraded by the class.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from microframe import interfaces
from microframe.component import Component
from microframe.configuration import Configuration
from microframe.errors import (
    ConfigError,
    ModelFileError,
    ModelPluginError,
    PluginError,
    Problem,
    ProviderVersionWarning,
    format_path,
    shorten,
)
from microframe.printable import printable
from microframe.providers import (
    Record,
    RequirementError,
    components,
    find_recorded,
    installed_instead,
    record_all,
)
from microframe.registry import registry
from microframe.settings import Path as Place
from microframe.settings import Settings
from microframe.storage.codes import Code
from microframe.values import describe_name, describe_value

_MOST_PROBLEMS = 20
_INTERFACES = {
    interface.kind: interface
    for interface in (
        interfaces.Activation,
        interfaces.Callback,
        interfaces.Initializer,
        interfaces.Layer,
        interfaces.Loss,
        interfaces.Metric,
        interfaces.Optimizer,
        interfaces.Schedule,
        interfaces.Source,
    )
}


class StoredConfiguration:
    """What a model file says of the configuration, and of who provided its components.

    Attributes:
        config: the configuration as plain values.
        layer_names: what the layers are called, also those whose classes are missing.
        records: who provided each component, by kind and name: ``"layer:dense"``.

    Args:
        path: the file.
        config, records, layer_names: what the attributes are.
    """

    def __init__(
        self, path: Path, config: Mapping[str, Any], records: dict[str, Record], layer_names: Sequence[str]
    ) -> None:
        self._path = path
        self.config = config
        self.records = records
        self.layer_names = layer_names

    def network(self) -> Configuration:
        """The configuration without the parts that only training needs, whose plugins are not looked for.

        Warns once for each distribution that is installed in another version than was recorded.

        Raises:
            ModelFileError: it is not valid for the classes that are installed.
            ModelPluginError: what provides some of it is missing, broken or too old; the message has all of that.
        """
        return self._read({"layers": self.config["layers"], "dtype": self.config["dtype"]})

    def whole(self, layers: tuple[interfaces.Layer, ...]) -> Configuration:
        """The whole configuration, with `layers` as `network` gave them; raises and warns likewise."""
        warned = {registry.provider(type(component)).distribution for component in components(layers)}
        return self._read({**self.config, "layers": layers}, warned)

    def missing(self, *, training: bool = True) -> ModelPluginError | None:
        """What the configuration needs of plugins that are not within reach, for which none is imported; or None.

        Args:
            training: whether the parts count that only training needs.
        """
        reading = _Reading(self.records)
        reading.look_for_missing(self.config if training else {"layers": self.config["layers"]})
        return self._unavailable(reading) if reading.problems else None

    def with_layers(self, layers: tuple[interfaces.Layer, ...]) -> tuple[Mapping[str, Any], dict[str, Record]]:
        """The configuration and the records for a file that is written anew.

        Args:
            layers: as `network` gave them; they stand in it as they are here, and all else as it was stored.
        """
        others = {name: value for name, value in self.config.items() if name != "layers"}
        names = set(_texts(others))
        kept = {key: record for key, record in self.records.items() if key.partition(":")[2] in names}
        current = record_all(layers)
        if any(kept[key].component_version != current[key].component_version for key in kept.keys() & current):
            # training has a part of that class too, and one record cannot say that only the layers' is upgraded
            return self.config, self.records
        return {**others, "layers": [layer.to_config() for layer in layers]}, kept | current

    def _read(self, values: Mapping[str, Any], warned: Collection[str | None] = ()) -> Configuration:
        reading = _Reading(self.records)
        current = reading.fields(values, Configuration, ())
        if reading.problems:
            raise self._unavailable(reading) from reading.cause
        self._warn(reading, warned)
        try:
            return Configuration.parse(current, _MOST_PROBLEMS)
        except PluginError as error:
            raise self._unavailable(f"{self._path}: {error}") from error
        except ConfigError as error:
            raise self._invalid(ConfigError(map(_printable, error.problems))) from error
        except Exception as error:
            # a component may raise anything at values that it would not have saved
            raise self._invalid(error) from error

    def _invalid(self, error: Exception) -> ModelFileError:
        return ModelFileError(self._path, Code.CONFIG, "/manifest", f"not valid here: {error}")

    def _unavailable(self, found: _Reading | str) -> ModelPluginError:
        text = found if isinstance(found, str) else self._describe(found)
        return ModelPluginError(self._path, Code.PLUGIN, "/manifest", text)

    def _describe(self, reading: _Reading) -> str:
        lines = [f"{self._path}: {reason}: {self._name_all(places)}" for reason, places in reading.problems.items()]
        if reading.requirements:
            lines.append(f"pip install {' '.join(sorted(reading.requirements))}")
        return "\n".join(lines)

    def _warn(self, reading: _Reading, warned: Collection[str | None]) -> None:
        places: dict[tuple[str, str], list[Place]] = {}
        for key, found in reading.places.items():
            record, provider = self.records[key], registry.provider(reading.classes[key])
            instead = installed_instead(record, provider)
            if instead is not None and provider.distribution not in warned:
                places.setdefault((record.origin, instead), []).extend(found)
        for (origin, instead), found in places.items():
            _warn_outside(
                f"{self._path}: saved with {origin}, and {instead} is installed, for {self._name_all(sorted(found))}"
            )

    def _name_all(self, places: Iterable[Place]) -> str:
        return shorten([self._name(place) for place in places])

    def _name(self, place: Place) -> str:
        """``"dense_1 (layers[0].activation)"``, ``"training.optimizer"``."""
        path = format_path(_printable_path(place))
        if place[0] != "layers":
            return path
        return f"{printable(self.layer_names[int(place[1])])} ({path})"


class _Reading:
    """A walk through stored values, class by class.

    Attributes:
        classes: what was found, by kind and name.
        places: where components of it stand.
        problems: what is wrong, each with the places that suffer from it.
        requirements: what pip would have to install.
        cause: the first exception behind the problems.
    """

    def __init__(self, records: Mapping[str, Record]) -> None:
        self._records = records
        self._errors: dict[str, PluginError] = {}
        self.classes: dict[str, type[Component]] = {}
        self.places: dict[str, list[Place]] = {}
        self.problems: dict[str, list[Place]] = {}
        self.requirements: set[str] = set()
        self.cause: PluginError | None = None

    def fields(self, values: Mapping[str, Any], settings: type[Settings], path: Place) -> dict[str, Any]:
        """The values of the fields of `settings`, as the installed classes want them."""
        hints = settings.field_types()
        return {name: self._current(value, hints.get(name), (*path, name)) for name, value in values.items()}

    def _current(self, value: Any, hint: Any, path: Place) -> Any:
        """`value`, of a field that is annotated `hint`."""
        if isinstance(hint, type) and issubclass(hint, Component):
            return self._component(value, hint, path)
        if isinstance(hint, type) and issubclass(hint, Settings):
            return self.fields(value, hint, path) if isinstance(value, Mapping) else value
        arguments = get_args(hint)
        if get_origin(hint) is tuple and isinstance(value, list | tuple):
            return [self._current(element, arguments[0], (*path, index)) for index, element in enumerate(value)]
        for argument in arguments:
            value = self._current(value, argument, path)
        return value

    def _component(self, value: Any, kind: type[Component], path: Place) -> Any:
        name, fields = name_and_fields(value)
        key = f"{kind.kind}:{name}"
        if key not in self._records:  # the value is not one that was saved: parsing says what is wrong with it
            return value
        component = self._find(key, kind, path)
        if component is None:
            self._look_inside(fields, path)
            return value
        fields = self._upgraded(fields, component, key, path)
        return {**self.fields(fields, component, path), "type": name}

    def _find(self, key: str, kind: type[Component], path: Place) -> type[Component] | None:
        """The class that is recorded as `key`, which a component at `path` is of."""
        if key not in self.classes and key not in self._errors:
            if len(self._errors) >= _MOST_PROBLEMS:  # each of which takes a look at all that is installed
                return None
            try:
                found = find_recorded(kind, key.partition(":")[2], self._records[key])
            except PluginError as error:
                self._errors[key] = error
            else:
                if found is None:
                    return None
                self.classes[key] = found
        if key in self._errors:
            self._note(self._errors[key], path)
            return None
        self.places.setdefault(key, []).append(path)
        return self.classes[key]

    def look_for_missing(self, value: Any) -> None:
        """Note each component inside `value` whose plugin is not within reach."""
        available = registry.plugins.available()
        for key, kind, path in self._qualified(value, ()):
            if key.partition(":")[2].rpartition(".")[0] not in available:
                self._find(key, kind, path)

    def _look_inside(self, value: Any, path: Place) -> None:
        """Find what else is missing in the fields of a component whose class is."""
        for key, kind, place in self._qualified(value, path):
            self._find(key, kind, place)

    def _qualified(self, value: Any, path: Place) -> Iterator[tuple[str, type[Component], Place]]:
        """Each component of a plugin inside `value`, as far as can be told without its class.

        Without it nobody knows which fields hold components, but a qualified name that the file records is hardly
        anything else.
        """
        name, _ = name_and_fields(value)
        for kind, interface in _INTERFACES.items():
            if name is not None and "." in name and f"{kind}:{name}" in self._records:
                yield f"{kind}:{name}", interface, path
        inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for step, element in inner:
            if step != "type":
                yield from self._qualified(element, (*path, step))

    def _upgraded(self, fields: dict[str, Any], component: type[Component], key: str, path: Place) -> dict[str, Any]:
        saved = self._records[key].component_version
        if saved >= component.version:
            return fields
        try:
            # of a copy: what the file holds is compared with the file again when its checkpoint is read
            upgraded = component.upgrade(copy.deepcopy(fields), saved)
            if not isinstance(upgraded, dict) or "type" in upgraded:
                raise TypeError(f"expected a dict of fields, received {describe_value(upgraded)}")
        except Exception as error:
            kind, _, name = key.partition(":")
            problem = PluginError(
                f"{registry.provider(component)} cannot upgrade the {kind} {describe_name(name)} from version {saved} "
                f"to {component.version}: {printable(f'{type(error).__name__}: {error}', 400)}"
            )
            problem.__cause__ = error
            self._note(problem, path)
            return fields
        return upgraded

    def _note(self, error: PluginError, path: Place) -> None:
        self.problems.setdefault(str(error), []).append(path)
        self.cause = self.cause or error
        if isinstance(error, RequirementError) and error.requirement is not None:
            self.requirements.add(error.requirement)


def _printable(problem: Problem) -> Problem:
    """`problem` for a message: its path may have words that the file alone knows, and what was received is long."""
    return dataclasses.replace(problem, path=_printable_path(problem.path), received=printable(problem.received, 400))


def _printable_path(path: Place) -> Place:
    return tuple(printable(step) if isinstance(step, str) else step for step in path)


def name_and_fields(value: Any) -> tuple[str | None, dict[str, Any]]:
    """The name of a component and its fields, as they were saved; None for anything else."""
    if isinstance(value, str):
        return value, {}
    if isinstance(value, Mapping) and isinstance(value.get("type"), str):
        return value["type"], {name: field for name, field in value.items() if name != "type"}
    return None, {}


def _texts(value: Any) -> Iterator[str]:
    """Every text in plain values, among them the names of all components."""
    if isinstance(value, str):
        yield value
    for element in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(element)


def _warn_outside(text: str) -> None:
    """Issue a `ProviderVersionWarning` that points to the nearest caller outside microframe."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and f"{frame.f_globals.get('__name__')}".startswith("microframe."):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, ProviderVersionWarning, stacklevel=level)
