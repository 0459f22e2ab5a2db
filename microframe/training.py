"""The training loop: batches, forward, loss, backward, optimizer step; and what callbacks see of it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from microframe.arrays import Array
from microframe.checkpoint import (
    Checkpoint,
    below,
    copy_memories,
    copy_network,
    restore_memories,
    restore_network,
)
from microframe.configuration import Training
from microframe.contexts import Arena
from microframe.errors import TrainingDivergedError, UsageError
from microframe.evaluation import evaluate, fuse, measure, metrics_beside, name_metrics
from microframe.history import History
from microframe.interfaces.callback import Listener
from microframe.interfaces.loss import Loss
from microframe.network import first_nonfinite
from microframe.optimization import OptimizerState
from microframe.randomness import generator, get_state, set_state
from microframe.samples import Samples
from microframe.training_pass import TrainingPass

if TYPE_CHECKING:
    from microframe.model import Model


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
        batches: how many batches an epoch has.
        learning_rate_factor: a factor on the learning rate beside the schedule's, for callbacks to change.
        undo: makes the model what it was before the run; called when a callback refuses to begin.
        stopping: why training ends early, or None.
    """

    def __init__(
        self,
        model: Model,
        settings: Training,
        train: Samples,
        validation: Samples | None = None,
        test: Samples | None = None,
        listeners: Sequence[Listener] = (),
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
        self._last_factor = 1.0
        self._metrics = metrics_beside(settings.loss, settings.metrics)
        self._outputs = np.empty((self.samples, *network.output_shape), network.dtype) if settings.metrics else None
        self._workspaces: dict[tuple[int, ...], _Workspace] = {}
        self._callbacks: list[Listener] = [*settings.callbacks, *listeners]
        self._memories: list[dict[str, Any]] = [{} for _ in self._callbacks]
        self._on_batch_end = self._listening("batch_end")
        self._last_good: Checkpoint | None = None
        self._final: Checkpoint | None = None
        self._finished = False
        self._to_save: list[str] = []
        self._started = time.monotonic()
        self.undo: Callable[[], None] = _nothing

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns that the history gets for the losses and the metrics."""
        names = ("loss", *name_metrics(self.settings.metrics))
        return names if self._validation is None else (*names, *(f"validation_{name}" for name in names))

    @property
    def seconds(self) -> float:
        """How long `train` has been at work."""
        return time.monotonic() - self._started

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return self.settings.optimizer.learning_rate * self._factor()

    def stop(self, reason: str, *, final: bool = False) -> None:
        """End training after the current batch.

        Args:
            reason: why, for people.
            final: whether to resume with the same number of epochs is to do nothing; otherwise it goes on from here.
        """
        self.stopping = reason
        self._finished = self._finished or final

    def train(self) -> None:
        """Train to the last epoch, or until something calls `stop`; then measure the samples held out for a test.

        The model is left with the weights for prediction, and with the checkpoint that a continuation needs.

        Raises:
            TrainingDivergedError: the loss or a parameter is no longer finite; the model is left as it was after the
                last good epoch.
        """
        self._started, self._final = time.monotonic(), None
        with np.errstate(all="ignore"):
            try:
                self._notify("training_begin")
                self._last_good = self.checkpoint()
            except BaseException:
                self.undo()
                raise
            self.undo = _nothing
            try:
                while not self._finished and self.epoch < self.settings.epochs and self.stopping is None:
                    self._train_epoch()
            except TrainingDivergedError:
                self.restore(self._last_good)
                self._leave()
                raise
            self._leave()
            if self._test is not None:
                self.model.results["test"] = self._measure(self._test)

    def _leave(self) -> None:
        """End the run where it stands: keep its checkpoint, and give the model the weights for prediction."""
        self.model.checkpoint = self._final = self.checkpoint()
        self.model.network.parameters[:] = self._optimizer.prediction_parameters()
        self._notify("training_end")

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
        memories, arrays = copy_memories(self._memories[: len(self.settings.callbacks)])
        arrays |= copy_network(self.model.network)
        arrays |= {f"optimizer/slots/{name}": array.copy() for name, array in self._optimizer.slots.items()}
        if self._outputs is not None and self.batch:
            arrays["progress/outputs"] = self._outputs.copy()
        progress = {
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "loss_sum": self._loss_sum,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "learning_rate_factor": self.learning_rate_factor,
            "random": {
                "shuffle": self._shuffle_state if self.batch else get_state(self._shuffle),
                "noise": get_state(self._noise),
            },
            "callbacks": [callback.type for callback in self.settings.callbacks],
            "memories": memories,
            "measured": list(self.measured),
            "finished": self.settings.epochs if self._finished else None,
        }
        return Checkpoint(progress, arrays)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint` as if training had never stopped.

        Raises:
            UsageError: the run of the checkpoint differs in what cannot change: see the message.
        """
        progress, arrays = checkpoint.progress, checkpoint.arrays
        self._check_continues(progress, arrays)
        self._finished = progress["finished"] == self.settings.epochs
        self.epoch, self.batch, self.step = progress["epoch"], progress["batch"], progress["step"]
        self._loss_sum, self.learning_rate_factor = progress["loss_sum"], progress["learning_rate_factor"]
        set_state(self._shuffle, progress["random"]["shuffle"])
        set_state(self._noise, progress["random"]["noise"])
        self._shuffle_state = get_state(self._shuffle)
        restore_network(self.model.network, arrays)
        self._optimizer.restore(below("optimizer/slots/", arrays), self.step)
        if self._outputs is not None and "progress/outputs" in arrays:
            self._outputs[:] = arrays["progress/outputs"]
        callbacks = self.settings.callbacks
        restore_memories(callbacks, self._memories[: len(callbacks)], checkpoint)
        self.history.truncate(self.epoch)

    def _check_continues(self, progress: dict[str, Any], arrays: dict[str, Array]) -> None:
        slots = below("optimizer/slots/", arrays)
        if slots.keys() != self._optimizer.slots.keys():
            raise UsageError(
                f"the file's run had an optimizer with the slots {_listed(slots)}, which "
                f"{self.settings.optimizer.type!r} with {_listed(self._optimizer.slots)} cannot continue"
            )
        if progress["samples"] != self.samples:
            raise UsageError(f"the file's run trained on {progress['samples']} samples, not on {self.samples}")
        if progress["batch"] and progress["batch_size"] != self.batch_size:
            raise UsageError(
                f"the file's run stopped within an epoch with batches of {progress['batch_size']}, so it can only be "
                f"continued with that size, not with {self.batch_size}"
            )
        if progress["measured"] != list(self.measured):
            raise UsageError(
                f"the file's run measured {', '.join(progress['measured'])}, so its history cannot be continued with "
                f"{', '.join(self.measured)}"
            )
        missing = {*self.measured, "learning_rate"} - self.history.keys() if progress["epoch"] else set()
        if missing or self.history.epochs < progress["epoch"]:
            raise UsageError(
                f"the file's run did {progress['epoch']} epochs, of which its history lacks some or a part"
            )
        if self._outputs is not None and progress["batch"] and "progress/outputs" not in arrays:
            raise UsageError("the file's run stopped within an epoch, and the outputs so far are not in the file")

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
        factor = self._last_factor
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
                value = _weighted(loss, output, target, weight, gradient, empty)
            if not math.isfinite(value):
                raise self._diverged(f"the loss is {value}", x)
            backward(gradient)
            factor = self._factor() if has_schedule else self.learning_rate_factor
            step(factor)
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
        self._last_factor = factor

    def _end_epoch(self) -> None:
        if not np.isfinite(self.model.network.parameters).all():
            raise self._diverged("a parameter is not finite", None)
        row: dict[str, Any] = {"loss": self._loss_sum / self.samples}
        if self._outputs is not None:
            if self._activation is not None:
                self._activation.forward(self._outputs, self._outputs)
            row |= measure(self._metrics, self._outputs, self._train)
        if self._validation is not None:
            row |= {f"validation_{name}": value for name, value in self.evaluate(self._validation).items()}
        row["learning_rate"] = self.settings.optimizer.learning_rate * self._last_factor
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
        return evaluate(self._network, self._activation, self._loss, self._metrics, samples)

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
        suspect = (
            f"the first value that is not finite is in {where}" if where else "the output of every layer is finite"
        )
        return TrainingDivergedError(f"{place}: {what}; {suspect}; a smaller learning rate or clip_norm may help")

    def _first_inputs(self) -> Array:
        return next(self._train.batches(self.batch_size, self._network.input_dtype)).inputs

    def _listening(self, event: str) -> list[Callable[[], None]]:
        """The calls of the callbacks that override `event`."""
        return [
            _bound(getattr(callback, event), self, memory)
            for callback, memory in zip(self._callbacks, self._memories, strict=True)
            if getattr(type(callback), event) is not getattr(Listener, event)
        ]

    def _notify(self, event: str) -> None:
        for call in self._listening(event):
            call()
        if self._to_save:
            self._write_files()


def _bound(method: Callable[[Run, dict[str, Any]], None], run: Run, memory: dict[str, Any]) -> Callable[[], None]:
    return lambda: method(run, memory)


def _weighted(
    loss: Loss, output: Array, target: Array, weight: Array, gradient: Array, empty: Callable[..., Array]
) -> float:
    """The value and the gradient of a loss whose samples have weights: each sample's gradient scales with its own."""
    value = loss.value(output, target, weight)
    loss.value_and_gradient(output, target, gradient, empty)  # `gradient` would have no arrays to reuse
    gradient *= weight.reshape(-1, *[1] * (gradient.ndim - 1))
    return value


def _listed(slots: Iterable[str]) -> str:
    return ", ".join(slots) or "none"


def _nothing() -> None:
    """What is left to undo once training has begun."""
