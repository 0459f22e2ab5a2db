"""The training loop: batches, forward, loss, backward, optimizer step; and what callbacks see of it."""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microframe.arrays import Array
from microframe.configuration import Training
from microframe.contexts import Arena
from microframe.errors import TrainingDivergedError, UsageError
from microframe.evaluation import evaluate, fuse, measure
from microframe.history import History
from microframe.interfaces import Callback
from microframe.network import TrainingPass, first_nonfinite
from microframe.optimization import OptimizerState
from microframe.randomness import generator, get_state, set_state
from microframe.samples import Samples

if TYPE_CHECKING:
    from microframe.model import Model


@dataclass(frozen=True)
class Checkpoint:
    """Everything that an exact continuation needs beside the configuration and the data.

    Attributes:
        progress: plain JSON values: position, random states, what callbacks remember.
        arrays: the arrays of the same, by path; the parameters are the ones being trained, which differ from those
            that predict when weights are averaged or the best ones were restored.
    """

    progress: dict[str, Any]
    arrays: dict[str, Array]


@dataclass
class _Workspace:
    """What steps on batches of one shape work in."""

    training_pass: TrainingPass
    gradient: Array
    arena: Arena = field(repr=False)


class Run:
    """One run of training. Callbacks receive it.

    Attributes:
        model: what is trained.
        settings: the training section of the configuration.
        epoch: how many epochs are complete.
        batch: how many batches of the current epoch are done.
        step: how many updates there were in all.
        loss: the loss of the last batch.
        samples: how many samples an epoch has.
        learning_rate_factor: a factor on the learning rate beside the schedule's, for callbacks to change.
        stopping: why training ends early, or None.
    """

    def __init__(
        self,
        model: Model,
        settings: Training,
        train: Samples,
        validation: Samples | None = None,
        test: Samples | None = None,
        listeners: Sequence[Callback] = (),
    ) -> None:
        self.model = model
        self.settings = settings
        self.history: History = model.history
        self.epoch = self.batch = self.step = 0
        self.loss = math.nan
        self.samples = len(train)
        self.batch_size = min(self.samples if settings.batch_size == "all" else settings.batch_size, self.samples)
        self.batches = -(-self.samples // self.batch_size)
        self.learning_rate_factor = 1.0
        self.stopping: str | None = None

        self._train, self._validation, self._test = train, validation, test
        self._network, self._activation, self._loss = fuse(model.network, settings.loss)
        network = self._network
        self._optimizer = OptimizerState(settings.optimizer, network.parameters, network.gradients, network.layout)
        self._shuffle, self._noise = generator(settings.seed, "shuffle"), generator(settings.seed, "noise")
        self._shuffle_state = get_state(self._shuffle)
        self._loss_sum = 0.0
        self._outputs = np.empty((self.samples, *network.output_shape), network.dtype) if settings.metrics else None
        self._workspaces: dict[tuple[int, ...], _Workspace] = {}
        self._callbacks = [*settings.callbacks, *listeners]
        self._memories: list[dict[str, Any]] = [{} for _ in self._callbacks]
        self._on_batch_end = self._listening("batch_end")
        self._last_good: Checkpoint | None = None
        self._final: Checkpoint | None = None
        self._to_save: list[str] = []
        self._started = time.monotonic()

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns that the history gets for the losses and the metrics."""
        names = ("loss", *(metric.type for metric in self.settings.metrics))
        return names if self._validation is None else (*names, *(f"validation_{name}" for name in names))

    @property
    def seconds(self) -> float:
        """How long `train` has been at work."""
        return time.monotonic() - self._started

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.settings.optimizer.learning_rate * self._factor()

    def stop(self, reason: str) -> None:
        """End training after the current batch."""
        self.stopping = reason

    def train(self) -> None:
        """Train to the last epoch, or until something calls `stop`; then measure the samples held out for a test.

        The model is left with the weights for prediction, and with the checkpoint that a continuation needs.

        Raises:
            TrainingDivergedError: the loss or a parameter is no longer finite; the model is left as it was after the
                last good epoch.
        """
        self._started, self._final = time.monotonic(), None
        with np.errstate(all="ignore"):
            self._notify("training_begin")
            self._last_good = self.checkpoint()
            try:
                while self.epoch < self.settings.epochs and self.stopping is None:
                    self._train_epoch()
            except TrainingDivergedError:
                self.restore(self._last_good)
                self.model.checkpoint = self._last_good
                self.model.network.parameters[:] = self._optimizer.prediction_parameters()
                raise
            self.model.checkpoint = self._final = self.checkpoint()
            self.model.network.parameters[:] = self._optimizer.prediction_parameters()
            self._notify("training_end")
            if self._test is not None:
                self.model.results["test"] = self._measure(self._test)

    def rehearse(self) -> float:
        """The loss of the first batch, forward and backward, with no parameter changed."""
        batch = next(self._train.batches(self.batch_size, self._network.input_dtype))
        assert batch.target is not None
        workspace = self._workspace(batch.inputs.shape)
        with np.errstate(all="ignore"):
            output = workspace.training_pass.forward(batch.inputs)
            self.loss = self._loss.value_and_gradient(output, batch.target, workspace.gradient, workspace.arena.empty)
            workspace.training_pass.backward(workspace.gradient)
        return self.loss

    def checkpoint(self) -> Checkpoint:
        """A copy of everything that `restore` needs."""
        arrays = {"parameters": self.model.network.parameters.copy()}
        for layer, states in self.model.network.state.items():
            arrays |= {f"state/{layer}/{name}": array.copy() for name, array in states.items()}
        arrays |= {f"slots/{name}": array.copy() for name, array in self._optimizer.slots.items()}
        if self._outputs is not None and self.batch:
            arrays["outputs"] = self._outputs.copy()
        memories: list[dict[str, Any]] = []
        for index, memory in enumerate(self._memories[: len(self.settings.callbacks)]):
            plain = {key: value for key, value in memory.items() if not isinstance(value, np.ndarray)}
            memories.append(copy.deepcopy(plain))
            arrays |= {
                f"memory/{index}/{key}": value.copy() for key, value in memory.items() if isinstance(value, np.ndarray)
            }
        progress = {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "loss_sum": self._loss_sum,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "learning_rate_factor": self.learning_rate_factor,
            "shuffle": self._shuffle_state if self.batch else get_state(self._shuffle),
            "noise": get_state(self._noise),
            "callbacks": [callback.type for callback in self.settings.callbacks],
            "memories": memories,
            "history": list(self.history.to_dict().items()),
        }
        return Checkpoint(progress, arrays)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint` as if training had never stopped.

        Raises:
            UsageError: the checkpoint is of a run with another optimizer or another number of samples, or stands within
                an epoch whose batches have another size.
        """
        progress, arrays = checkpoint.progress, checkpoint.arrays
        if progress["samples"] != self.samples:
            raise UsageError(f"the file's run trained on {progress['samples']} samples, not on {self.samples}")
        if progress["batch"] and progress["batch_size"] != self.batch_size:
            raise UsageError(
                f"the file's run stopped within an epoch with batches of {progress['batch_size']}, so it can only be "
                f"continued with that size, not with {self.batch_size}"
            )
        self.epoch, self.batch, self.step = progress["epoch"], progress["batch"], progress["step"]
        self._loss_sum, self.learning_rate_factor = progress["loss_sum"], progress["learning_rate_factor"]
        set_state(self._shuffle, progress["shuffle"])
        set_state(self._noise, progress["noise"])
        self._shuffle_state = get_state(self._shuffle)
        self.model.network.parameters[:] = arrays["parameters"]
        for layer, states in self.model.network.state.items():
            for name, array in states.items():
                array[...] = arrays[f"state/{layer}/{name}"]
        self._optimizer.restore(_below("slots/", arrays), self.step)
        if self._outputs is not None and "outputs" in arrays:
            self._outputs[:] = arrays["outputs"]
        self._restore_memories(progress, arrays)
        self.history.replace(dict(progress["history"]))

    def _restore_memories(self, progress: dict[str, Any], arrays: dict[str, Array]) -> None:
        """Give each callback of the configuration the memory of the one of its type; the configuration may differ."""
        left = list(enumerate(progress["callbacks"]))
        for callback, memory in zip(self.settings.callbacks, self._memories, strict=False):
            memory.clear()
            match = next((entry for entry in left if entry[1] == callback.type), None)
            if match is not None:
                left.remove(match)
                kept = {name: array.copy() for name, array in _below(f"memory/{match[0]}/", arrays).items()}
                memory.update(copy.deepcopy(progress["memories"][match[0]]) | kept)

    @contextmanager
    def prediction_weights(self) -> Iterator[None]:
        """While inside, the model has the weights that predictions use: averaged ones, if the optimizer averages."""
        parameters = self.model.network.parameters
        if self.settings.optimizer.average is None or self._final is not None:
            yield
            return
        trained = parameters.copy()
        parameters[:] = self._optimizer.prediction_parameters()
        try:
            yield
        finally:
            parameters[:] = trained

    def save(self, path: str) -> None:
        """Save the model as it predicts now, with what an exact continuation needs.

        The file is written as soon as all callbacks have been told of the event that one of them calls this from, so
        that it has what each of them remembers of it.
        """
        self._to_save.append(path)

    def _write_files(self) -> None:
        checkpoint = self._final or self.checkpoint()
        with self.prediction_weights():
            while self._to_save:
                self.model.save(self._to_save.pop(0), checkpoint=checkpoint)

    def _train_epoch(self) -> None:
        if self.batch == 0:
            self._loss_sum = 0.0
            self._shuffle_state = get_state(self._shuffle)
        self._train_batches()
        if self.batch == self.batches:
            self._end_epoch()

    def _train_batches(self) -> None:
        loss, step, shape = self._loss, self._optimizer.step, None
        network, outputs, callbacks = self._network, self._outputs, self._on_batch_end
        has_schedule = self.settings.optimizer.schedule is not None
        shuffle = self._shuffle if self.settings.shuffle else None
        batches = self._train.batches(self.batch_size, network.input_dtype, shuffle)
        for rows, x, target, weight in itertools.islice(batches, self.batch, None):
            assert target is not None
            if x.shape != shape:
                shape, workspace = x.shape, self._workspace(x.shape)
                forward, backward = workspace.training_pass.forward, workspace.training_pass.backward
                gradient, arena, empty = workspace.gradient, workspace.arena, workspace.arena.empty
            output = forward(x)
            arena.used = 0
            if weight is None:
                value = loss.value_and_gradient(output, target, gradient, empty)
            else:
                value = _weighted(loss, output, target, weight, gradient)
            if not math.isfinite(value):
                raise self._diverged(f"the loss is {value}", x)
            backward(gradient)
            step(self._factor() if has_schedule else self.learning_rate_factor)
            self._loss_sum += value * len(x)
            self.loss = value
            self.batch += 1
            self.step += 1
            if outputs is not None:
                outputs[rows] = output
            for call in callbacks:
                call()
            if self._to_save:
                self._write_files()
            if self.stopping is not None:
                break

    def _end_epoch(self) -> None:
        if not np.isfinite(self.model.network.parameters).all():
            raise self._diverged("a parameter is not finite", None)
        row: dict[str, Any] = {"loss": self._loss_sum / self.samples}
        if self._outputs is not None:
            if self._activation is not None:
                self._activation.forward(self._outputs, self._outputs)
            row |= measure(self.settings.metrics, self._outputs, self._train)
        if self._validation is not None:
            row |= {f"validation_{name}": value for name, value in self.evaluate(self._validation).items()}
        row["learning_rate"] = self.learning_rate
        self.history.append(row)
        self.epoch += 1
        self.batch = 0
        self._notify("epoch_end")
        self._last_good = self.checkpoint()

    def evaluate(self, samples: Samples) -> dict[str, Any]:
        """The loss and the metrics of `samples`, by name, with the weights that predictions use."""
        with self.prediction_weights():
            return self._measure(samples)

    def _measure(self, samples: Samples) -> dict[str, Any]:
        return evaluate(self._network, self._activation, self._loss, self.settings.metrics, samples)

    def _factor(self) -> float:
        schedule = self.settings.optimizer.schedule
        if schedule is None:
            return self.learning_rate_factor
        done = self.epoch + self.batch / self.batches
        return self.learning_rate_factor * schedule.factor(done, self.settings.epochs)

    def _workspace(self, shape: tuple[int, ...]) -> _Workspace:
        if shape not in self._workspaces:
            network = self._network
            gradient = np.empty((shape[0], *network.output_shape), network.dtype)
            self._workspaces[shape] = _Workspace(TrainingPass(network, self._noise), gradient, Arena(network.dtype))
        return self._workspaces[shape]

    def _diverged(self, what: str, x: Array | None) -> TrainingDivergedError:
        where = first_nonfinite(self._network, x if x is not None else self._first_inputs())
        place = f"epoch {self.epoch + 1}, batch {min(self.batch + 1, self.batches)}"
        suspect = f"; the first value that is not finite is in {where}" if where else ""
        return TrainingDivergedError(f"{place}: {what}{suspect}; a smaller learning rate or clip_norm may help")

    def _first_inputs(self) -> Array:
        return next(self._train.batches(self.batch_size, self._network.input_dtype)).inputs

    def _listening(self, event: str) -> list[Callable[[], None]]:
        """The calls of the callbacks that override `event`."""
        return [
            _bound(getattr(callback, event), self, memory)
            for callback, memory in zip(self._callbacks, self._memories, strict=True)
            if getattr(type(callback), event) is not getattr(Callback, event)
        ]

    def _notify(self, event: str) -> None:
        for call in self._listening(event):
            call()
        if self._to_save:
            self._write_files()


def _below(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    """The arrays whose path begins with `prefix`, by the rest of it."""
    return {path.removeprefix(prefix): array for path, array in arrays.items() if path.startswith(prefix)}


def _bound(method: Callable[[Run, dict[str, Any]], None], run: Run, memory: dict[str, Any]) -> Callable[[], None]:
    return lambda: method(run, memory)


def _weighted(loss: Any, output: Array, target: Array | None, weight: Array, gradient: Array) -> float:
    """The value and the gradient of a loss whose samples have weights: each sample's gradient scales with its own."""
    value = loss.value(output, target, weight)
    loss.gradient(output, target, gradient)
    gradient *= weight.reshape(-1, *[1] * (gradient.ndim - 1)).astype(gradient.dtype, copy=False)
    return float(value)
