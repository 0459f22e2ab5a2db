"""What every loss must do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from microframe.arrays import Array
from microframe.component import Example
from microframe.interfaces import Activation
from microframe.testing.checks.guards import (
    ARRANGEMENTS,
    assert_close,
    assert_float,
    assert_repeats,
    drawing_from_no_global_generator,
    keeping_nothing,
    leaving,
    may_overflow,
    unspecified,
)
from microframe.testing.conformance import Skipped
from microframe.testing.gradients import assert_gradient
from microframe.testing.loss_bench import LossCase, Range, activations_for, far_away, loss_cases, loss_of

_EXTREMES: dict[Range, tuple[float, ...]] = {
    "values": (1e4, 0.0, -1e4),
    "positive values": (1e4, 1.0, 1e-4),
    "probabilities": (1.0, 0.0, 0.0),
}
_METHODS = ("sample_values", "gradient", "value_and_gradient")
_PRECISION = {"float32": 1e-4, "float64": 1e-8}
"""How far two ways to compute the same may differ, relative and absolute."""


def gradient(example: Example) -> None:
    """The gradient is that of the mean of `sample_values`, for any number of samples and far away from 0 as well."""
    _for_each_case(example, _assert_gradient)
    _for_each_case(example, _assert_gradient_far_away)
    _for_each_case(example, _assert_gradient, batch=1, seed=1)


def reduction(example: Example) -> None:
    """`sample_values` gives one number a sample, whatever else is in the batch; the value is their mean."""
    for batch in (5, 2, 1):
        _for_each_case(example, _assert_reduction, batch=batch)


def sample_weights(example: Example) -> None:
    """With weights the value is the mean over the samples of weight times `sample_values`."""

    def check(case: LossCase) -> None:
        values = case.loss.sample_values(case.prediction, case.target)
        weights = np.arange(1.0, len(values) + 1)
        for weight, what in ((weights, "weights times sample_values"), (np.ones(len(values)), "sample_values")):
            received = case.loss.value(case.prediction, case.target, weight)
            _assert_value(received, np.mean(weight * values), f"with weights {_list(weight)} the mean of {what}")

    _for_each_case(example, check)


def value_and_gradient(example: Example) -> None:
    """`value_and_gradient` gives the value and the gradient, whatever its scratch arrays hold."""
    for dtype in ("float32", "float64"):
        _for_each_case(example, _assert_value_and_gradient, dtype=dtype)


def extremes(example: Example) -> None:
    """Value and gradient are numbers for predictions of 0 and +-10000, or for probabilities of 0 and 1; finite ones
    wherever the loss itself is."""

    def check(case: LossCase) -> None:
        for extreme in _at_extremes(case):
            values = extreme.loss.sample_values(extreme.prediction, extreme.target)
            value = extreme.loss.value_and_gradient(extreme.prediction, extreme.target, np.empty_like(case.prediction))
            assert not np.isnan(value), "expected value_and_gradient to give a number, received nan"
            excused = _may_be_infinite(extreme)
            _assert_finite("sample_values", values, excused, extreme)
            _assert_finite("gradient", extreme.gradient(), excused, extreme)

    for dtype in ("float32", "float64"):
        _for_each_case(example, check, dtype=dtype)


def dtype_kept(example: Example) -> None:
    """In a float32 network the loss stays in float32, and in a float64 one in float64."""

    def check(case: LossCase) -> None:
        dtype = case.prediction.dtype
        assert_float(case.loss.sample_values(case.prediction, case.target), dtype, "sample_values")
        for weight in (None, np.ones(len(case.prediction), dtype)):
            value = case.loss.value(case.prediction, case.target, weight)
            assert isinstance(value, float), f"expected a Python float as the value, received {type(value).__name__}"

    for dtype in ("float32", "float64"):
        _for_each_case(example, check, dtype=dtype)


def arguments_unmodified(example: Example) -> None:
    """Predictions, targets and weights stay as they are."""

    def check(case: LossCase) -> None:
        weight = np.ones(len(case.prediction))
        for each in (case, *_at_extremes(case)):
            with leaving(prediction=each.prediction, target=each.target, weight=weight):
                each.loss.sample_values(each.prediction, each.target)
                each.loss.value(each.prediction, each.target, weight)
                each.gradient()
                each.loss.value_and_gradient(each.prediction, each.target, np.empty_like(each.prediction))

    _for_each_case(example, check)


def memory_layouts(example: Example) -> None:
    """Predictions and targets may be strided, in Fortran's order, or read-only."""

    def check(case: LossCase) -> None:
        for arrangement, arranged in ARRANGEMENTS.items():
            what = f"to give the same for arrays that are {arrangement}"
            other = dataclasses.replace(case, prediction=arranged(case.prediction), target=arranged(case.target))
            for one, same, name in zip(_results(other), _results(case), _METHODS, strict=True):
                assert_close(one, same, f"{name} {what}")

    _for_each_case(example, check)


