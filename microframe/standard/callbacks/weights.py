"""A record of how the weights move."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from microframe.arrays import Array
from microframe.component import Component
from microframe.errors import ConfigError, Problem
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.standard.callbacks.memories import another_memory, check_arrays, check_values
from microframe.standard.callbacks.places import place
from microframe.values import NonNegativeInteger

if TYPE_CHECKING:
    from microframe.training import Run


class _Counts(msgspec.Struct):
    """What is remembered beside the rows that wait."""

    waiting: NonNegativeInteger = 0
    recorded: NonNegativeInteger = 0


class WeightRecorder(Callback):
    """Records the parameters after each update or each epoch, in the model's `records`, which are saved with it.

    The records are ``weights`` (records, parameters), the flat vector as it is trained, in the network's dtype (its
    `Network.views` split it by layer and name); ``epoch`` and ``batch`` (records,), both from 1, int64; ``loss``
    (records,), of the batch before its update, or the mean over the epoch, float64. They are complete after each
    epoch and at the end of training.

    Fields:
        every: ``"batch"`` or ``"epoch"``; default ``"epoch"``.
        initial: whether the weights before the first update come first, as epoch 0 and batch 0 with the loss NaN;
            default false.

    Raises:
        ConfigError: before the first epoch, if there is another weight recorder.
        UsageError: before the first epoch, if the checkpoint of a resumed training has other rows or records.
    """

    every: Literal["batch", "epoch"] = "epoch"
    initial: bool = False

    # The rows of the epoch under way wait in arrays in `memory` and join the model's records when it ends. `memory`
    # also counts the rows that have joined: an interrupted training shows the rows of its unfinished epoch in the
    # records while its checkpoint still has them waiting, so to continue is to cut the records back to that count.

    def training_begin(self, run: Run, memory: Memory) -> None:
        if sum(isinstance(callback, WeightRecorder) for callback in run.settings.callbacks) > 1:
            raise ConfigError([Problem(place(run, self, "every"), "one weight_recorder", "several")])
        _check_rows(run, self, memory)
        records = run.model.records
        is_first = "recorded" not in memory
        memory.setdefault("waiting", 0)
        recorded = memory.setdefault("recorded", len(records.get("epoch", ())))
        for name, empty in _empty_rows(run, 0).items():
            records[name] = records.get(name, empty)[:recorded]
        if self.initial and is_first and run.step == 0:
            _add(run, memory, 0, 0, math.nan)

    def batch_end(self, run: Run, memory: Memory) -> None:
        if self.every == "batch":
            _add(run, memory, run.epoch + 1, run.batch, run.loss)

    def epoch_end(self, run: Run, memory: Memory) -> None:
        if self.every == "epoch":
            _add(run, memory, run.epoch, run.batches, run.history.last()["loss"])
        _join(run, memory)

    def training_end(self, run: Run, memory: Memory) -> None:
        _join(run, memory)

    @classmethod
    def examples(cls) -> list[Component]:
        return [cls(), cls("batch", initial=True)]


def _empty_rows(run: Run, count: int) -> dict[str, Array]:
    parameters = run.model.network.parameters
    return {
        "weights": np.zeros((count, parameters.size), parameters.dtype),
        "epoch": np.zeros(count, np.int64),
        "batch": np.zeros(count, np.int64),
        "loss": np.zeros(count, np.float64),
    }


def _check_rows(run: Run, callback: WeightRecorder, memory: Memory) -> None:
    """Check that the rows of a resumed training can be gone on with: those that wait, and those of the records."""
    check_values(run, callback, memory, _Counts)
    rows = _empty_rows(run, run.batches + 1)
    check_arrays(run, callback, memory, rows)
    waiting, most = memory.get("waiting", 0), run.batch + 1 if "weights" in memory else 0
    if waiting > most:
        raise another_memory(run, callback, f"expected at most {most} rows that wait, received {waiting}")
    recorded = memory.get("recorded", 0)
    for name, wanted in rows.items():
        array = run.model.records.get(name, wanted)
        is_alike = array.ndim == wanted.ndim and array.shape[1:] == wanted.shape[1:] and array.dtype == wanted.dtype
        if not is_alike or (array is not wanted and len(array) < recorded):
            expected = f"at least {recorded} rows of {wanted.dtype} and the shape {wanted.shape[1:]}"
            received = f"{array.dtype} of shape {array.shape}"
            raise another_memory(run, callback, f"expected {expected} as records[{name!r}], received {received}")


def _add(run: Run, memory: Memory, epoch: int, batch: int, loss: float) -> None:
    row = memory["waiting"]
    if "weights" not in memory:
        memory |= _empty_rows(run, run.batches + 1)
    memory["weights"][row] = run.model.network.parameters
    memory["epoch"][row] = epoch
    memory["batch"][row] = batch
    memory["loss"][row] = loss
    memory["waiting"] = row + 1


def _join(run: Run, memory: Memory) -> None:
    """Move the rows that wait to the model's records."""
    waiting, records = memory["waiting"], run.model.records
    if waiting:
        for name in _empty_rows(run, 0):
            records[name] = _append(records[name], memory.pop(name)[:waiting])
        memory |= {"recorded": memory["recorded"] + waiting, "waiting": 0}


def _append(array: Array, rows: Array) -> Array:
    """`array` with `rows` after it: a view of an array with room for as many again, so that most calls copy no row."""
    count, room = len(array) + len(rows), array.base
    fits = room is not None and room.shape[1:] == array.shape[1:] and len(room) >= count
    if room is None or not fits or room.ctypes.data != array.ctypes.data:
        room = np.empty((2 * count, *array.shape[1:]), array.dtype)
        room[: len(array)] = array
    room[len(array) : count] = rows
    return room[:count]
