"""What everything in a new package is called."""

from __future__ import annotations

import builtins
import io
import keyword
import re
import tokenize
from dataclasses import dataclass
from importlib.resources import files

from microframe.component import snake_case
from microframe.errors import UsageError
from microframe.plugins import LOCAL, STANDARD, Provider

_WORDS = re.compile(r"(?:microframe[-_ ]+)?([A-Za-z][A-Za-z0-9]*(?:[-_ ]+[A-Za-z0-9]+)*)", re.IGNORECASE)
_TAKEN = ("microframe", STANDARD, LOCAL)


@dataclass(frozen=True)
class Names:
    """The names in a package.

    Attributes:
        class_name: such as ``"LeakySwish"``.
        plugin: the name of the entry point, and of the part in configurations: ``"leaky_swish"``.
    """

    class_name: str
    plugin: str

    @property
    def has_own_type(self) -> bool:
        """Whether the class must say what it is called in configurations, as ``"a_b"`` does not follow from ``AB``."""
        return snake_case(self.class_name) != self.plugin

    @property
    def command(self) -> str:
        """``"leaky-swish"``"""
        return self.plugin.replace("_", "-")

    @property
    def module(self) -> str:
        """``"microframe_leaky_swish"``"""
        return f"microframe_{self.plugin}"

    @property
    def distribution(self) -> str:
        """``"microframe-leaky-swish"``"""
        return f"microframe-{self.command}"


def names_of(text: str, kind: str) -> Names:
    """The names that follow from `text`: ``"swish"``, ``"LeakySwish"``, ``"microframe-swish"``, ``"my layer"``.

    Args:
        text: what somebody called a package, its plugin, its class, or simply the thing.
        kind: what the package is about.

    Raises:
        UsageError: nothing can be called that.
    """
    match = _WORDS.fullmatch(text)
    if match is None:
        raise UsageError(
            f"expected a name of ASCII letters and digits that begins with a letter, its words separated by '-', '_' "
            f"or a space (such as swish or 'leaky swish'), received {text!r}"
        )
    words = re.split(r"[-_ ]+(?=[A-Za-z])", re.sub(r"[-_ ]+(?=[0-9])", "", match[1]))  # "conv 2d" is one: conv2d
    names = Names("".join(word[0].upper() + word[1:] for word in words), "_".join(map(snake_case, words)))
    _check_python(names, kind)
    if names.plugin in _TAKEN:
        raise UsageError(f"expected a name of its own, received {text!r}, which microframe uses itself")
    if kind == "command":
        _check_command(names.command)
    else:
        _check_standard(names.plugin, _kind_of_part(kind))
    return names


def check_free(names: Names, kind: str) -> None:
    """Check that no installed plugin that takes part has one of `names`; for a part's name, all of them are imported.

    Raises:
        UsageError: one has.
    """
    from microframe.registry import registry

    plugins = registry.plugins
    installed = [offer for offers in plugins.offers().values() for offer in offers if offer.is_installed]
    for offer in installed:
        for name in (names.plugin, names.distribution):
            if offer.is_called(name):
                raise UsageError(f"expected a name of its own, received {name!r}, which {offer} has{_remedy(offer)}")
    for offer in installed:
        taken = _provided(offer.name, kind) if offer.name in plugins.available() else []
        name = names.command if kind == "command" else names.plugin
        if name in taken:
            raise UsageError(
                f"expected a name that no {_kind_of_part(kind)} of an installed plugin has, received {name!r}: there "
                f"is '{offer.name}.{name}', from {offer.origin}{_remedy(offer)}"
            )


def _remedy(offer: Provider) -> str:
    return f" (if yours is to take its place, add --without {offer.name})"


def _provided(plugin: str, kind: str) -> list[str]:
    """The names of what an installed plugin provides of one kind."""
    from microframe.registry import registry

    if kind == "command":
        return [command.name or "" for command in registry.plugins.commands(plugin)]
    components = registry.plugins.components(plugin)
    return [component.type for component in components if component.kind == _kind_of_part(kind)]


def _kind_of_part(kind: str) -> str:
    return "layer" if kind == "fitted_layer" else kind


def _check_python(names: Names, kind: str) -> None:
    for name in (names.plugin, names.class_name):
        if keyword.iskeyword(name):
            raise UsageError(f"expected a name that is no keyword of Python, received {name!r}")
    if kind == "command":  # it has no class
        return
    if hasattr(builtins, names.class_name) or names.class_name in _identifiers(kind):
        raise UsageError(f"expected a name of its own for the class, received {names.class_name!r}, which is in use")
    if names.class_name.startswith("Test"):
        raise UsageError(f"expected a class that pytest doesn't take for tests, received {names.class_name!r}")


def _check_standard(name: str, kind: str) -> None:
    from microframe.registry import registry

    if name in registry.standard_names(kind):
        raise UsageError(
            f"expected a name that no standard {kind} has, received {name!r}: nobody can replace a standard part by "
            f"its plain name, so yours needs another one"
        )


def _check_command(name: str) -> None:
    from microframe.cli.commands import COMMANDS

    if name in COMMANDS:
        raise UsageError(
            f"expected a name that no built-in command has, received {name!r}: nobody can replace those, so yours "
            f"needs another one"
        )


def _identifiers(kind: str) -> set[str]:
    """The names that the templates of `kind` use for other things."""
    folder = files("microframe.scaffold.templates")
    sources = [folder.joinpath(name).read_text(encoding="utf-8") for name in (f"{kind}.py", f"test_{kind}.py")]
    tokens = [token for source in sources for token in tokenize.generate_tokens(io.StringIO(source).readline)]
    return {token.string for token in tokens if token.type == tokenize.NAME} - {"PartName"}
