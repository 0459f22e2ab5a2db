"""A loss alone, with predictions and targets that suit it, for checks to compute values and gradients of."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component, Example
from microframe.interfaces import Activation, Loss
from microframe.plugins import LOCAL, STANDARD
from microframe.registry import registry
from microframe.testing.checks.guards import unspecified
from microframe.testing.conformance import examples_of

Range = Literal["values", "positive values", "probabilities"]
"""What predictions are."""
Draw = Callable[[np.random.Generator, Shape], Array]
"""Random samples, from the shape (samples, *outputs)."""

_TRIED: tuple[Shape, ...] = ((4,), (1,), (5, 7))
_TRIED_LAST: tuple[Shape, ...] = ((2,), (3,), (5,), (10,), (4, 4, 2))
"""The shapes of one prediction that are tried; the latter where the loss takes none of the former."""
_FAR = 50.0
"""How far predictions lie from 0 where gradients are checked beyond the usual range."""
_HUGE = 1e30
"""Values of a loss from which on its gradient is not compared with differences."""


@dataclass(frozen=True)
class LossCase:
    """A loss with predictions and targets that it is made for.

    Attributes:
        loss: what is checked.
        outputs: the shape of one prediction.
        raw: targets as they stand in data.
        target: what `prepare` made of them.
        prediction: (samples, *outputs).
        range: what the predictions are.
        targets: what the targets are, in words.
    """

    loss: Loss
    outputs: Shape
    raw: Array
    target: Array
    prediction: Array
    range: Range
    targets: str

    def __str__(self) -> str:
        return f"predictions of shape {self.outputs} that are {self.range}, targets that are {self.targets}"

    def value_of(self, prediction: Array) -> float:
        """The mean of `sample_values` for other predictions."""
        return float(self.loss.sample_values(prediction, self.target).mean())

    def gradient(self) -> Array:
        """What `gradient` writes into an array of its own."""
        out = unspecified(self.prediction.shape, self.prediction.dtype)
        self.loss.gradient(self.prediction, self.target, out)
        return out


def loss_cases(example: Example, *, dtype: str = "float64", batch: int = 5, seed: int = 0) -> list[LossCase]:
    """The cases that suit a loss: targets that its `prepare` takes, with predictions for which it is finite.

    Args:
        example: a loss. Its inputs, if it has any, are the shape of a prediction, which is then the only one tried, or
            an array of predictions and one of targets.
        batch: the number of samples.
        dtype: of the network whose predictions they supposedly are.
        seed: of everything random.
    """
    loss = loss_of(example)
    if len(example.inputs) == 2:
        return [_given_case(loss, example, np.dtype(dtype), batch)]
    refusals: list[Exception] = []
    for shapes in [example.inputs] if example.inputs else [_TRIED, _TRIED_LAST]:
        cases = [
            case
            for outputs in shapes
            for case in _cases_of_shape(loss, tuple(outputs), np.dtype(dtype), batch, seed, refusals)
        ]
        if cases:
            return cases
    reason = f" ({type(refusals[0]).__name__}: {refusals[0]})" if refusals else ""
    raise AssertionError(
        f"expected {loss.type!r} to be finite for some of the predictions and targets that were tried: {_tried()}"
        f"{reason}; give some that suit in examples(), as microframe.Example(loss, inputs=(predictions, targets))"
    )


def loss_of(example: Example) -> Loss:
    """The loss that `example` shows."""
    loss = example.component
    assert isinstance(loss, Loss)
    return loss


def far_away(case: LossCase, seed: int = 3) -> LossCase | None:
    """The case with predictions up to 50 from 0; None where these are not for the loss, or it is huge there."""
    if case.range == "probabilities" or case.targets == _GIVEN:
        return None
    low = -_FAR if case.range == "values" else 0.1
    prediction = np.random.default_rng(seed).uniform(low, _FAR, case.prediction.shape).astype(case.prediction.dtype)
    is_huge = not (np.abs(case.loss.sample_values(prediction.copy(), case.target)) < _HUGE).all()
    return None if is_huge else dataclasses.replace(case, prediction=prediction)


def activations_for(loss: Loss) -> list[Activation]:
    """Examples of the activations that `loss` may fuse with: the standard ones, and those from where it comes from.

    These are what its plugin provides, and any other class with a public name in its package, or in its module if that
    is in none.
    """
    provider = registry.provider(type(loss)).name
    provided = [] if provider in {STANDARD, LOCAL} else registry.plugins.components(provider)
    beside = [known for known in _subclasses(Activation) if _stands_beside(known, type(loss))]
    classes = dict.fromkeys([*registry.plugins.load_standard("activation"), *provided, *beside])
    examples = [example.component for known in classes for example in _examples(known)]
    return [component for component in examples if isinstance(component, Activation)]


def _subclasses(known: type[Component]) -> Iterator[type[Component]]:
    for subclass in known.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _stands_beside(activation: type[Component], loss: type[Loss]) -> bool:
    """Whether `activation` can be named, and stands in the package of `loss`, or in its module if that is in none."""
    package = loss.__module__.partition(".")[0]
    is_package = getattr(sys.modules.get(package), "__file__", None) is not None
    home = activation.__module__.partition(".")[0] if is_package else activation.__module__
    is_named = not activation.__name__.startswith("_") and not inspect.isabstract(activation)
    return is_named and home == (package if is_package else loss.__module__)


def _examples(component: type[Component]) -> list[Example]:
    """The examples of `component`; none where it fails to give any, which is for its own checks to tell."""
    try:
        return examples_of(component)
    except Exception:
        return []


def _rows(rng: np.random.Generator, shape: Shape) -> Array:
    """Rows of probabilities; one of yes where there is a single output."""
    if shape[-1] == 1:
        return rng.uniform(0.05, 0.95, shape)
    odds = np.exp(rng.standard_normal(shape))
    rows: Array = odds / odds.sum(axis=-1, keepdims=True)
    return rows


def _classes(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.integers(0, max(shape[-1], 2), shape[:-1])


def _one_hot(rng: np.random.Generator, shape: Shape) -> Array:
    return np.eye(shape[-1])[_classes(rng, shape)] if shape[-1] > 1 else rng.integers(0, 2, shape).astype(float)


def _bits(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.integers(0, 2, shape)


def _shares(rng: np.random.Generator, shape: Shape) -> Array:
    """One value for all outputs of a sample."""
    return rng.uniform(0.05, 0.95, shape[:-1])


def _signs(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.choice(np.array([-1.0, 1.0]), shape)


def _values(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.normal(0, 2, shape)


def _positive(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.uniform(0.1, 3, shape)


_TARGETS: dict[str, Draw] = {
    "rows of probabilities": _rows,
    "one-hot rows": _one_hot,
    "zeros and ones": _bits,
    "one value a sample": _shares,
    "class numbers": _classes,
    "signs": _signs,
    "values": _values,
}
_OF_CLASSES = ("rows of probabilities", "one-hot rows", "zeros and ones", "class numbers")
"""The targets that a loss of classes or of probabilities is checked with, all that it takes."""
_GIVEN = "as given"
"""What the targets of an example are."""
_PREDICTIONS: dict[Range, Draw] = {"values": _values, "positive values": _positive, "probabilities": _rows}


def _tried() -> str:
    shapes = ", ".join(map(str, _TRIED + _TRIED_LAST))
    return f"predictions of the shapes {shapes}, with {', '.join(_TARGETS)} as targets"


def _given_case(loss: Loss, example: Example, dtype: np.dtype[np.floating], batch: int) -> LossCase:
    prediction, raw = (np.asarray(given)[np.arange(batch) % len(given)] for given in example.inputs)
    outputs = prediction.shape[1:]
    target = loss.prepare(raw, outputs, dtype)
    values: Range = "positive values" if (prediction > 0).all() else "values"
    kind: Range = "probabilities" if loss.needs_probabilities else values
    return LossCase(loss, outputs, raw, target, prediction.astype(dtype), kind, _GIVEN)


def _cases_of_shape(
    loss: Loss, outputs: Shape, dtype: np.dtype[np.floating], batch: int, seed: int, refusals: list[Exception]
) -> list[LossCase]:
    """The cases for predictions of one shape; for values one kind of targets will do, and values where they do, too."""
    found = list(_suiting(loss, outputs, dtype, batch, seed, refusals))
    if loss.target == "classes" or loss.needs_probabilities:
        return [case for case in found if case.targets in _OF_CLASSES] or found
    return [case for case in found if case is found[0] or case.targets == "values"]


def _suiting(
    loss: Loss, outputs: Shape, dtype: np.dtype[np.floating], batch: int, seed: int, refusals: list[Exception]
) -> Iterator[LossCase]:
    """A case for each kind of targets that the loss takes; why it doesn't take others is appended to `refusals`."""
    ranges: tuple[Range, ...] = ("probabilities",) if loss.needs_probabilities else ("values", "positive values")
    for kind, draw in _TARGETS.items():
        raw = draw(np.random.default_rng(seed), (batch, *outputs))
        for range_ in ranges:
            prediction = _PREDICTIONS[range_](np.random.default_rng(seed + 1), (batch, *outputs)).astype(dtype)
            try:
                target = loss.prepare(raw.copy(), outputs, dtype)
                values = loss.sample_values(prediction.copy(), target)
            except Exception as error:
                refusals.append(error)
                break
            if loss.needs_probabilities or np.isfinite(values).all():
                yield LossCase(loss, outputs, raw, target, prediction, range_, kind)
                break
