"""Configurations: what a TOML or JSON file, or a few lines of Python, say a network is and how it is trained."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from microframe.component import Part
from microframe.errors import ConfigError, Problem, error_of, format_path
from microframe.graph import connect
from microframe.interfaces import Callback, Layer, Loss, Metric, Optimizer, Source
from microframe.samples import Split
from microframe.settings import Settings
from microframe.values import NonNegativeInteger, PositiveInteger, ProperFraction, describe_value

if TYPE_CHECKING:
    from microframe.overrides import Override

SUFFIXES = (".toml", ".json")
"""What the names of configuration files end in."""


class Data(Settings):
    """Where the data comes from and how it is divided: the section ``[data]``.

    Fields:
        source: where it is read from.
        test: the share of all rows that is held out, never trained on, and measured at the end.
        validation: the share of all rows that is held out and measured after each epoch.
        split: how rows are held out: ``"stratified"`` keeps the shares of the classes, ``"shuffled"`` draws freely,
            ``"tail"`` takes the last rows (for time series), ``"auto"`` is stratified where there are classes and
            shuffled otherwise.
    """

    source: Part[Source]
    test: ProperFraction = 0.0
    validation: ProperFraction = 0.0
    split: Split = "auto"

    def __post_init__(self) -> None:
        if self.test + self.validation >= 1:
            raise ValueError("test and validation to leave something to train on, so less than 1 together")


class Training(Settings):
    """How a network is trained: the section ``[training]``.

    Fields:
        loss: what is made small.
        optimizer: how parameters follow their gradients.
        metrics: what is reported besides the loss.
        epochs: how often training goes through the data.
        batch_size: how many samples an update is computed from; ``"all"`` for the whole training part.
        shuffle: whether the samples are put in a new order for each epoch.
        seed: of everything random: split, first weights, order, noise.
        callbacks: what else happens during training.
    """

    loss: Part[Loss]
    optimizer: Part[Optimizer] = Part("adam")
    metrics: Part[tuple[Metric, ...]] = Part(())
    epochs: PositiveInteger = 10
    batch_size: PositiveInteger | Literal["all"] = 32
    shuffle: bool = True
    seed: NonNegativeInteger = 0
    callbacks: Part[tuple[Callback, ...]] = Part(())


class Configuration(Settings):
    """A network, its data and its training: a whole file.

    Fields:
        layers: the network, from its input to its output.
        data: the section ``[data]``; not needed where the data is given in Python.
        training: the section ``[training]``; likewise.
        dtype: what is computed in.
        description: a line about the network, for people.
    """

    layers: Part[tuple[Layer, ...]]
    data: Data | None = None
    training: Training | None = None
    dtype: Literal["float32", "float64"] = "float32"
    description: str | None = None

    @classmethod
    def parse(cls, values: Mapping[str, Any], most: int | None = None) -> Configuration:
        """The configuration that plain values describe.

        Args:
            values: nested like the fields.
            most: how many problems to look for, where each may take its time and nobody would read all.

        Raises:
            ConfigError: something is wrong; holds all problems, or so many of them.
        """
        problems: list[Problem] = [] if most is None else _FirstProblems(most)
        configuration = _check(values, problems)
        if configuration is None or problems:
            raise error_of(problems)
        return configuration


class _FirstProblems(list[Problem]):
    """A list of problems that is raised as an error when it has so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def append(self, problem: Problem) -> None:
        super().append(problem)
        if len(self) >= self._most:
            raise error_of(self)


def read_configuration(path: str | Path, overrides: Sequence[str] = ()) -> Configuration:
    """The configuration in a TOML or JSON file.

    Args:
        path: a file ending in ``.toml`` or ``.json``.
        overrides: settings such as ``"optimizer.learning_rate=0.01"`` that replace those of the file.

    Raises:
        ConfigError: something is wrong; holds all problems, each with its file and line.
    """
    from microframe.overrides import apply_overrides

    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"{path}: expected a file ending in .toml or .json")
    text = _read_text(path)
    values = _parse_text(path, text)
    problems: list[Problem] = []
    applied = apply_overrides(values, overrides, Configuration, problems)
    configuration = _check(values, problems)
    if configuration is None or problems:
        raise error_of(_located(problems, applied, path, text))
    return configuration


