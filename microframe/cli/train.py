"""``microframe train``: from a configuration to a model file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microframe.cli import INTERRUPTED
from microframe.cli.options import (
    common_options,
    is_model_file,
    json_option,
    model_file_options,
    output_options,
    refuse_model_file_options,
    set_option,
)
from microframe.cli.output import check_output, print_json, print_table
from microframe.errors import ConfigError, DataError, TrainingDivergedError, UsageError

if TYPE_CHECKING:
    from microframe.configuration import Configuration
    from microframe.interfaces.callback import Listener
    from microframe.model import Model
    from microframe.training import Run


def train_options(command: Any) -> Any:
    """The options of a training run."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Show no progress."),
        click.option("--dry-run", is_flag=True, help="Build, show the shapes, try one batch, and write nothing."),
        click.option("--resume", is_flag=True, help="Continue the training that the output file holds."),
        click.option("--seed", type=click.IntRange(min=0), help="The seed of everything random."),
        click.option("--epochs", type=click.IntRange(min=1), help="How often to go through the data."),
        set_option,
    ):
        command = option(command)
    return command


@click.command("train")
@click.argument("file", type=click.Path())
@train_options
@model_file_options
@output_options
@json_option
@common_options
def command(file: str, **options: Any) -> int:
    """Train the network that FILE describes, and save it.

    FILE is a TOML or JSON configuration; with --resume it may also be a model file, whose training then goes on. The
    model is saved to --output, or to a file in the current folder that is called like FILE and ends in .h5.
    """
    return train(Path(file), **options)


def train(
    file: Path,
    *,
    overrides: Sequence[str],
    epochs: int | None,
    seed: int | None,
    output: str | None,
    overwrite: bool,
    resume: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **loading: Any,
) -> int:
    """Train, save and report; gives the exit code. `loading` is what `Model.load` takes, if a model is resumed."""
    settings = [*overrides]
    settings += [f"training.epochs={epochs}"] if epochs is not None else []
    settings += [f"training.seed={seed}"] if seed is not None else []
    is_model = is_model_file(file)
    if is_model and not resume:
        raise UsageError(f"{file} is a model file: --resume continues its training")
    if not resume:
        refuse_model_file_options(file, loading)
    target = Path(output) if output else file if is_model else Path(f"{file.stem}.h5")
    _check_target(target, file)
    if resume and (is_model or file.exists()):  # where it doesn't, that is what is told
        _check_resumable(file if is_model else target)
    if not dry_run:
        check_output(target, overwrite=overwrite or resume, advice=", --resume continues its training")
    from microframe.configuration import located_in

    with located_in(file, settings):
        model = _resumed(file, file if is_model else target, settings, loading) if resume else _new(file, settings)
        _check_data(model, target)
        if dry_run:
            return _rehearse(model, file, resume=resume, as_json=as_json)
        if resume and _has_ended(model):
            _report_ended(model, file if is_model else target, as_json=as_json)
            return 0
        return _fit(model, file, target, resume=resume, quiet=quiet, as_json=as_json)


def _check_target(target: Path, file: Path) -> None:
    if target.suffix != ".h5" and not (target == file and is_model_file(file)):
        raise UsageError(f"{target}: a trained model is saved to a file ending in .h5")
    if not is_model_file(file) and target.exists() and file.exists() and target.samefile(file):
        raise UsageError(f"{target} is {file}, the configuration: --output names another file")


def _check_data(model: Model, target: Path) -> None:
    """Raise UsageError if the model would be saved over the file that it is trained on."""
    data = model.configuration.data
    path = getattr(data.source, "path", None) if data is not None else None
    if isinstance(path, str) and target.exists() and Path(path).exists() and target.samefile(path):
        raise UsageError(f"{target} holds the data to train on: --output names another file")


def _check_resumable(path: Path) -> None:
    if not path.exists():
        raise UsageError(f"there is nothing to resume: {path} is not there")


def _new(file: Path, settings: Sequence[str]) -> Model:
    from microframe.configuration import read_configuration
    from microframe.model import Model

    return Model.from_config(read_configuration(file, settings))


def _resumed(file: Path, model_file: Path, settings: Sequence[str], loading: Mapping[str, Any]) -> Model:
    """The model to continue; its configuration may differ from the one asked for in epochs and description alone."""
    from microframe.configuration import differences, override_configuration, read_configuration
    from microframe.model import Model

    asked_for = None if file == model_file else read_configuration(file, settings)
    model = Model.load(model_file, **loading)
    if model.checkpoint is None or model.configuration.training is None:
        raise UsageError(f"{model_file} holds no checkpoint to resume from")
    wanted = asked_for or override_configuration(model.configuration, settings)
    free = {"training.epochs", "description"}
    changed = [text for path, text in differences(model.configuration, wanted) if path not in free]
    if changed:
        listed = "\n  ".join([*changed, *_changes_of_data(model, wanted)])
        raise ConfigError(f"{model_file} was trained with other settings than are asked for now:\n  {listed}")
    assert wanted.training is not None
    model.set_training(wanted.training)
    return model


