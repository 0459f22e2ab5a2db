"""Every allocation of array data by NumPy, also of arrays that are let go at once, which snapshots never show.

NumPy lets a program replace the functions that allocate array data (NEP 49), through its C interface alone; ctypes
reaches that.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LARGEST_NUMBER = 16
"""Bytes of a single number: what a reduction returns, and a Python number becomes, as an array without axes."""

_SET_HANDLER, _GET_HANDLER = 304, 305
"""Where PyDataMem_SetHandler and PyDataMem_GetHandler stand in NumPy's table of functions."""
_CAPSULE = b"mem_handler"

_pointer, _size_t = ctypes.c_void_p, ctypes.c_size_t
_SIGNATURES = {
    "malloc": (_pointer, _pointer, _size_t),
    "calloc": (_pointer, _pointer, _size_t, _size_t),
    "realloc": (_pointer, _pointer, _pointer, _size_t),
}


class _Handler(ctypes.Structure):
    """PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", _pointer),
        *((name, _pointer) for name in (*_SIGNATURES, "free")),
    )


@contextmanager
def recorded_allocations() -> Iterator[list[int]]:
    """While inside, the list that this gives receives the bytes of each allocation of array data, as it happens.

    Clear the list to start afresh. Those of up to `LARGEST_NUMBER` bytes are mostly single numbers on their way
    through a function of NumPy. Memory that NumPy takes for other things, such as the buffers in which a ufunc casts,
    does not count. Only the current thread is observed, or rather the current `contextvars.Context`.

    Example:
        with recorded_allocations() as sizes:
            model.fit(x, y, listeners=[...])  # whose batch_end looks at `sizes` and clears it
    """
    sizes: list[int] = []
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(_function(_SET_HANDLER))
    original = ctypes.PYFUNCTYPE(ctypes.py_object)(_function(_GET_HANDLER))()
    set_handler(_recording(original, sizes))
    try:
        yield sizes
    finally:
        set_handler(original)


def _recording(original: Any, sizes: list[int]) -> Any:
    """A handler that adds each size to `sizes` and leaves the rest to `original`."""
    inner = _Handler.from_address(_address(original, _CAPSULE))
    # NumPy's own functions release the GIL themselves, so ctypes must call them with it held: PYFUNCTYPE
    call = {name: ctypes.PYFUNCTYPE(*types)(getattr(inner, name)) for name, types in _SIGNATURES.items()}

    def malloc(context: Any, size: int) -> Any:
        sizes.append(size)
        return call["malloc"](context, size)

    def calloc(context: Any, count: int, size: int) -> Any:
        sizes.append(count * size)
        return call["calloc"](context, count, size)

    def realloc(context: Any, memory: Any, size: int) -> Any:
        sizes.append(size)
        return call["realloc"](context, memory, size)

    recording = [ctypes.CFUNCTYPE(*_SIGNATURES[function.__name__])(function) for function in (malloc, calloc, realloc)]
    functions = [ctypes.cast(function, _pointer) for function in recording]
    handler = _Handler(b"recording", inner.version, inner.context, *functions, inner.free)
    _kept.append((handler, recording))
    new = ctypes.PYFUNCTYPE(ctypes.py_object, _pointer, ctypes.c_char_p, _pointer)(("PyCapsule_New", ctypes.pythonapi))
    return new(ctypes.addressof(handler), _CAPSULE, None)


_kept: list[Any] = []
"""Arrays refer to the handler that made them for as long as they live."""


def _function(index: int) -> int:
    table = _address(importlib.import_module("numpy._core._multiarray_umath")._ARRAY_API, None)
    return int((_pointer * (_GET_HANDLER + 1)).from_address(table)[index] or 0)


def _address(capsule: Any, name: bytes | None) -> int:
    prototype = ctypes.PYFUNCTYPE(_pointer, ctypes.py_object, ctypes.c_char_p)
    return int(prototype(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, name) or 0)
