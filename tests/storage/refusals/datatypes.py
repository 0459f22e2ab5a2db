"""Types, of datasets and of attributes."""

from __future__ import annotations

import h5py
import numpy as np
from h5py import h5a, h5d, h5s, h5t

from microframe.storage import Code

from .cases import DATATYPE, KERNEL, refuses
from .datasets import create, put_message


def changed(kind, change):
    kind = kind.copy()
    change(kind)
    return kind


def bfloat16():
    kind = h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    return kind


def string(size):
    kind = h5t.C_S1.copy()
    kind.set_size(size)
    return kind


def enumeration():
    kind = h5t.enum_create(h5t.STD_U8LE)
    kind.enum_insert(b"A", 0)
    return kind


def compound(**fields):
    return h5t.py_create(np.dtype(list(fields.items())))


TYPES = {
    "big-endian float32": (h5t.IEEE_F32BE, Code.TYPE),
    "big-endian float64": (h5t.IEEE_F64BE, Code.TYPE),
    "big-endian int64": (h5t.STD_I64BE, Code.TYPE),
    "float16": (h5t.IEEE_F16LE, Code.TYPE),
    "bfloat16": (bfloat16(), Code.TYPE),
    "long double": (h5t.NATIVE_LDOUBLE.copy(), Code.TYPE),
    "int8": (h5t.STD_I8LE, Code.TYPE),
    "int16": (h5t.STD_I16LE, Code.TYPE),
    "int32": (h5t.STD_I32LE, Code.TYPE),
    "uint16": (h5t.STD_U16LE, Code.TYPE),
    "uint32": (h5t.STD_U32LE, Code.TYPE),
    "uint64": (h5t.STD_U64LE, Code.TYPE),
    "int64 of 63 bits": (changed(h5t.STD_I64LE, lambda kind: kind.set_precision(63)), Code.TYPE),
    "uint8 of 7 bits": (changed(h5t.STD_U8LE, lambda kind: kind.set_precision(7)), Code.TYPE),
    "float32 with another bias": (changed(h5t.IEEE_F32LE, lambda kind: kind.set_ebias(126)), Code.TYPE),
    "float32 with padding of ones": (changed(h5t.IEEE_F32LE, lambda kind: kind.set_inpad(h5t.PAD_ONE)), Code.TYPE),
    "enum": (enumeration(), Code.TYPE),
    "bool": (h5t.py_create(np.dtype(np.bool_), logical=True), Code.TYPE),
    "bit field": (h5t.STD_B8LE, Code.TYPE),
    "opaque": (h5t.py_create(np.dtype("V4")), Code.TYPE),
    "array": (h5t.array_create(h5t.IEEE_F32LE, (2,)), Code.TYPE),
    "time": (h5t.UNIX_D32LE, Code.TYPE),
    "string": (string(4), Code.TYPE),
    "complex as a compound": (compound(r="<f4", i="<f4"), Code.COMPOUND),
    "compound": (compound(a="<f4"), Code.COMPOUND),
    "compound with a text": (h5t.py_create(np.dtype([("a", h5py.string_dtype())]), logical=True), Code.COMPOUND),
    "text of variable length": (h5t.py_create(h5py.string_dtype(), logical=True), Code.VARIABLE_LENGTH),
    "list of variable length": (h5t.vlen_create(h5t.IEEE_F32LE), Code.VARIABLE_LENGTH),
    "reference": (h5t.STD_REF_OBJ, Code.REFERENCE),
    "reference to a region": (h5t.STD_REF_DSETREG, Code.REFERENCE),
}
IN_ATTRIBUTES = {Code.TYPE: Code.ATTRIBUTE, Code.STORAGE: Code.ATTRIBUTE}


def of_type(valid, kind):
    # the library makes no lists of variable length that are not filled
    create(valid, lambda creation: creation.set_fill_time(h5d.FILL_TIME_IFSET), kind=kind)


def put_attribute(valid, name, kind, at="/"):
    with valid.reopened() as file:
        if name in file[at].attrs:
            del file[at].attrs[name]
        h5a.create(file[at].id, name.encode(), kind, h5s.create(h5s.SCALAR))


for name, (kind, code) in TYPES.items():
    refuses(code, f"{name} in a tensor", of_type, kind)
    is_text = name == "string"  # which the other attributes are
    in_attribute = IN_ATTRIBUTES.get(code, code)
    refuses(in_attribute, f"{name} in an attribute", put_attribute, "layout", kind, structure=not is_text)
    refuses(Code.ATTRIBUTE, f"{name} in an attribute of a tensor", put_attribute, "other", kind, KERNEL)
for name, kind in (("float64", h5t.IEEE_F64LE), ("int64", h5t.STD_I64LE), ("uint8", h5t.STD_U8LE)):
    refuses(Code.TYPE, f"{name} where the manifest says another", of_type, kind, structure=False)
for first in (0x32, 0x38, 0x3B, 0x3F, 0x01, 0x41, 0x51, 0xF1):
    # time, enum, complex and a class of tomorrow; then a float of no version, and of versions of tomorrow
    refuses(Code.TYPE, f"first byte {first:#x}", put_message, KERNEL, DATATYPE, (0, "<B", first))
