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
from microframe.plugins import LOCAL, STANDARD

_WORDS = re.compile(r"(?:microframe[-_ ]+)?([A-Za-z][A-Za-z0-9]*(?:[-_ ]+[A-Za-z0-9]+)*)", re.IGNORECASE)
_TAKEN = ("microframe", STANDARD, LOCAL)


@dataclass(frozen=True)
class Names:
    """The names in a package; all follow from that of its class.

    Attributes:
        class_name: such as ``"LeakySwish"``.
    """

    class_name: str

    @property
    def plugin(self) -> str:
        """The name of the entry point, and of the part in configurations: ``"leaky_swish"``."""
        return snake_case(self.class_name)

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
    names = Names("".join(word[0].upper() + word[1:] for word in re.split(r"[-_ ]+", match[1])))
    _check_python(names, kind)
    if names.plugin in _TAKEN:
        raise UsageError(f"expected a name of its own, received {text!r}, which microframe uses itself")
    if kind == "command":
        _check_command(names.command)
    else:
        _check_standard(names.plugin, "layer" if kind == "fitted_layer" else kind)
    return names


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
