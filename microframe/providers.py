"""Who provides components: what a model file records of that, and how it compares with what is installed."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from microframe.component import Component
from microframe.errors import PluginError
from microframe.plugins import LOCAL, STANDARD, Provider
from microframe.printable import printable
from microframe.registry import registry
from microframe.settings import Settings
from microframe.values import PositiveInteger, describe_name
from microframe.version import __version__

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!_-]+")
_NUMBERS = re.compile(r"\d{1,9}(\.\d{1,9})*")
_LONGEST = 100
"""More characters than this no distribution's name and no version has."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What a model file records of a component besides its kind and name.

    Anybody may have written the file: `origin` and `requirement` are fit to be shown, the attributes are not.

    Attributes:
        plugin: the plugin that provided it, ``"standard"`` or ``"local"``.
        module: the module of the plugin or, of a plugin that was a file, the file's name.
        distribution: what the plugin was installed with; None if it was not installed.
        distribution_version: the version of that.
        component_version: `Component.version`.
        interface_version: `Component.interface_version`.
    """

    plugin: str
    module: str | None = None
    distribution: str | None = None
    distribution_version: str | None = None
    component_version: PositiveInteger = 1
    interface_version: PositiveInteger = 1

    @classmethod
    def of(cls, component: type[Component]) -> Record:
        """The record of a registered class."""
        provider = registry.provider(component)
        return cls(
            provider.name,
            # whoever gets the file has no use for the folder that a plugin was tried out from
            Path(provider.module).name if provider.is_file else provider.module,
            provider.distribution,
            provider.version,
            component.version,
            component.interface_version,
        )

    @property
    def origin(self) -> str:
        """``"microframe-swish 1.0"``, or the module of a plugin that was not installed, for a message."""
        if self.distribution:
            return described(self.distribution, self.distribution_version)
        return printable(str(self.module))

    def requirement(self, comparison: str = ">=") -> str | None:
        """The distribution as pip takes it, ``'"microframe-swish>=1.0"'``; None if there is none.

        It goes from a file that anybody may have written into somebody's shell: a name that pip would not know gives
        None, and a version that it would not know is left out. So is the local part of one, which no index has.
        """
        public = (self.distribution_version or "").partition("+")[0]
        if self.distribution is None or not _is_like(_DISTRIBUTION, self.distribution):
            return None
        return f'"{self.distribution}{comparison}{public}"' if _is_like(_VERSION, public) else f'"{self.distribution}"'


class RequirementError(PluginError):
    """A component that is missing, or too old for a file; `requirement` is what pip would have to install."""

    def __init__(self, message: str, requirement: str | None) -> None:
        super().__init__(message)
        self.requirement = requirement


def record_all(settings: Any) -> dict[str, Record]:
    """The record of each component in `settings`, or in a tuple of them, by kind and name: ``"layer:dense"``.

    Raises:
        ConfigError: nobody has registered the class of one.
    """
    classes = dict.fromkeys(type(component) for component in components(settings))
    return {f"{component.kind}:{registry.reference(component)}": Record.of(component) for component in classes}


def to_json(records: Mapping[str, Record]) -> dict[str, dict[str, Any]]:
    """`records` as plain values, for a file."""
    return {key: dataclasses.asdict(record) for key, record in records.items()}


def components(value: Any) -> list[Component]:
    """Every component inside `value`, itself included."""
    inner = value if isinstance(value, tuple) else value.field_values() if isinstance(value, Settings) else ()
    here = [value] if isinstance(value, Component) else []
    return here + [component for element in inner for component in components(element)]


def find_recorded(kind: type[Component], name: str, record: Record) -> type[Component] | None:
    """The class that was recorded by `name`; None if nobody knows the name, and versions don't explain that.

    Raises:
        PluginError: its plugin is missing or broken; or it, or its interface, is older than recorded.
    """
    what = f"the {kind.kind} {describe_name(name)}"
    if record.interface_version > kind.interface_version:
        raise RequirementError(
            f"{what} needs version {record.interface_version} of the {kind.kind} interface, and microframe "
            f"{__version__} has version {kind.interface_version}",
            f'"microframe>{__version__}"',
        )
    if record.plugin == STANDARD and name not in registry.standard_names(kind.kind):
        # not to be looked for elsewhere: a plugin that happens to have the name must not take its place
        _check_version(what, record, __version__)
        return None
    try:
        component = registry.find(kind.kind, name, (), [])
    except PluginError as error:
        raise (_missing(what, record) or error) from error
    if component is None:
        provider = registry.plugins.available().get(record.plugin)
        if provider is not None and _is_same(record, provider):
            _check_version(what, record, provider.version)
        elif provider is not None:
            raise _displaced(what, record, provider)
        return None
    provider = registry.provider(component)
    is_known = provider.name == STANDARD or record.distribution is None or not provider.is_installed
    if not is_known and not _is_same(record, provider):
        # the part of a stranger that has the same names: what it computes is anybody's guess
        raise _displaced(what, record, provider)
    if record.component_version > component.version:
        raise RequirementError(
            f"{what} was saved by version {record.component_version} of its class, from {record.origin}, and "
            f"{registry.provider(component)} has version {component.version}",
            record.requirement(),
        )
    return component


def _check_version(what: str, record: Record, installed: str | None) -> None:
    """Raise RequirementError if versions explain why the distribution that a component is from lacks it."""
    how = difference(installed, record.distribution_version)
    if how is not None:
        raise RequirementError(
            f"{what} is from {record.origin}, and {described(record.distribution, installed)}, which is installed, "
            f"has none of that name",
            record.requirement(">=" if how == "older" else "=="),
        )


def _missing(what: str, record: Record) -> PluginError | None:
    """Why a component cannot be found whose plugin is neither installed nor loaded; None if that isn't the reason."""
    plugins = registry.plugins
    if record.plugin == LOCAL:
        return PluginError(
            f"{what} is a class of the module {describe_name(str(record.module))}, where it was passed to "
            f"microframe.register: do that here too, or provide it from a plugin, which --plugin loads"
        )
    present = [*plugins.offers().get(record.plugin, ()), *plugins.blocked().get(record.plugin, ())]
    is_there = any(_is_same(record, provider) for provider in present)
    if is_there or record.plugin in plugins.clashing() or (present and record.distribution is None):
        return None
    return _not_there(what, record, present)


