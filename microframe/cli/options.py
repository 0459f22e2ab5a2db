"""Options that several commands share."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from microframe.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def _debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().obj.debug = True


def _plugins(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    if not value or ctx.resilient_parsing:
        return
    from microframe.registry import registry

    for file_or_module in value:
        registry.plugins.add(file_or_module)


def _without(ctx: click.Context, _: click.Parameter, value: tuple[str, ...]) -> None:
    if value and not ctx.resilient_parsing:
        from microframe.registry import registry

        registry.plugins.block(*value)


def _no_plugins(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from microframe.registry import registry

        registry.plugins.block_all()


def complete_plugin_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """The names of plugins that begin with `incomplete`, for a shell; imports none of them."""
    from microframe.discovery import Discovery
    from microframe.errors import MicroframeError

    try:
        return [name for name in Discovery().names() if name.startswith(incomplete)]
    except MicroframeError:
        return []


def common_options(command: Command) -> Command:
    """``--debug``, and which plugins take part."""
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, callback=_debug, help="Show tracebacks."),
        click.option(
            "--no-plugins",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_no_plugins,
            help="Leave out every installed plugin (or MICROFRAME_NO_PLUGINS=1).",
        ),
        click.option(
            "--without",
            metavar="NAME",
            multiple=True,
            is_eager=True,
            expose_value=False,
            callback=_without,
            shell_complete=complete_plugin_names,
            help="Leave out a plugin, or all of a distribution; repeatable (or MICROFRAME_WITHOUT=NAME,NAME, where a "
            "name that nobody has is no error: it may be set for several environments).",
        ),
        click.option(
            "--plugin",
            type=click.Path(),
            metavar="FILE|MODULE",
            multiple=True,
            expose_value=False,
            callback=_plugins,
            help="Load a plugin that isn't installed; repeatable (or MICROFRAME_PLUGIN=FILE,MODULE).",
        ),
    ):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")(command)


def set_option(command: Command) -> Command:
    """``--set``."""
    return click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Replace a setting, such as optimizer.learning_rate=0.01 or layers.0.units=32; repeatable.",
    )(command)


def delimiter_option(command: Command) -> Command:
    """``--delimiter``."""

    def read(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
        return "\t" if value == "tab" else value

    return click.option(
        "--delimiter",
        type=click.Choice([",", ";", "tab"]),
        callback=read,
        help="What stands between the cells of SAMPLES, if not what stood there in the training data.",
    )(command)


def _digest(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise click.BadParameter(f"expected 64 hexadecimal digits, received {value!r}")
    return value


def model_file_options(command: Command) -> Command:
    """What `Model.load` takes: ``--sha256``, ``--isolate`` and ``--allow-nonfinite``."""
    for option in (
        click.option("--allow-nonfinite", is_flag=True, help="Take weights that are NaN or infinite."),
        click.option(
            "--isolate",
            is_flag=True,
            help="Read a model file in a process of its own first, with limited time and memory: for files from "
            "strangers.",
        ),
        click.option(
            "--sha256",
            metavar="HEX",
            callback=_digest,
            help="Refuse a model file with another SHA-256 than this, before anything else is read from it.",
        ),
    ):
        command = option(command)
    return command


def refuse_model_file_options(file: object, loading: Mapping[str, Any]) -> None:
    """Raise UsageError if one of `model_file_options` is given for `file`, which is no model file."""
    for name, value in loading.items():
        if value:
            raise UsageError(f"--{name.replace('_', '-')} is for a model file, and {file} is a configuration")


def is_model_file(path: str | Path) -> bool:
    """Whether `path` is for a model file rather than for a configuration: by its ending, or by how it begins."""
    path = Path(path)
    if path.suffix == ".h5":
        return True
    from microframe.storage.hdf5 import SIGNATURE

    try:
        with path.open("rb") if path.is_file() else io.BytesIO() as stream:
            return stream.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def output_options(command: Command) -> Command:
    """``--output`` and ``--overwrite``."""
    command = click.option("--overwrite", is_flag=True, help="Replace the output file if it is there.")(command)
    return click.option("-o", "--output", type=click.Path(dir_okay=False), help="The file to write.")(command)