def keeps_nothing(example: Example) -> None:
    """Nothing is kept on the loss or its class."""
    with keeping_nothing(example.component):
        _use(example, batch=7, seed=7)


def interleaved(example: Example) -> None:
    """The gradient follows from its own arguments, not from those of the call before."""

    def check(case: LossCase) -> None:
        expected = case.gradient()
        case.loss.sample_values(case.prediction[::-1].copy(), case.target[::-1].copy())
        assert_close(case.gradient(), expected, "the same gradient after the values of other samples")

    _for_each_case(example, check)


def no_global_random_state(example: Example) -> None:
    """Nothing is drawn from a global generator."""
    with drawing_from_no_global_generator():
        _use(example)


def deterministic(example: Example) -> None:
    """The same targets, and the same predictions, give the same."""

    def check(case: LossCase) -> None:
        loss = case.loss
        assert_repeats(
            lambda: loss.prepare(case.raw.copy(), case.outputs, case.prediction.dtype), "what prepare returns"
        )
        assert_repeats(lambda: loss.sample_values(case.prediction, case.target), "sample_values")
        assert_repeats(case.gradient, "the gradient")

    _for_each_case(example, check)


def fused_gradient(example: Example) -> None:
    """What `fuse` returns is the loss as a function of the logits, finite for logits of +-10000."""
    loss = loss_of(example)
    fusing = [activation for activation in activations_for(loss) if loss.fuse(activation) is not None]
    if not fusing:
        raise Skipped("it fuses with no activation, standard or of its own plugin, package or module")
    for activation in fusing:
        _for_each_case(example, partial(_assert_fused, activation=activation))
        _for_each_case(example, partial(_assert_fused_is_finite, activation=activation), dtype="float32")


def prepare(example: Example) -> None:
    """`prepare` returns targets in the network's dtype, one a sample, and refuses those of a wrong shape."""

    def check(case: LossCase) -> None:
        raw, dtype = case.raw.copy(), case.prediction.dtype
        with leaving(targets=raw):
            target = case.loss.prepare(raw, case.outputs, dtype)
        assert len(target) == len(raw), f"expected prepare to return {len(raw)} targets, received {len(target)}"
        if target.dtype.kind == "f":
            assert_float(target, dtype, "the targets that prepare returns")
        for wrong in _of_wrong_shape(case):
            _assert_refused(case, wrong)

    for dtype in ("float32", "float64"):
        _for_each_case(example, check, dtype=dtype)


def reference(example: Example) -> None:
    """The value is that of the example's reference."""
    compute = example.reference
    if compute is None:
        raise Skipped("no example has a reference to compare with")

    def check(case: LossCase) -> None:
        expected = compute(case.prediction.copy(), case.target.copy())
        _assert_value(case.loss.value(case.prediction, case.target), expected, "of the reference")

    _for_each_case(example, check)


CHECKS = (
    gradient,
    reduction,
    sample_weights,
    value_and_gradient,
    extremes,
    dtype_kept,
    arguments_unmodified,
    memory_layouts,
    keeps_nothing,
    interleaved,
    no_global_random_state,
    deterministic,
    fused_gradient,
    prepare,
    reference,
)