def _displaced(what: str, record: Record, instead: Provider) -> PluginError:
    """Why a component cannot be found where `instead`, another plugin of the same name, lacks it."""
    if any(_is_same(record, provider) for provider in registry.plugins.blocked().get(record.plugin, ())):
        return PluginError(f"{_needs(what, record)}, left out on request{_besides([instead])}")
    return _not_there(what, record, [instead])


def _not_there(what: str, record: Record, others: Sequence[Provider]) -> PluginError:
    """That the plugin of a component is not there, with what brings it, and who else has its name."""
    needs, besides = _needs(what, record), _besides(others)
    if record.distribution is None:
        loads = f"--plugin {shlex.quote(record.origin)} loads it"
        return PluginError(f"{needs}, which was not installed{besides}: {loads}")
    installed = installed_version(record.distribution)
    if installed is None:
        return RequirementError(f"{needs}, not installed{besides}", record.requirement())
    return RequirementError(
        f"{needs}; {described(record.distribution, installed)}, which is installed, has no such plugin{besides}",
        record.requirement(">=" if difference(installed, record.distribution_version) == "older" else "=="),
    )


def _needs(what: str, record: Record) -> str:
    return f"{what} needs the plugin {describe_name(record.plugin)} from {record.origin}"


def _besides(others: Sequence[Provider]) -> str:
    origins = " and ".join(printable(other.origin) for other in others)
    return f" (another plugin of that name is from {origins})" if others else ""


def installed_instead(record: Record, provider: Provider) -> str | None:
    """What of another version or distribution provides a component than was recorded: ``"the newer 2.0"``, or None.

    microframe itself is not told of: a standard part whose files would be read otherwise has its own `version` raised.
    Nor is a plugin that was loaded with --plugin, which stands in on purpose and has no version.
    """
    if provider.name == STANDARD or provider.distribution is None or record.distribution is None:
        return None
    if not _is_same(record, provider):
        return printable(provider.origin)
    how = difference(provider.version, record.distribution_version)
    if how is None:
        return None
    return f"another version, {provider.version}," if how == "another" else f"the {how} {provider.version}"


def difference(installed: str | None, recorded: str | None) -> Literal["newer", "older", "another"] | None:
    """How the version that is installed differs from a recorded one; None where it doesn't, or where one is unknown.

    Versions with more to them than numbers are not ordered: that takes the rules of Python packaging, for which
    microframe would need another dependency.
    """
    if installed is None or recorded is None or installed == recorded:
        return None
    here, there = _numbers(installed), _numbers(recorded)
    if here is None or there is None:
        return "another"
    return None if here == there else "newer" if here > there else "older"


def _numbers(text: str) -> tuple[int, ...] | None:
    """``"1.20.0"`` -> ``(1, 20)``; None for a version with more to it than numbers."""
    if not _NUMBERS.fullmatch(text):
        return None
    numbers = [int(number) for number in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except (PackageNotFoundError, ValueError):  # the latter for what no distribution can be called
        return None


def described(distribution: str | None, distribution_version: str | None) -> str:
    """``"microframe-swish 1.0"``, for a message."""
    return " ".join(printable(word) for word in (distribution, distribution_version) if word)


def _is_like(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= _LONGEST and pattern.fullmatch(text) is not None


def _is_same(record: Record, provider: Provider) -> bool:
    """Whether a component was recorded from the distribution that `provider` is of."""
    return _spelling(record.distribution) == _spelling(provider.distribution)


def _spelling(distribution: str | None) -> str:
    """The one spelling of a name that packaging takes several for."""
    return re.sub(r"[-_.]+", "-", distribution or "").lower()
