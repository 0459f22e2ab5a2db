"""What no component may do while it works: keep things on itself, draw from global generators, change its arguments."""

from __future__ import annotations

import contextlib
import inspect
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import FrameType
from typing import Any, TypeVar

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component

Result = TypeVar("Result")

_ODD_SEED = 271828182
"""A seed that nobody takes."""
_PATIENCE = 0.5
"""The seconds after which a thread is taken to wait for a lock."""
_LONGEST_WAITS = 3
"""How often that may happen before a thread is left in peace: a busy machine keeps one waiting too, now and then."""


@contextlib.contextmanager
def keeping_nothing(component: Component) -> Iterator[None]:
    """Assert that what happens inside leaves nothing on the component or on its class, and nothing did before."""
    before = _attributes(component)
    yield
    after = _attributes(component)
    extra = vars(component).keys() - {field.name for field in component.fields()}
    assert not extra, f"expected a component that keeps nothing on itself but its fields, received {sorted(extra)}"
    for name in before | after:
        changed = "changed" if name in before else "new"
        assert before.get(name) == after.get(name), (
            f"expected a component that keeps nothing on itself, but {name} is {changed} after use"
        )


@contextlib.contextmanager
def drawing_from_no_global_generator() -> Iterator[None]:
    """Assert that what happens inside neither draws from `numpy.random` and `random` nor seeds them."""
    before = _global_states()
    # States in which nobody else leaves them: a component that seeds them itself would find its own again.
    np.random.seed(_ODD_SEED)  # noqa: NPY002  # to catch those who use it
    random.seed(_ODD_SEED)
    odd = _global_states()
    try:
        yield
        after = _global_states()
    finally:
        np.random.set_state(before[0])  # noqa: NPY002  # put back as it was
        random.setstate(before[1])
    for name, expected, received in zip(("numpy.random", "random"), odd, after, strict=True):
        assert repr(received) == repr(expected), (
            f"expected random numbers from the generator handed over, but {name} was drawn from or seeded"
        )


@contextlib.contextmanager
def leaving(**arrays: Array) -> Iterator[None]:
    """Assert that what happens inside modifies none of the arrays, each called by its keyword."""
    before = {name: array.copy() for name, array in arrays.items()}
    yield
    for name, array in arrays.items():
        assert same(array, before[name]), f"expected {name} as it was, but it was modified"


def same(a: Array, b: Array) -> bool:
    """Whether two arrays are equal to the bit, NaN and all."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def assert_same(received: Array, expected: Array, what: str) -> None:
    """Assert that two arrays are equal to the bit."""
    if not same(received, expected):
        is_cast = received.shape == expected.shape and received.dtype != expected.dtype
        how = f" in dtype, {received.dtype} and {expected.dtype}" if is_cast else _distance(received, expected)
        raise AssertionError(f"expected {what}, received arrays that differ{how}")


def assert_close(received: Any, expected: Any, what: str, *, relative: float = 1e-6, absolute: float = 1e-8) -> None:
    """Assert that two arrays have one shape and nearly the same values."""
    received, expected = np.asarray(received), np.asarray(expected)
    assert received.shape == expected.shape, f"expected {what}: shape {expected.shape}, received shape {received.shape}"
    near = np.allclose(received, expected, rtol=relative, atol=absolute, equal_nan=True)
    assert near, f"expected {what}, received arrays that differ{_distance(received, expected)}"


def assert_float(array: Array, dtype: Any, what: str) -> None:
    """Assert that an array has the network's dtype."""
    assert array.dtype == dtype, f"expected {what} in {np.dtype(dtype).name}, received {array.dtype.name}"


def assert_within(values: Any, bounds: Any, what: str) -> None:
    """Assert that numbers lie within bounds that were declared, but for rounding; NaN lies nowhere."""
    is_pair = isinstance(bounds, tuple) and len(bounds) == 2 and all(isinstance(bound, int | float) for bound in bounds)
    assert is_pair, f"expected bounds to be two numbers, received {bounds!r}"
    low, high = bounds
    assert low <= high, f"expected bounds of which the first is the lesser, received {bounds}"
    values = np.asarray(values, np.float64)
    room = 1e-9 * max([1.0, *(abs(bound) for bound in bounds if np.isfinite(bound))])
    outside = values[~((values >= low - room) & (values <= high + room))].ravel()
    assert not outside.size, f"expected {what} within the declared bounds, {low:g} to {high:g}, received {outside[0]}"


