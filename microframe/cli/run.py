"""``microframe run``: train or predict, whichever the file is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from microframe.cli.options import common_options, is_model_file, json_option, model_file_options, output_options
from microframe.cli.predict import predict, predict_options
from microframe.cli.train import train, train_options
from microframe.errors import UsageError

_SHARED = {"output", "overwrite", "as_json", "sha256", "isolate", "allow_nonfinite"}


@click.command("run")
@click.argument("file", type=click.Path())
@click.argument("samples", required=False, type=click.Path(allow_dash=True))
@train_options
@predict_options
@model_file_options
@output_options
@json_option
@common_options
@click.pass_context
def command(ctx: click.Context, /, file: str, samples: str | None, **options: Any) -> int:
    """Train the network of a configuration, or predict with a trained model.

    FILE ending in .toml or .json: train it (see microframe train --help).
    FILE that is a model: predict SAMPLES, a csv file or - for standard input (see microframe predict --help).
    """
    if Path(file).suffix not in {".toml", ".json"} and not is_model_file(file):
        raise UsageError(
            f"{file}: expected a file ending in .toml or .json, to train, or a model file, to predict with"
        )
    trains = not is_model_file(file) or options["resume"]
    own = _names(train_options if trains else predict_options) | _SHARED
    if trains and samples is not None:
        raise UsageError(f"{file} is to be trained, which takes no samples ({samples})")
    if not trains and samples is None:
        raise UsageError(f"{file} is a trained model: name a csv file to predict, or - for standard input")
    for name in options.keys() - own:
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            flag = next(parameter.opts[-1] for parameter in ctx.command.params if parameter.name == name)
            raise UsageError(f"{flag} is for {'prediction' if trains else 'training'}, which {file} is not for")
    chosen = {name: value for name, value in options.items() if name in own}
    return train(Path(file), **chosen) if trains else predict(Path(file), str(samples), **chosen)


def _names(options: Any) -> set[str]:
    """The names of the parameters that a decorator of options adds."""
    bare = options(click.command("options")(lambda: None))
    return {parameter.name for parameter in bare.params}
