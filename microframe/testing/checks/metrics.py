"""What every metric must do.

A metric applies to some forms of predictions and targets and refuses the others with a ValueError. Which those are is
found by trying; all checks are made with each of them.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.interfaces import Metric
from microframe.testing.checks.guards import (
    assert_close,
    assert_same,
    assert_within,
    drawing_from_no_global_generator,
    keeping_nothing,
    leaving,
)
from microframe.testing.conformance import Skipped

_SAMPLES = 42
_BROADCASTING = ("broadcast", "not aligned", "shape mismatch", "core dimension")
"""What NumPy says of shapes that it cannot bring together, in words that help nobody who reads them elsewhere."""


@dataclass(frozen=True)
class Form:
    """Predictions and targets of one form.

    Attributes:
        name: what they are, for messages.
        prediction: has nothing to do with the target.
        target: as for `Metric.value`.
        perfect: the prediction that the target asks for; None where that is not known.
        opposite: the prediction that is wrong everywhere; likewise.
        is_decided: whether targets are classes or labels, of which nothing but right and wrong can be said.
    """

    name: str
    prediction: Array
    target: Array
    perfect: Array | None = None
    opposite: Array | None = None
    is_decided: bool = False


def value_type(example: Example) -> None:
    """The value is a number, or an array with one for each class."""
    for form in _fitting(example):
        value = _value(example, form.prediction, form.target)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        is_vector = isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iuf"
        assert is_number or is_vector, (
            f"expected a number or an array (classes,) for {form.name}, received {type(value).__name__} {value!r}"
        )


def within_bounds(example: Example) -> None:
    """Values lie within the declared bounds, those of perfect predictions and of wrong ones as well."""
    metric = _metric(example)
    for form in _fitting(example):
        for prediction in (form.prediction, form.perfect, form.opposite):
            if prediction is not None:
                assert_within(_value(example, prediction, form.target), metric.bounds, f"values for {form.name}")


def order_independent(example: Example) -> None:
    """The order of the samples changes nothing."""
    for form in _fitting(example):
        order = np.random.default_rng(1).permutation(len(form.target))
        shuffled = _value(example, form.prediction[order], form.target[order])
        expected = _value(example, form.prediction, form.target)
        assert_close(shuffled, expected, f"the same value in any order of the samples, for {form.name}")


def sample_weights(example: Example) -> None:
    """Weights of one are none, a sample of weight 2 counts as two such samples, and one of weight 0 as none."""
    for form in _fitting(example):
        prediction, target = form.prediction, form.target
        unweighted = _value(example, prediction, target)
        try:
            ones = _value(example, prediction, target, np.ones(len(target)))
        except ValueError as error:
            if _is_of_numpy(str(error)):
                raise AssertionError(f"expected weights (samples,) to be taken for {form.name}, but {error}") from error
            raise Skipped(f"the metric takes no sample weights: {error}") from error
        assert_close(ones, unweighted, f"the same value for weights of one as for none, for {form.name}")
        for least, what in (
            (1, "weights of 2 to count as samples given twice"),
            (0, "weights of 0 to leave samples out"),
        ):
            weight = np.random.default_rng(2).integers(least, 3, len(target))
            counted = _value(example, prediction.repeat(weight, axis=0), target.repeat(weight, axis=0))
            weighted = _value(example, prediction, target, weight.astype(np.float64))
            assert_close(weighted, counted, f"{what}, for {form.name}")


def better_is_better(example: Example) -> None:
    """A perfect prediction is at least as good as a random one, the way `better` says, and better than a wrong one."""
    better = _metric(example).better
    assert better in {"higher", "lower"}, f"expected better to be 'higher' or 'lower', received {better!r}"
    gains: list[float] = []
    for form in _fitting(example):
        if form.perfect is None or form.opposite is None:
            continue
        perfect, random, opposite = (
            float(np.mean(_value(example, prediction, form.target)))
            for prediction in (form.perfect, form.prediction, form.opposite)
        )
        sign = 1 if better == "higher" else -1
        assert sign * perfect >= sign * random - 1e-9, (
            f"expected a perfect prediction to be no worse than a random one, as {better} is better, for {form.name}, "
            f"received {perfect:.4g} and {random:.4g}{_OR_REFUSE}"
        )
        gains.append(sign * (perfect - opposite))
        assert gains[-1] > 0 or not form.is_decided, (
            f"expected a perfect prediction to be better than one that is wrong everywhere, as {better} is better, for "
            f"{form.name}, received {perfect:.4g} and {opposite:.4g}{_OR_REFUSE}"
        )
    if not gains:
        raise Skipped("no perfect prediction is known for the inputs of the example")
    assert max(gains) > 0, "expected some prediction to be better than another, received equal values for all"


def one_output(example: Example) -> None:
    """With a single output, values (samples,) give what values (samples, 1) do: training has them in either shape."""
    forms = [form for form in _fitting(example) if form.prediction.shape[1:] == form.target.shape[1:] == (1,)]
    if not forms:
        raise Skipped("the metric is not one of values, or not of a single one")
    for form in forms:
        try:
            flat = _value(example, form.prediction, form.target[:, 0])
        except Exception as error:
            received = f"{type(error).__name__}: {error}"
            raise AssertionError(
                f"expected a value for predictions (samples, 1) and targets (samples,), {received}"
            ) from error
        column = _value(example, form.prediction, form.target)
        assert_close(flat, column, "targets (samples,) to give what targets (samples, 1) do")


def refuses_misfits(example: Example) -> None:
    """Targets of a shape that does not fit lead to a ValueError that says what is expected."""
    for form in _fitting(example):
        prediction, target = form.prediction, form.target
        outputs = prediction.shape[-1]
        _assert_refused(example, prediction, target[:-1], form)
        _assert_refused(example, prediction, target[:1], form)
        _assert_refused(example, prediction[:-1], target, form)
        _assert_refused(example, prediction, np.zeros((len(target), outputs + 1), target.dtype), form)


def constant_targets(example: Example) -> None:
    """Where all targets are alike, or there is one sample, the value is finite, or NaN, or refused by a ValueError."""
    for form in _fitting(example):
        for prediction, target, what in _degenerate(form):
            expected = f"expected a finite value, or NaN where there is none, for {what}"
            try:
                value = np.asarray(_value(example, prediction, target), np.float64)
            except Exception as error:
                if isinstance(error, ValueError) and str(error):
                    continue
                raise AssertionError(f"{expected}, received {type(error).__name__}: {error}") from error
            assert not np.isinf(value).any(), f"{expected}, received {value}"


def arguments_unmodified(example: Example) -> None:
    """Predictions, targets and weights stay as they are."""
    for form in _fitting(example):
        prediction, target, weight = form.prediction.copy(), form.target.copy(), np.ones(len(form.target))
        with leaving(prediction=prediction, target=target, weight=weight):
            _value(example, prediction, target)
            if _takes_weights(example, form):
                _value(example, prediction, target, weight)


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the metric or its class."""
    forms = _fitting(example)
    with keeping_nothing(example.component):
        for form in forms:
            _value(example, form.prediction, form.target)