def assert_repeats(run: Callable[[], Array], what: str) -> None:
    """Assert that `run` gives the same twice."""
    assert_same(run(), run(), f"{what} to be the same when repeated")


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    """While inside, threads take turns after microseconds, so that those which disturb each other do so soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def interrupted_by(other: Callable[[], object], run: Callable[[], Result], *, within_lines: bool = False) -> Result:
    """What `run` returns where `other` is run, in another thread, between each two of its lines.

    What threads do to each other by chance, and on a single processor hardly ever, so happens for certain. Where `run`
    keeps `other` waiting with a lock, it goes on without interruptions until it has let go of the lock.

    Args:
        other: what comes in between.
        run: what is interrupted.
        within_lines: whether to interrupt between each two instructions of the interpreter too, for what is short.
    """
    waited: list[Future[object]] = []
    events = {"line", "return", "opcode"}
    with ThreadPoolExecutor(1) as pool:

        def trace(frame: FrameType, event: str, _: object) -> Any:
            frame.f_trace_opcodes = within_lines
            if event in events and len(waited) < _LONGEST_WAITS and all(future.done() for future in waited):
                future = pool.submit(other)
                waited.extend(wait([future], timeout=_PATIENCE).not_done)
            return trace

        before, frame = sys.gettrace(), inspect.currentframe()
        if frame is not None:
            frame.f_trace_opcodes = within_lines  # Python 3.12 looks nowhere else when tracing begins
        sys.settrace(trace)
        try:
            return run()
        finally:
            sys.settrace(before)


def gradient_is_exact(component: Component) -> bool:
    """Whether a layer or an activation, and each that is a field of it, says that its backward fits its forward."""
    within = [value for field in component.fields() for value in _flat(getattr(component, field.name))]
    inner = [value for value in within if isinstance(value, Component)]
    return getattr(component, "gradient_is_exact", True) and all(map(gradient_is_exact, inner))


def strided(array: Array, *, writeable: bool = False) -> Array:
    """The same values, every other element of a larger array along the last axis; read-only unless asked for."""
    wide = np.repeat(array, 2, axis=-1)[..., ::2]
    wide.flags.writeable = writeable
    return wide


def in_fortran_order(array: Array, *, writeable: bool = False) -> Array:
    """The same values with the first axis varying fastest in memory; read-only unless asked for."""
    copied = np.array(array, order="F")
    copied.flags.writeable = writeable
    return copied


ARRANGEMENTS = {"strided": strided, "in Fortran's order": in_fortran_order}
"""The ways to lay out an array in memory that a component must cope with, by what such an array is."""


def may_overflow(values: Array, at_hundredth: Array, dtype: Any) -> Array:
    """Where a function may be infinite in `dtype`, by its values in float64 and those at a hundredth of the inputs.

    That is where a value is beyond the dtype's range, or where the function grows so fast that it surely is: an
    exponential may overflow at 10000, but not what an exponential is only a part of.
    """
    too_large: Array = np.isfinite(values) & (np.abs(values) > np.finfo(dtype).max)
    return too_large | (np.abs(at_hundredth) > 1e30)


def unspecified(shape: Shape, dtype: Any = np.float64) -> Array:
    """What `empty` of a context gives, with content that cannot be taken for zeros: NaN, the largest number or True."""
    array = np.empty(shape, dtype)
    if array.dtype.kind == "f":
        array.fill(np.nan)
    elif array.dtype.kind in "iu":
        array.fill(np.iinfo(array.dtype).max)
    elif array.dtype.kind == "b":
        array.fill(True)
    return array


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for inner in value:
            yield from _flat(inner)
    else:
        yield value


def _global_states() -> tuple[Any, Any]:
    return np.random.get_state(), random.getstate()  # noqa: NPY002  # looked at, not drawn from


def _distance(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f" in shape, {a.shape} and {b.shape}"
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return f" in {np.count_nonzero(a != b)} of {a.size} elements"
    with np.errstate(all="ignore"):
        return f" by up to {float(np.max(np.abs(np.subtract(a, b, dtype=np.float64)))):.3g}" if a.size else ""


def _attributes(component: Component) -> dict[str, Any]:
    """What is stored on a component, and what can be changed of what is stored on its class, in comparable form."""
    type(component).field_types()  # resolved once, and kept on the class
    found = {f"self.{name}": _comparable(value) for name, value in vars(component).items()}
    for owner in type(component).__mro__:
        if not owner.__module__.startswith("microframe.") and owner is not object:
            for name, value in list(vars(owner).items()):
                if not callable(value) and not name.startswith(("__", "_abc_")):
                    found[f"{owner.__name__}.{name}"] = _comparable(value)
    return found


def _comparable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {repr(key): _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_comparable(inner) for inner in value]
    return repr(value)
