"""The attributes of the root, and those that nothing has."""

from __future__ import annotations

import h5py
import numpy as np

from microframe.storage import Code

from .cases import ATTRIBUTE, GROUP, KERNEL, refuses
from .datasets import create_with


def attribute(valid, name, value, at="/"):
    with valid.reopened() as file:
        file[at].attrs[name] = value


def drop_attribute(valid, name):
    with valid.reopened() as file:
        del file.attrs[name]


def very_many_attributes(valid, at):
    with valid.reopened() as file:
        for number in range(20):
            file[at].attrs[f"a{number}"] = np.int64(number)


def flip_in_a_text_of_variable_length(valid, place, bit):
    """A bit of where an attribute's text is kept: what makes h5py wait for ever while it holds Python's lock."""
    with valid.reopened() as file:
        del file.attrs["format"]
        file.attrs["format"] = "microframe"
    data = valid.bytes()
    at, size = [(at, size) for kind, at, size in data.messages("/") if kind == ATTRIBUTE][-1]
    assert b"format" in data.data[at : at + size]
    data.data[at + size - 16 + place] ^= 1 << bit
    data.save()


def of_tomorrow(valid):
    """A file of a later layout, which may have what this one hasn't."""
    create_with(valid, compression="gzip")
    attribute(valid, "layout", np.int64(2))


def of_another_program(valid):
    create_with(valid, compression="gzip")
    attribute(valid, "format", np.bytes_("other"))


def damaged_layout(valid):
    data = valid.bytes()
    ((at, size),) = [
        (at, size)
        for kind, at, size in data.messages("/")
        if kind == ATTRIBUTE and b"layout" in data.data[at : at + size]
    ]
    data.data[at + size - 8] ^= 2
    valid.path.write_bytes(data.data)


refuses(Code.FORMAT, "another", attribute, "format", np.bytes_("keras"), structure=False)
refuses(Code.FORMAT, "none", drop_attribute, "format", structure=False)
for layout in (-1, 0, 2, 2**62):
    refuses(Code.LAYOUT, str(layout), attribute, "layout", np.int64(layout), structure=False)
refuses(Code.LAYOUT, "with what only it may have", of_tomorrow, structure=False)
refuses(Code.FORMAT, "of another program", of_another_program, structure=False)
refuses(Code.CHECKSUM, "a layout that is a damaged 1", damaged_layout)
refuses(Code.ATTRIBUTE, "no layout", drop_attribute, "layout", structure=False)
refuses(Code.ATTRIBUTE, "layout as a text", attribute, "layout", np.bytes_("1"), structure=False)
refuses(Code.ATTRIBUTE, "layout as a list", attribute, "layout", np.array([1]))
refuses(Code.ATTRIBUTE, "layout as nothing", attribute, "layout", h5py.Empty("<i8"))
refuses(Code.ATTRIBUTE, "no digest", drop_attribute, "manifest_sha256", structure=False)
refuses(Code.ATTRIBUTE, "digest as a number", attribute, "manifest_sha256", np.int64(1), structure=False)
refuses(Code.ATTRIBUTE, "a fourth", attribute, "other", np.int64(1), structure=False)
refuses(Code.ATTRIBUTE, "another name", attribute, "größe", np.int64(1))
refuses(Code.ATTRIBUTE, "of a tensor", attribute, "other", np.int64(1), KERNEL)
refuses(Code.ATTRIBUTE, "of a group", attribute, "other", np.int64(1), GROUP)
refuses(Code.ATTRIBUTE, "of the manifest", attribute, "other", np.int64(1), "manifest")
for place in ("/", GROUP, KERNEL):
    refuses(Code.ATTRIBUTE, f"very many at {place}", very_many_attributes, place)
for place, bit in ((0, 0), (3, 7), (4, 1), (11, 7), (12, 0), (15, 7)):
    flip = flip_in_a_text_of_variable_length
    refuses(Code.VARIABLE_LENGTH, f"flipped bit {bit} of byte {place}", flip, place, bit)