def deterministic(example: Example) -> None:
    """The same predictions and targets give the same value, and no random number is drawn."""
    with drawing_from_no_global_generator():
        for form in _fitting(example):
            once, again = (np.asarray(_value(example, form.prediction, form.target)) for _ in range(2))
            assert_same(again, once, f"the same value each time, for {form.name}")


def reference(example: Example) -> None:
    """The value is that of the example's reference, for the first form of predictions and targets that fits."""
    if example.reference is None:
        raise Skipped("no example has a reference to compare with")
    form = _fitting(example)[0]
    expected = example.reference(form.prediction, form.target)
    value = _value(example, form.prediction, form.target)
    assert_close(value, expected, f"what the reference gives for {form.name}, {expected}")


def dtype(example: Example) -> None:
    """Predictions and values of float32, as large as 1e5 too, give nearly what they give as float64."""
    for form in _fitting(example):
        is_of_values = form.perfect is not None and not form.is_decided
        for scale in (1.0, 1e5) if is_of_values else (1.0,):
            prediction, target = (form.prediction * scale).astype(np.float32), form.target
            if target.dtype.kind == "f":
                target = (target * scale).astype(np.float32)
            double = (array.astype(np.float64) if array.dtype.kind == "f" else array for array in (prediction, target))
            expected = np.asarray(_value(example, *double))
            what = f"for float32 what the same numbers of float64 give, for {form.name}"
            assert_close(_value(example, prediction, target), expected, what, relative=1e-4, absolute=1e-5)
            assert np.isfinite(expected).all(), f"expected a finite value for {form.name} of up to {3 * scale:g}"


CHECKS: tuple[Callable[[Example], None], ...] = (
    value_type,
    within_bounds,
    order_independent,
    sample_weights,
    better_is_better,
    one_output,
    refuses_misfits,
    constant_targets,
    arguments_unmodified,
    keeps_nothing,
    deterministic,
    reference,
    dtype,
)

_OR_REFUSE = " (where a metric does not apply, it raises a ValueError)"


def _metric(example: Example) -> Metric:
    assert isinstance(example.component, Metric)
    return example.component


def _value(example: Example, prediction: Array, target: Array, weight: Array | None = None) -> Any:
    """As training measures it: all three by position."""
    return _metric(example).value(prediction, target, weight)