def _for_each_case(
    example: Example,
    check: Callable[[LossCase], None],
    *,
    dtype: str = "float64",
    batch: int = 5,
    seed: int = 0,
) -> None:
    """Run `check` on each case, which is named where it fails."""
    for case in loss_cases(example, dtype=dtype, batch=batch, seed=seed):
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"{error} ({case})") from error


def _assert_gradient(case: LossCase) -> None:
    # Beside the error of a difference, 1e-16 of the value by 1e-6, which counts where the value is large.
    absolute = 1e-8 * max(100, abs(case.value_of(case.prediction)))
    assert_gradient(case.value_of, case.gradient(), case.prediction, absolute=absolute, relative=1e-4)


def _assert_gradient_far_away(case: LossCase) -> None:
    far = far_away(case)
    if far is not None:
        try:
            _assert_gradient(far)
        except AssertionError as error:
            raise AssertionError(f"for predictions up to 50 from 0: {error}") from error


def _assert_reduction(case: LossCase) -> None:
    batch = len(case.prediction)
    values = case.loss.sample_values(case.prediction, case.target)
    assert values.shape == (batch,), f"expected sample_values of shape {(batch,)}, received {values.shape}"
    _assert_value(case.loss.value(case.prediction, case.target), values.mean(), "the mean of sample_values")
    for row in range(batch):
        alone = case.loss.sample_values(case.prediction[row : row + 1], case.target[row : row + 1])
        assert_close(alone, values[row : row + 1], "the value of a sample to be the same in every batch")


def _assert_value_and_gradient(case: LossCase) -> None:
    dtype = case.prediction.dtype
    out = unspecified(case.prediction.shape, dtype)
    precision = _PRECISION[dtype.name]
    value, gradient = case.loss.value(case.prediction, case.target), case.gradient()
    # Twice with scratch, as in training, where `out` still has the last gradient; then without.
    for keywords in (*[{"empty": partial(unspecified, dtype=dtype)}] * 2, {}):
        received = case.loss.value_and_gradient(case.prediction, case.target, out, **keywords)
        _assert_value(received, value, "from value_and_gradient as from `value`", precision)
        what = "value_and_gradient to write what `gradient` does"
        assert_close(out, gradient, what, relative=precision, absolute=precision)


def _assert_value(received: float, expected: float, what: str, precision: float = 1e-7) -> None:
    near = np.isclose(received, expected, rtol=precision, atol=precision, equal_nan=True)
    assert near, f"expected the value {expected:g}, {what}, received {received:g}"


def _results(case: LossCase) -> tuple[Array, Array, Array]:
    """What each of `_METHODS` gives."""
    out = unspecified(case.prediction.shape, case.prediction.dtype)
    values = case.loss.sample_values(case.prediction, case.target)
    case.loss.value_and_gradient(case.prediction, case.target, out)
    return values, case.gradient(), out


def _at_extremes(case: LossCase) -> Iterator[LossCase]:
    """The case with extreme predictions, each of them for each of the targets."""
    extremes_of_range = _EXTREMES[case.range]
    pattern = np.resize(np.array(extremes_of_range, case.prediction.dtype), case.prediction.shape)
    for shift in range(len(extremes_of_range)):
        yield dataclasses.replace(case, prediction=np.roll(pattern, shift))


def _may_be_infinite(case: LossCase) -> Array:
    """Which samples may have values and gradients that are infinite."""
    if case.range == "probabilities":
        return np.ones(len(case.prediction), bool)
    double = case.prediction.astype(np.float64)
    values, at_hundredth = (case.loss.sample_values(double / divisor, case.target) for divisor in (1, 100))
    return may_overflow(values, at_hundredth, case.prediction.dtype)


def _assert_finite(name: str, values: Array, excused: Array, case: LossCase) -> None:
    """Assert that the values of each sample are numbers, and finite unless the sample is excused."""
    for prediction, value, may_be_infinite in zip(case.prediction, values, excused, strict=True):
        right = not np.isnan(value).any() if may_be_infinite else np.isfinite(value).all()
        assert right, f"expected {name} to give finite numbers, received {_list(value)} for {_list(prediction)}"


