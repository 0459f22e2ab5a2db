"""What every callback must do."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.errors import MicroframeError, UsageError
from microframe.interfaces import Callback
from microframe.interfaces.callback import Listener, Memory
from microframe.model import Model
from microframe.testing.checks.guards import assert_same, drawing_from_no_global_generator, keeping_nothing
from microframe.testing.conformance import Skipped, surroundings

if TYPE_CHECKING:
    from microframe.training import Run

_METHODS = ("training_begin", "batch_end", "epoch_end", "training_end")
_SYNONYMS = {"train": "training", "fit": "training", "start": "begin", "stop": "end", "finish": "end", "step": "batch"}
"""What other frameworks call the events and their moments."""
_EVENTS = {"training", "epoch", "batch"}

_LAYERS: tuple[dict[str, Any], ...] = (
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "dropout", "rate": 0.2},
    {"type": "dense", "units": 3, "activation": "softmax"},
)
"""A network that draws noise, so that it shows when a resumed training does not go on with the same generator."""
_EPOCHS, _BATCHES, _BATCH_SIZE = 4, 3, 8
_STOPS = ((2, 2), (3, _BATCHES))
"""Where a training is stopped to be resumed, as (epoch, batch) from 1: within an epoch, and at the end of one."""
_SAVED = "_stopped.h5"


def overrides_a_method(example: Example) -> None:
    """At least one of the four methods is overridden, and none looks like a misspelt one, which nobody would call."""
    callback = type(example.component)
    for owner in callback.__mro__:
        for name, method in vars(owner).items():
            is_suspicious = isinstance(method, types.FunctionType) and _is_misspelt(name)
            assert not is_suspicious, (
                f"expected the methods of a listener, {', '.join(_METHODS)}, received {owner.__qualname__}.{name}, "
                f"which nobody calls: did you mean {_nearest(name)!r}?"
            )
    is_listening = any(getattr(callback, name) is not getattr(Listener, name) for name in _METHODS)
    assert is_listening, f"expected one of {', '.join(_METHODS)} to be overridden, received none"


def trains(example: Example) -> None:
    """A training with it runs to its end."""
    with surroundings(example):
        model = _trained(example)
    assert model.checkpoint is not None, "expected a training that ends with a checkpoint, received none"


def without_validation(example: Example) -> None:
    """A training without validation samples runs to its end, or is refused by a MicroframeError that speaks of them."""
    with surroundings(example):
        try:
            _train(Model(_LAYERS), dataclasses.replace(_callback(example)), validation=False)
        except Exception as error:
            if isinstance(error, MicroframeError) and "validation" in str(error).lower():
                return
            raise AssertionError(
                f"expected a training without validation samples to run, or to be refused with a MicroframeError that "
                f"says that they are needed, received {type(error).__name__}: {error}"
            ) from error


def exact_resume(example: Example) -> None:
    """A training that was stopped, saved and resumed has the weights, the history and the files of one that never
    stopped."""
    with surroundings(example):
        expected, files = _outcome(_trained(example)), _files()
    compared = 0
    for epoch, batch in _STOPS:
        with surroundings(example):
            stop = _StopAt(epoch, batch)
            stopped = _trained(example, listener=stop)
            if not stop.was_reached:
                continue
            stopped.save(_SAVED)
            resumed = _trained(example, Model.load(_SAVED), resume=True)
            files_of_resumed = _files()
        when = f"after a stop at batch {batch} of epoch {epoch}"
        _assert_same_outcome(_outcome(resumed), expected, f"{{}} of a resumed training, {when}, as without the stop")
        _assert_same_files(example, files_of_resumed, files, when)
        compared += 1
    if not compared:
        raise Skipped("it ends training before it can be stopped")


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the callback or its class: what it remembers goes into `memory`."""
    callback = dataclasses.replace(_callback(example))
    with surroundings(example), keeping_nothing(callback):
        _train(Model(_LAYERS), callback)


def no_global_random_state(example: Example) -> None:
    """No random number comes from a global generator."""
    with surroundings(example), drawing_from_no_global_generator():
        _trained(example)


def deterministic(example: Example) -> None:
    """Two trainings alike give the same weights and the same history."""
    outcomes = []
    for _ in range(2):
        with surroundings(example):
            outcomes.append(_outcome(_trained(example)))
    _assert_same_outcome(outcomes[1], outcomes[0], "{} of a second training as of the first")


def memory_is_plain(example: Example) -> None:
    """What it remembers can be saved: numbers, strings, truth values, None, lists and dicts of these, and arrays."""
    with surroundings(example):
        try:
            model = _trained(example)
            model.save("_memory.h5")
        except UsageError as error:
            raise AssertionError(f"expected a memory that a file can hold, but {error}") from error
        loaded = Model.load("_memory.h5").checkpoint
    assert loaded is not None
    assert model.checkpoint is not None
    expected = model.checkpoint.arrays
    for name in expected:
        if name.startswith("callbacks/"):
            assert_same(loaded.arrays[name], expected[name], f"the array {name} of its memory again from a file")