def _fitting(example: Example) -> list[Form]:
    """The forms that the metric applies to.

    Those of the example's inputs, a prediction and a target, where it has any; otherwise all that do not raise an
    error and of which the metric gives finite values.
    """
    if example.inputs:
        prediction, target = (np.asarray(array) for array in example.inputs)
        return [Form("the example's inputs", prediction, target)]
    fitting, reasons = [], []
    for form in _FORMS:
        try:
            value = np.asarray(_value(example, form.prediction.copy(), form.target.copy()), np.float64)
        except (ValueError, TypeError, IndexError) as error:
            reasons.append(f"for {form.name} {type(error).__name__}: {error}")
            continue
        if np.isfinite(value).all():
            fitting.append(form)
        else:
            reasons.append(f"for {form.name} the value {value}")
    assert fitting, (
        f"expected a metric of one of several forms of predictions and targets, received {'; '.join(reasons)}; give "
        f"what fits in examples(), as microframe.Example(metric, inputs=(prediction, target))"
    )
    return fitting


def _takes_weights(example: Example, form: Form) -> bool:
    try:
        _value(example, form.prediction.copy(), form.target.copy(), np.ones(len(form.target)))
    except ValueError:
        return False
    return True


def _degenerate(form: Form) -> Iterator[tuple[Array, Array, str]]:
    """Predictions with targets that are all alike, and a single sample; each with what it is, in words."""
    other = next((row for row, value in enumerate(form.target) if np.any(value != form.target[0])), 0)
    for row in dict.fromkeys((0, other)):
        target = np.repeat(form.target[row : row + 1], len(form.target), axis=0)
        like = f" {form.target[row]}" if form.target[row].size <= 8 else " alike"
        yield form.prediction.copy(), target, f"{form.name}, where all targets are{like}"
    yield form.prediction[:1].copy(), form.target[:1].copy(), f"{form.name}, of a single sample"


def _assert_refused(example: Example, prediction: Array, target: Array, form: Form) -> None:
    shapes = f"predictions of shape {prediction.shape} and targets of shape {target.shape}"
    try:
        value = _value(example, prediction, target)
    except ValueError as error:
        message = str(error)
    except Exception as error:
        received = f"{type(error).__name__}: {error}"
        raise AssertionError(f"expected a ValueError for {shapes}, received {received}") from error
    else:
        raise AssertionError(f"expected a ValueError for {shapes}, received the value {value} ({form.name})")
    is_helpful = message and not _is_of_numpy(message)
    assert is_helpful, f"expected a ValueError that says which targets are expected, for {shapes}, received {message!r}"


def _is_of_numpy(message: str) -> bool:
    return any(words in message for words in _BROADCASTING)


def _forms() -> tuple[Form, ...]:
    """The forms that are tried, from the commonest on; all checks share them, so their arrays are read-only."""
    rng = np.random.default_rng(0)
    single, pair = rng.uniform(1, 3, (_SAMPLES, 1)), rng.uniform(1, 3, (_SAMPLES, 2))
    forms = (
        _classes(3, rng),
        _classes(7, rng),
        _values("values, one a sample", rng.uniform(1, 3, single.shape), single),
        _values("values, two a sample", rng.uniform(1, 3, pair.shape), pair),
        _values("values, one a sample, with targets (samples,)", rng.uniform(1, 3, single.shape), single[:, 0]),
        _binary(rng),
        _labels(rng),
    )
    for form in forms:
        for array in (form.prediction, form.target, form.perfect, form.opposite):
            if array is not None:
                array.flags.writeable = False
    return forms


def _classes(count: int, rng: np.random.Generator) -> Form:
    target = rng.permutation(np.arange(_SAMPLES) % count)
    perfect = np.eye(count)[target]
    name = f"probabilities of {count} classes with class numbers"
    opposite = (1 - perfect) / (count - 1)
    return Form(name, rng.dirichlet(np.ones(count), _SAMPLES), target, perfect, opposite, is_decided=True)


def _binary(rng: np.random.Generator) -> Form:
    target = rng.permutation(np.arange(_SAMPLES) % 2)
    perfect = target[:, None].astype(np.float64)
    name = "one probability with the class numbers 0 and 1"
    return Form(name, rng.uniform(size=(_SAMPLES, 1)), target, perfect, 1 - perfect, is_decided=True)


def _labels(rng: np.random.Generator) -> Form:
    target = np.stack([rng.permutation(np.arange(_SAMPLES) % 2) for _ in range(3)], axis=1)
    perfect = target.astype(np.float64)
    name = "probabilities of three labels with 0 and 1"
    return Form(name, rng.uniform(size=target.shape), target, perfect, 1 - perfect, is_decided=True)


def _values(name: str, prediction: Array, target: Array) -> Form:
    """Positive values; what is wrong everywhere is small where they are large."""
    perfect = target.reshape(prediction.shape)
    return Form(name, prediction, target, perfect, perfect.min(axis=0) + perfect.max(axis=0) - perfect)


_FORMS = _forms()
