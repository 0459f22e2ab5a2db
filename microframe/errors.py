"""Everything that microframe raises on purpose, the exit code each leads to, and what it warns of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from microframe.printable import printable

_LONGEST_NAME = 100
_MOST_SHOWN = 800
"""Characters of what a message quotes from a file."""


class MicroframeError(Exception):
    """The base of every error that microframe raises on purpose."""

    exit_code = 1


class UsageError(MicroframeError, ValueError):
    """A call or a command line that asks for something contradictory or impossible."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a configuration.

    `path` leads from the root of the configuration to the value, such as ``("layers", 2, "units")``; `file` and
    `line` are known when the configuration came from a file. `plugin` says what is wrong with a plugin that the value
    needs, where that is the problem.
    """

    path: tuple[str | int, ...]
    expected: str
    received: str
    suggestion: str | None = None
    file: str | None = None
    line: int | None = None
    plugin: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        path = format_path(self.path)
        where = ": ".join(part for part in (place, path) if part)
        hint = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        what = self.plugin or f"expected {self.expected}, received {self.received}{hint}"
        return f"{where}: {what}" if where else what


class ConfigError(MicroframeError, ValueError):
    """A configuration that cannot be built; `problems` holds every reason, not only the first."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem] | str) -> None:
        if isinstance(problems, str):
            self.problems: tuple[Problem, ...] = ()
            super().__init__(problems)
        else:
            self.problems = tuple(problems)
            super().__init__("\n".join(str(problem) for problem in self.problems))


def error_of(problems: Sequence[Problem]) -> ConfigError | PluginError:
    """The error that holds `problems`: of the configuration, unless plugins alone are to blame."""
    if all(problem.plugin for problem in problems):
        return PluginError("\n".join(map(str, problems)))
    return ConfigError(problems)


class DataError(MicroframeError, ValueError):
    """Data that cannot be read, or that does not fit the model."""

    exit_code = 4


class PluginError(MicroframeError):
    """A plugin that is missing, broken, or in conflict with another one."""

    exit_code = 5


class ProviderVersionWarning(UserWarning):
    """A plugin that is installed in another version than the one that a model file was saved with."""


class ModelFileError(MicroframeError):
    """A model file that is refused, or that cannot be written.

    Attributes:
        path: the file.
        code: why, in a word that never changes, such as ``"E_EXTERNAL_LINK"``; see `microframe.storage.codes`.
        where: the place in the file.
        found: what is there.
    """

    exit_code = 6

    def __init__(self, path: object, code: str, where: str, found: str) -> None:
        where, found = _shown(where), _shown(found)
        super().__init__(f"{printable(str(path), most=None)}: {where}: {found} [{code}]")
        self.path = path
        self.code = str(code)
        self.where = where
        self.found = found

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.code, self.where, self.found)


class ModelPluginError(ModelFileError, PluginError):
    """A model file that takes plugins which are missing, broken or too old; nothing is wrong with the file itself.

    The message has a line for each of them, and the line that installs them.
    """

    exit_code = PluginError.exit_code

    def __init__(self, path: object, code: str, where: str, found: str) -> None:
        MicroframeError.__init__(self, found)
        self.path = path
        self.code = str(code)
        self.where = where
        self.found = found


class TrainingDivergedError(MicroframeError, ArithmeticError):
    """A loss that stopped being finite; the message names the epoch, the batch and the first layer concerned."""

    exit_code = 7


def _shown(lines: str) -> str:
    """What a message quotes from a file, which anybody may have written."""
    short = lines if len(lines) <= _MOST_SHOWN else f"{lines[: _MOST_SHOWN - 3]}..."
    return "\n".join(printable(line, most=None) for line in short.split("\n"))


def format_path(path: Iterable[str | int]) -> str:
    """``("layers", 2, "units")`` -> ``"layers[2].units"``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def nearest(name: object, candidates: Iterable[str]) -> str | None:
    """The candidate that was most likely meant by `name`, or None when none is close.

    Only the first thousand are looked at, and none for a name that nobody can have meant: both may be from anywhere.
    """
    import difflib

    if len(str(name)) > _LONGEST_NAME:
        return None
    by_lower_case = {candidate.lower(): candidate for candidate in itertools.islice(candidates, 1000)}
    matches = difflib.get_close_matches(str(name).lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches and by_lower_case[matches[0]] != str(name) else None


def expectation(error: Exception) -> str:
    """What `error` says is expected, for a message that begins with "expected"."""
    return str(error).removeprefix("expected ")


def one_of(names: Iterable[str]) -> str:
    """``["a", "b"]`` -> ``"one of 'a', 'b'"``, for the expected part of a message."""
    listed = list_names(names)
    return f"one of {listed}" if listed else "nothing (there are none)"


def list_names(names: Iterable[str], most: int = 10) -> str:
    """``["a", "b"]`` -> ``"'a', 'b'"``; of more than `most` names the first and how many there are besides."""
    return shorten([repr(name) for name in names], most)


def shorten(texts: Sequence[str], most: int = 10) -> str:
    """`texts` with commas between; of more than `most` the first and how many there are besides."""
    besides = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + besides