def _changes_of_data(model: Model, wanted: Configuration) -> list[str]:
    """How the data differs from what the model was trained on, where the configuration names the same source."""
    from microframe.fitting import data_differences

    if wanted.data is None or model.configuration.data is None:
        return []
    if wanted.data.source != model.configuration.data.source:
        return []
    try:
        return data_differences(model, wanted.data.source.load())
    except DataError as error:
        return [f"data: {error}"]


def _has_ended(model: Model) -> bool:
    """Whether the training that the model's checkpoint is of has nothing left to do."""
    assert model.checkpoint is not None
    assert model.configuration.training is not None
    progress, epochs = model.checkpoint.progress, model.configuration.training.epochs
    return bool(progress["epoch"] >= epochs or progress["finished"] == epochs)


def _report_ended(model: Model, path: Path, *, as_json: bool) -> None:
    assert model.configuration.training is not None
    wanted = model.configuration.training.epochs
    reason = f"nothing left to train: {path} is at epoch {model.history.epochs}"
    reason += f" of {wanted}" if model.history.epochs >= wanted else f", where training for {wanted} epochs ended early"
    if as_json:
        print_json(_report(model, reason, path))
    click.echo(reason, err=True)


def _begin(model: Model, file: Path, *, resume: bool, listeners: Sequence[Listener] = ()) -> Run:
    """A run that is ready to start; a problem of the configuration in a model file gets the file's name."""
    from microframe.fitting import begin_configured

    try:
        return begin_configured(model, resume=resume, listeners=listeners)
    except ConfigError as error:
        if not is_model_file(file) or not error.problems:
            raise
        raise ConfigError(dataclasses.replace(problem, file=str(file)) for problem in error.problems) from error


def _fit(model: Model, file: Path, target: Path, *, resume: bool, quiet: bool, as_json: bool) -> int:
    from microframe.cli.interrupt import REASON, StopOnInterrupt
    from microframe.progress import Display

    with StopOnInterrupt() as interrupt, Display() as display:
        run = _begin(model, file, resume=resume, listeners=[interrupt] if quiet else [interrupt, display])
        try:
            run.train()
        except TrainingDivergedError as error:
            raise _with_last_good(error, model, target) from error
        model.save(target)
    if as_json:
        print_json(_report(model, run.stopping, target))
    else:
        _print_report(model, run, target)
    return INTERRUPTED if run.stopping == REASON else 0


def _with_last_good(error: TrainingDivergedError, model: Model, target: Path) -> TrainingDivergedError:
    """Save the model as it was after the last good epoch, if there was one, and say so."""
    if not model.history.epochs:
        return TrainingDivergedError(f"{error}\nno epoch was completed, so nothing was saved")
    model.save(target)
    return TrainingDivergedError(f"{error}\n{target} holds the model as it was after epoch {model.history.epochs}")


def _report(model: Model, stopped: str | None, target: Path) -> dict[str, Any]:
    return {
        "output": str(target),
        "epochs": model.history.epochs,
        "stopped": stopped,
        "parameters": int(model.network.parameters.size),
        "history": model.history.to_dict(),
        "results": model.results,
    }


def _print_report(model: Model, run: Run, target: Path) -> None:
    for part, values in model.results.items():
        print_table(["metric", "value"], values.items(), title=f"{part} ({len(getattr(model.parts, part))} samples)")
        click.echo()
    if run.stopping is not None:
        batch = f", batch {run.batch}/{run.batches}" if run.batch else ""
        click.echo(f"stopped after epoch {run.epoch}{batch}: {run.stopping}", err=True)
    click.echo(f"saved {target}", err=True)


def _rehearse(model: Model, file: Path, *, resume: bool, as_json: bool) -> int:
    """Everything but training: build, count, and run one batch forward and backward."""
    run = _begin(model, file, resume=resume)
    loss = run.rehearse()
    summary = model.summary()
    rows = {part: len(getattr(model.parts, part)) for part in ("train", "validation", "test")}
    if as_json:
        layers = [{"name": row.name, "type": row.type, "output_shape": row.output_shape} for row in summary.rows]
        print_json({"layers": layers, "parameters": summary.parameters, "samples": rows, "first_batch_loss": loss})
    else:
        click.echo(str(summary))
        click.echo(", ".join(f"{count} {part} samples" for part, count in rows.items() if count))
        click.echo(f"loss of the first batch {loss:.6g}; nothing was trained or written")
    return 0
