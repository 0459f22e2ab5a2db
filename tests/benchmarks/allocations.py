"""Every allocation of array data by NumPy, also of arrays that are let go at once, which snapshots never show.

NumPy lets a program replace the functions that allocate array data (NEP 49), through its C interface alone; ctypes
reaches that.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

SET_HANDLER, GET_HANDLER = 304, 305
"""Where PyDataMem_SetHandler and PyDataMem_GetHandler stand in NumPy's table of functions."""
CAPSULE = b"mem_handler"

pointer, size_t = ctypes.c_void_p, ctypes.c_size_t
SIGNATURES = {
    "malloc": (pointer, pointer, size_t),
    "calloc": (pointer, pointer, size_t, size_t),
    "realloc": (pointer, pointer, pointer, size_t),
}


class Handler(ctypes.Structure):
    """PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", pointer),
        *((name, pointer) for name in (*SIGNATURES, "free")),
    )


_sizes: list[int] = []


def take() -> list[int]:
    """The bytes of each allocation since the last call."""
    taken = _sizes.copy()
    _sizes.clear()
    return taken


@contextmanager
def counted() -> Iterator[None]:
    """While inside, `take` sees what is allocated."""
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(_function(SET_HANDLER))
    original = ctypes.PYFUNCTYPE(ctypes.py_object)(_function(GET_HANDLER))()
    set_handler(_counting(original))
    try:
        yield
    finally:
        set_handler(original)


def _counting(original: Any) -> Any:
    """A handler that notes each size and leaves the rest to `original`."""
    inner = Handler.from_address(_address(original, CAPSULE))
    # NumPy's own functions release the GIL themselves, so ctypes must call them with it held: PYFUNCTYPE
    call = {name: ctypes.PYFUNCTYPE(*types)(getattr(inner, name)) for name, types in SIGNATURES.items()}

    def malloc(context: Any, size: int) -> Any:
        _sizes.append(size)
        return call["malloc"](context, size)

    def calloc(context: Any, count: int, size: int) -> Any:
        _sizes.append(count * size)
        return call["calloc"](context, count, size)

    def realloc(context: Any, memory: Any, size: int) -> Any:
        _sizes.append(size)
        return call["realloc"](context, memory, size)

    noting = [ctypes.CFUNCTYPE(*SIGNATURES[function.__name__])(function) for function in (malloc, calloc, realloc)]
    handler = Handler(
        b"counting", inner.version, inner.context, *(ctypes.cast(function, pointer) for function in noting), inner.free
    )
    _kept.append((handler, noting))
    new = ctypes.PYFUNCTYPE(ctypes.py_object, pointer, ctypes.c_char_p, pointer)(("PyCapsule_New", ctypes.pythonapi))
    return new(ctypes.addressof(handler), CAPSULE, None)


_kept: list[Any] = []
"""Arrays refer to the handler that made them for as long as they live."""


def _function(index: int) -> int:
    table = _address(np._core._multiarray_umath._ARRAY_API, None)  # type: ignore[attr-defined]
    return int((pointer * (GET_HANDLER + 1)).from_address(table)[index] or 0)


def _address(capsule: Any, name: bytes | None) -> int:
    prototype = ctypes.PYFUNCTYPE(pointer, ctypes.py_object, ctypes.c_char_p)
    return int(prototype(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, name) or 0)