def _use(example: Example, *, batch: int = 5, seed: int = 0) -> None:
    """Call each method of the loss."""

    def use(case: LossCase) -> None:
        _results(case)
        case.loss.value(case.prediction, case.target, np.ones(len(case.prediction)))

    _for_each_case(example, use, batch=batch, seed=seed)
    loss = loss_of(example)
    for activation in activations_for(loss):
        loss.fuse(activation)


def _fused(case: LossCase, activation: Activation) -> LossCase:
    """The case with the loss fused with `activation`, and its predictions as logits."""
    fused = case.loss.fuse(activation)
    assert fused is not None
    logits = np.random.default_rng(2).normal(0, 2, case.prediction.shape).astype(case.prediction.dtype)
    return dataclasses.replace(case, loss=fused, prediction=logits, range="values")


def _assert_fused(case: LossCase, activation: Activation) -> None:
    fused = _fused(case, activation)
    y = unspecified(fused.prediction.shape)
    activation.forward(fused.prediction, y)
    shares = activation.probabilities(y) if case.loss.needs_probabilities else None
    composed = dataclasses.replace(case, prediction=y if shares is None or shares.shape != y.shape else shares)
    what = f"the loss fused with {activation.type!r} to have"
    values, expected = (each.loss.sample_values(each.prediction, each.target) for each in (fused, composed))
    assert_close(values, expected, f"{what} the values of the loss after it")
    if composed.prediction is y:
        dx = unspecified(y.shape)
        activation.backward(composed.gradient(), fused.prediction if activation.needs_input else None, y, dx)
        assert_close(fused.gradient(), dx, f"{what} the gradient that the chain rule gives")
    else:
        _assert_gradient(fused)
    _assert_gradient_far_away(fused)
    _assert_value_and_gradient(fused)


def _assert_fused_is_finite(case: LossCase, activation: Activation) -> None:
    fused = _fused(case, activation)
    assert_float(fused.loss.sample_values(fused.prediction, fused.target), "float32", "sample_values of the fused loss")
    for extreme in _at_extremes(fused):
        with leaving(prediction=extreme.prediction, target=extreme.target):
            values = extreme.loss.sample_values(extreme.prediction, extreme.target)
            gradient, out = extreme.gradient(), np.empty_like(extreme.prediction)
            value = extreme.loss.value_and_gradient(extreme.prediction, extreme.target, out)
        received = f"for logits of +-10000 and 0, fused with {activation.type!r}"
        assert np.isfinite(values).all(), f"expected finite sample_values {received}, received {_list(values)}"
        assert np.isfinite(value), f"expected a finite value {received}, received {value}"
        assert np.isfinite(gradient).all(), f"expected a finite gradient {received}, received {_list(gradient)}"
        assert np.isfinite(out).all(), f"expected a finite gradient {received}, received {_list(out)}"


def _of_wrong_shape(case: LossCase) -> Iterator[Array]:
    """Targets as those of the case, with too many outputs; and with one for several where each has its own."""
    wider = np.zeros((*case.prediction.shape[:-1], case.outputs[-1] + 3), case.raw.dtype)
    if case.raw.shape == case.prediction.shape:
        wider[..., : case.outputs[-1]] = case.raw
        if case.outputs[-1] > 1 and case.loss.target == "values":
            yield case.raw[..., :1]
    yield wider


def _assert_refused(case: LossCase, wrong: Array) -> None:
    expected = (
        f"expected prepare to refuse targets of shape {wrong.shape[1:]} for each sample, where predictions have shape "
        f"{case.outputs}, with a ValueError"
    )
    try:
        case.loss.prepare(wrong, case.outputs, case.prediction.dtype)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{expected}, received {type(error).__name__}: {error}") from error
    raise AssertionError(f"{expected}, but it took them")


def _list(values: Array) -> str:
    return ", ".join(f"{value:g}" for value in np.ravel(values))