CHECKS: tuple[Callable[[Example], None], ...] = (
    overrides_a_method,
    trains,
    without_validation,
    exact_resume,
    keeps_nothing,
    no_global_random_state,
    deterministic,
    memory_is_plain,
)


class _StopAt(Listener):
    """Ends training after one batch of one epoch, both from 1."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = epoch, batch
        self.was_reached = False

    def batch_end(self, run: Run, memory: Memory) -> None:
        if (run.epoch + 1, run.batch) == self.place:
            self.was_reached = True
            run.stop("a check stops it here")


def _callback(example: Example) -> Callback:
    assert isinstance(example.component, Callback)
    return example.component


def _trained(
    example: Example, model: Model | None = None, *, listener: Listener | None = None, resume: bool = False
) -> Model:
    """A small model, trained with an instance of the callback of its own."""
    model = model or Model(_LAYERS)
    _train(model, dataclasses.replace(_callback(example)), listener=listener, resume=resume)
    return model


def _train(
    model: Model,
    callback: Callback,
    *,
    listener: Listener | None = None,
    resume: bool = False,
    validation: bool = True,
) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((_BATCHES * _BATCH_SIZE + 12, 4))
    y = np.digitize(x[:, 0] + x[:, 1], [-0.7, 0.7])
    train, held_out = slice(_BATCHES * _BATCH_SIZE), slice(_BATCHES * _BATCH_SIZE, None)
    model.fit(
        x[train],
        y[train],
        loss="cross_entropy",
        optimizer={"type": "adam", "learning_rate": 0.05},
        metrics=["accuracy"],
        epochs=_EPOCHS,
        batch_size=_BATCH_SIZE,
        validation=(x[held_out], y[held_out]) if validation else None,
        callbacks=[callback],
        listeners=[] if listener is None else [listener],
        resume=resume,
    )


def _outcome(model: Model) -> dict[str, Array]:
    """All that training leaves behind, by what it is; times aside."""
    assert model.checkpoint is not None
    arrays = {
        "the weights": model.network.parameters,
        "the weights that training would go on from": model.checkpoint.arrays["optimizer/parameters"],
        **{f"the history of {name}": model.history[name] for name in model.history},
        **{f"the record {name}": array for name, array in model.records.items()},
    }
    return {name: array for name, array in arrays.items() if "time" not in name and "seconds" not in name}


def _assert_same_outcome(received: dict[str, Array], expected: dict[str, Array], what: str) -> None:
    odd = received.keys() ^ expected.keys()
    assert not odd, f"expected {what.format('all')}, but only one of the two has {', '.join(sorted(odd))}"
    for name, array in expected.items():
        assert_same(received[name], array, what.format(name))


def _files() -> Counter[str]:
    """The files in the current folder, each with its number of lines if it is text; digits in names all count alike."""
    paths = (path for path in Path().rglob("*") if path.is_file() and path.name != _SAVED)
    return Counter(re.sub(r"\d+", "0", path.as_posix()) + _described(path.read_bytes()) for path in paths)


def _described(content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return ""
    return "" if "\0" in text else f" of {len(text.splitlines())} lines"


def _assert_same_files(example: Example, received: Counter[str], expected: Counter[str], when: str) -> None:
    if received == expected:
        return
    with surroundings(example):
        _trained(example)
        is_always_so = _files() == expected
    assert not is_always_so, (
        f"expected the files of a resumed training, {when}, to be as without the stop: {_listed(expected - received)}, "
        f"received {_listed(received - expected)}"
    )


def _listed(files: Iterable[str]) -> str:
    return ", ".join(sorted(files)) or "none"


def _is_misspelt(name: str) -> bool:
    """Whether a method is called as if training were to call it."""
    if name in _METHODS or name.startswith("_"):
        return False
    words = _words(name)
    is_event = words[0] in _EVENTS and words[-1] in {"begin", "end"}
    is_reversed = name.partition("_")[0] in {"begin", "start", "end", "before", "after"} and words[-1] in _EVENTS
    is_close = bool(difflib.get_close_matches(name, _METHODS, n=1, cutoff=0.8))
    return name.startswith("on_") or is_event or is_reversed or is_close


def _nearest(name: str) -> str:
    return difflib.get_close_matches("_".join(_words(name)), _METHODS, n=1, cutoff=0.0)[0]


def _words(name: str) -> list[str]:
    return [_SYNONYMS.get(word, word) for word in name.removeprefix("on_").split("_")]
