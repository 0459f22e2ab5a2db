"""What no component may do while it works: keep things on itself, draw from global generators, change its arguments."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.component import Component


@contextlib.contextmanager
def keeping_nothing(component: Component) -> Iterator[None]:
    """Assert that what happens inside leaves nothing on the component or on its class."""
    before = _attributes(component)
    yield
    after = _attributes(component)
    for name in before | after:
        changed = "changed" if name in before else "new"
        assert before.get(name) == after.get(name), (
            f"expected a component that keeps nothing on itself, but {name} is {changed} after use"
        )


@contextlib.contextmanager
def drawing_from_no_global_generator() -> Iterator[None]:
    """Assert that what happens inside draws from neither `numpy.random` nor `random`."""
    # The two lines that touch NumPy's global generator are here to catch those who do.
    before = repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    yield
    after = repr(np.random.get_state()), random.getstate()  # noqa: NPY002
    assert before[0] == after[0], (
        "expected random numbers from the generator handed over, but numpy.random was drawn from"
    )
    assert before[1] == after[1], "expected random numbers from the generator handed over, but random was drawn from"


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
        raise AssertionError(f"expected {what}, received arrays that differ{_distance(received, expected)}")


def assert_close(received: Any, expected: Any, what: str, *, relative: float = 1e-6, absolute: float = 1e-8) -> None:
    """Assert that two arrays have one shape and nearly the same values."""
    received, expected = np.asarray(received), np.asarray(expected)
    assert received.shape == expected.shape, f"expected {what}: shape {expected.shape}, received shape {received.shape}"
    near = np.allclose(received, expected, rtol=relative, atol=absolute, equal_nan=True)
    assert near, f"expected {what}, received arrays that differ{_distance(received, expected)}"


def assert_float(array: Array, dtype: Any, what: str) -> None:
    """Assert that an array has the network's dtype."""
    assert array.dtype == dtype, f"expected {what} in {np.dtype(dtype).name}, received {array.dtype.name}"


def assert_repeats(run: Callable[[], Array], what: str) -> None:
    """Assert that `run` gives the same twice."""
    assert_same(run(), run(), f"{what} to be the same when repeated")


def _distance(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f" in shape, {a.shape} and {b.shape}"
    if a.dtype != b.dtype:
        return f" in dtype, {a.dtype} and {b.dtype}"
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
