"""What callbacks remember of a training that is resumed, as a checkpoint has it that may come from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from microframe.arrays import Array
from microframe.errors import UsageError, format_path
from microframe.interfaces import Callback
from microframe.interfaces.callback import Memory
from microframe.standard.callbacks.places import place

if TYPE_CHECKING:
    from microframe.training import Run


def check_values(run: Run, callback: Callback, memory: Memory, kind: type[msgspec.Struct]) -> None:
    """Raise UsageError unless what `memory` has under the names of the fields of `kind` is of their types."""
    try:
        msgspec.convert(memory, kind)
    except msgspec.ValidationError as error:
        raise another_memory(run, callback, str(error)) from error


def check_arrays(run: Run, callback: Callback, memory: Memory, arrays: Mapping[str, Array]) -> None:
    """Raise UsageError unless `memory` has either none of `arrays` or all of them, in their shapes and dtypes."""
    if not memory.keys() & arrays.keys():
        return
    for name, wanted in arrays.items():
        received = memory.get(name)
        if not isinstance(received, type(wanted)) or (received.shape, received.dtype) != (wanted.shape, wanted.dtype):
            found = f"{received.dtype} of shape {received.shape}" if isinstance(received, type(wanted)) else "no array"
            reason = f"expected {wanted.dtype} of shape {wanted.shape} as {name!r}, received {found}"
            raise another_memory(run, callback, reason)


def another_memory(run: Run, callback: Callback, reason: str) -> UsageError:
    """The error that says that a checkpoint is none of a training with `callback`."""
    path = format_path(place(run, callback, "")[:-1])
    return UsageError(f"{path}: the checkpoint has something else than what {callback.type!r} remembers: {reason}")