@contextlib.contextmanager
def located_in(path: str | Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Complete the problems of a ConfigError that is raised inside with their places in the file at `path`.

    Args:
        path: what the configuration is read from; nothing is completed if that is a model file.
        overrides: the settings with which it is read.

    Raises:
        ConfigError: the file cannot be read, or was raised inside.
    """
    from microframe.overrides import apply_overrides

    path = Path(path)
    text = _read_text(path) if path.suffix in SUFFIXES else None  # now, as it may change before an error is raised
    try:
        yield
    except ConfigError as error:
        if text is None or all(problem.file for problem in error.problems):
            raise
        applied = apply_overrides(_parse_text(path, text), overrides, Configuration, [])
        raise ConfigError(_located(error.problems, applied, path, text)) from error


def override_configuration(configuration: Configuration, overrides: Sequence[str]) -> Configuration:
    """`configuration` with settings replaced, as in `read_configuration`."""
    from microframe.overrides import apply_overrides

    values = configuration.to_config()
    problems: list[Problem] = []
    applied = apply_overrides(values, overrides, Configuration, problems)
    changed = _check(values, problems)
    if changed is None or problems:
        raise error_of([_locate(problem, applied, None, None) for problem in problems])
    return changed


def differences(a: Configuration, b: Configuration) -> list[tuple[str, str]]:
    """Where two configurations differ: the path of each value, and a line that shows both."""
    return list(_differences(a.to_config(), b.to_config(), ()))


def _differences(a: Any, b: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(a, dict) and isinstance(b, dict) and a.get("type") == b.get("type"):
        for key in a | b:
            yield from _differences(a.get(key), b.get(key), (*path, key))
    elif isinstance(a, list) and isinstance(b, list):
        for index, pair in enumerate(itertools.zip_longest(a, b, fillvalue=_NOTHING)):
            yield from _differences(*pair, (*path, index))
    elif a != b:
        before, now = describe_value(a), describe_value(b)
        if before == now:  # where they differ was cut off
            before, now = repr(a), repr(b)
        yield format_path(path), f"{format_path(path)}: {before} then, {now} now"


class _Nothing:
    """What stands where a shorter list has ended."""

    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _check(values: Mapping[str, Any], problems: list[Problem]) -> Configuration | None:
    configuration: Configuration | None = Configuration.from_value(values, (), problems)
    if configuration is not None:
        connect(configuration.layers, ("layers",), problems)
    return configuration


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error


def _parse_text(path: Path, text: str) -> dict[str, Any]:
    import tomllib

    try:
        if path.suffix == ".json":
            values = json.loads(text, object_pairs_hook=_distinct)
            if not isinstance(values, dict):
                raise ConfigError([Problem((), "an object", type(values).__name__, file=str(path), line=1)])
            return values
        return tomllib.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem((), "JSON", error.msg, file=str(path), line=error.lineno)
        raise ConfigError([problem]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: lists or tables are nested too deeply") from error
    except _RepeatedKeyError as error:
        raise ConfigError(f"{path}: the key {error.args[0]!r} stands twice in one object") from error


class _RepeatedKeyError(Exception):
    """A JSON object in which a key stands twice, of which one would be ignored."""


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise _RepeatedKeyError(key)
        values[key] = value
    return values


def _located(problems: Sequence[Problem], applied: Sequence[Override], path: Path, text: str) -> list[Problem]:
    """The problems of the configuration at `path`, each with its place, in the order of their lines."""
    from microframe.locate import line_finder

    find_line = line_finder(text, path.suffix)
    located = [_locate(problem, applied, str(path), find_line(problem.path)) for problem in problems]
    return sorted(located, key=lambda problem: problem.line or math.inf)


def _locate(problem: Problem, applied: Sequence[Override], file: str | None, line: int | None) -> Problem:
    if problem.file is not None:
        return problem
    for override in applied:
        is_inside = problem.path[: len(override.path)] == override.path
        if is_inside or (problem.path and problem.path == override.path[:-1]):
            return dataclasses.replace(problem, file=f"--set {override.text}")
    return dataclasses.replace(problem, file=file, line=line)
