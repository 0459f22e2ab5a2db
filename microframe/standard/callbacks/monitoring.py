"""Callbacks that follow one number of the history and act when it no longer gets better."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np

from microframe.arrays import Array
from microframe.component import Component
from microframe.errors import ConfigError, Problem, nearest, one_of
from microframe.evaluation import name_metrics
from microframe.history import format_value
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.standard.callbacks.memories import check_arrays, check_values
from microframe.standard.callbacks.places import place
from microframe.values import NonNegativeFloat, NonNegativeInteger, PositiveInteger

if TYPE_CHECKING:
    from microframe.training import Run

ReducingFactor = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class _Followed(msgspec.Struct):
    """What is remembered of a column, beside arrays."""

    best: float = 0.0
    best_epoch: NonNegativeInteger = 0
    wait: NonNegativeInteger = 0
    cooldown: NonNegativeInteger = 0


class MonitoringCallback(Callback):
    """A callback that follows one column of the history.

    Fields of each (keyword only):
        monitor: which column: ``"loss"``, the name of a metric, or either with ``validation_`` before it; default
            ``"validation_loss"``.
        direction: whether smaller (``"min"``) or larger (``"max"``) is better; ``"auto"``, the default, takes the
            metric's own word, and smaller for a loss.
        min_delta: by how much an improvement must surpass the best value to count; default 0, which is any.

    A value that is not finite is never an improvement. `memory` holds ``best``, ``best_epoch`` (from 1) and ``wait``,
    the number of epochs since.

    Raises:
        ConfigError: before the first epoch, if there is no such column; after it, if the column has a number for each
            class.
        UsageError: before the first epoch, if the checkpoint of a resumed training has it remember something else.
    """

    _: KW_ONLY
    monitor: str = "validation_loss"
    direction: Literal["auto", "min", "max"] = "auto"
    min_delta: NonNegativeFloat = 0.0

    def training_begin(self, run: Run, memory: Memory) -> None:
        check_values(run, self, memory, _Followed)
        if self.monitor in run.measured:
            return
        training_name = self.monitor.removeprefix("validation_")
        has_no_validation = training_name != self.monitor and training_name in run.measured
        received = f"{self.monitor!r}" + (", but there are no validation samples" if has_no_validation else "")
        suggestion = training_name if has_no_validation else nearest(self.monitor, run.measured)
        raise ConfigError([Problem(place(run, self, "monitor"), one_of(run.measured), received, suggestion)])

    def improves(self, run: Run, memory: Memory) -> bool:
        """Whether the epoch that ended is the best so far; to be asked once an epoch, as `memory` notes the answer."""
        value, best = self._value(run), memory.get("best")
        gain = math.inf if best is None else (value - best if self._is_higher_better(run) else best - value)
        is_better = math.isfinite(value) and gain > self.min_delta
        if is_better:
            memory |= {"best": value, "best_epoch": run.epoch}
        memory["wait"] = 0 if is_better else memory.get("wait", 0) + 1
        return is_better

    def _value(self, run: Run) -> float:
        value = run.history.last()[self.monitor]
        if not isinstance(value, float):
            received = f"{self.monitor!r}, which has one for each class"
            raise ConfigError([Problem(place(run, self, "monitor"), "a metric that is a single number", received)])
        return value

    def _is_higher_better(self, run: Run) -> bool:
        if self.direction != "auto":
            return self.direction == "max"
        name = self.monitor.removeprefix("validation_")
        metric = name_metrics(run.settings.metrics).get(name)
        return metric is not None and metric.better == "higher"


class EarlyStopping(MonitoringCallback):
    """Ends training when the monitored value has not improved for some epochs.

    Fields:
        patience: how many epochs in a row may pass without improvement, the last of which ends training; default 5.
        restore_best: whether the model is left, however training ends and also when it diverged, with the weights it
            predicted with after its best epoch, and with the state of its layers then; default true. A continued
            training still goes on from the last weights.
    """

    patience: PositiveInteger = 5
    restore_best: bool = True

    def training_begin(self, run: Run, memory: Memory) -> None:
        super().training_begin(run, memory)
        check_arrays(run, self, memory, _weights(run))

    def epoch_end(self, run: Run, memory: Memory) -> None:
        if self.improves(run, memory):
            if self.restore_best:
                _keep_weights(run, memory)
        elif memory["wait"] >= self.patience:
            epochs = _count(memory["wait"], "epoch")
            run.stop(f"no improvement of {self.monitor} for {epochs} ({_describe_best(memory)})", final=True)

    def training_end(self, run: Run, memory: Memory) -> None:
        if self.restore_best and "parameters" in memory:
            _restore_weights(run, memory)

    @classmethod
    def examples(cls) -> list[Component]:
        return [
            cls(),
            cls(1, monitor="loss", direction="max"),
            cls(2, restore_best=False, monitor="accuracy", min_delta=0.1),
        ]


class ReduceOnPlateau(MonitoringCallback):
    """Lowers the learning rate when the monitored value has not improved for some epochs.

    Fields:
        factor: what the learning rate is multiplied by, 0 < factor < 1; default 0.5.
        patience: how many epochs in a row may pass without improvement before it is; default 3.
        cooldown: how many epochs after that do not count; default 0.
        minimum: the learning rate, without the optimizer's schedule, that this goes no lower than; default 0.
    """

    factor: ReducingFactor = 0.5
    patience: PositiveInteger = 3
    cooldown: NonNegativeInteger = 0
    minimum: NonNegativeFloat = 0.0

    def epoch_end(self, run: Run, memory: Memory) -> None:
        is_better, cooldown = self.improves(run, memory), memory.get("cooldown", 0)
        if cooldown:
            memory |= {"cooldown": cooldown - 1, "wait": 0}
        elif not is_better and memory["wait"] >= self.patience:
            memory |= {"cooldown": self.cooldown, "wait": 0}
            lowest = self.minimum / run.settings.optimizer.learning_rate
            run.learning_rate_factor = min(
                run.learning_rate_factor, max(run.learning_rate_factor * self.factor, lowest)
            )

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls(0.1, patience=1, cooldown=1, minimum=1e-5, monitor="loss", direction="max")]


def _weights(run: Run) -> dict[str, Array]:
    """The parameters and the state of the network, by the names under which they are kept."""
    network = run.model.network
    states = network.state.items()
    state = {f"state/{layer}/{name}": array for layer, arrays in states for name, array in arrays.items()}
    return {"parameters": network.parameters, **state}


def _keep_weights(run: Run, memory: Memory) -> None:
    with run.prediction_weights():
        memory |= {name: array.copy() for name, array in _weights(run).items()}


def _restore_weights(run: Run, memory: Memory) -> None:
    for name, array in _weights(run).items():
        np.copyto(array, memory[name])


def _describe_best(memory: Memory) -> str:
    if "best" not in memory:
        return "it was never a finite number"
    return f"best {format_value(memory['best'])} at epoch {memory.get('best_epoch')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
