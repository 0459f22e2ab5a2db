from __future__ import annotations

import hashlib
import json
import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microframe.errors import ModelFileError
from microframe.storage import ModelFile, write_model_file

KERNEL = "weights/dense_1/kernel"


@pytest.fixture
def refused(read_all):
    """Gives the message with which a file is refused, somewhere on the way to its last tensor."""

    def refused(path):
        with pytest.raises(ModelFileError) as error:
            read_all(path)
        message = str(error.value)
        assert message.startswith(f"{path}: ")
        return message.removeprefix(f"{path}: ")

    return refused


def rewrite_manifest(path, content):
    """Put other bytes in the place of the manifest, with the digest that belongs to them."""
    with h5py.File(path, "r+") as file:
        del file["manifest"]
        file["manifest"] = np.frombuffer(content, np.uint8)
        file.attrs["manifest_sha256"] = np.bytes_(hashlib.sha256(content).hexdigest())


def with_entry(path, name, **changes):
    with ModelFile(path) as file:
        manifest = file.manifest
    manifest["tensors"][name] |= changes
    rewrite_manifest(path, json.dumps(manifest).encode("utf-8", "surrogatepass"))


def test_a_file_that_is_refused_is_closed(model_file, refused):
    with h5py.File(model_file, "r+") as file:
        file.attrs["layout"] = np.int64(99)
    refused(model_file)
    with h5py.File(model_file, "r+"):
        pass


def test_a_missing_file_a_folder_and_other_files_are_told_apart(tmp_path, refused):
    assert refused(tmp_path / "no.h5") == "there is no such file"
    assert refused(tmp_path) == "not an HDF5 file, or a damaged one (Is a directory)"
    for content in (b"", b"text", b"\x89HDF\r\n\x1a\n", bytes(5000)):
        (tmp_path / "other").write_bytes(content)
        assert refused(tmp_path / "other").startswith("not an HDF5 file, or a damaged one (")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    assert refused(tmp_path / "other.h5") == "an HDF5 file, but not a microframe model"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", np.bytes_("keras"), "an HDF5 file, but not a microframe model"),
        ("format", "microframe", "an HDF5 file, but not a microframe model"),
        ("format", np.arange(3), "an HDF5 file, but not a microframe model"),
        ("format", None, "an HDF5 file, but not a microframe model"),
        ("layout", np.int64(2), "layout version 2; this version of microframe reads version 1"),
        ("layout", np.arange(2), "layout version [0 1]; this version of microframe reads version 1"),
        ("layout", np.bytes_("1"), "layout version b'1'; this version of microframe reads version 1"),
        ("layout", None, "layout version None; this version of microframe reads version 1"),
        ("manifest_sha256", np.bytes_("0" * 64), "/manifest is damaged: its digest is not the one in the file"),
        ("manifest_sha256", np.arange(2), "/manifest is damaged: its digest is not the one in the file"),
        ("manifest_sha256", None, "/manifest is damaged: its digest is not the one in the file"),
    ],
)
def test_wrong_attributes_are_refused(model_file, name, value, message, refused):
    with h5py.File(model_file, "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    assert refused(model_file) == message


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"3", b"{}", b'{"tensors": 3}', b'{"tensors": []}']
)
def test_a_manifest_that_is_none_is_refused_although_its_digest_is_right(model_file, content, refused):
    rewrite_manifest(model_file, content)
    assert refused(model_file)


@pytest.mark.parametrize("kind", ["missing", "group", "text", "numbers", "compressed"])
def test_a_manifest_of_another_kind_is_refused(model_file, kind, refused):
    with h5py.File(model_file, "r+") as file:
        content = file["manifest"][...]
        del file["manifest"]
        if kind == "group":
            file.create_group("manifest")
        if kind == "text":
            file["manifest"] = "{}"
        if kind == "numbers":
            file["manifest"] = content.astype(np.int32)
        if kind == "compressed":
            file.create_dataset("manifest", data=content, compression="gzip")
    assert refused(model_file) in {"/manifest is not there", "/manifest is not a plain contiguous dataset"}


def test_a_tensor_that_was_changed_is_refused(model_file, refused):
    with h5py.File(model_file, "r+") as file:
        file[KERNEL][1, 1] = 99
    assert refused(model_file) == f"/{KERNEL} is damaged: its digest is not the one in the manifest"


@pytest.mark.parametrize("name", [KERNEL, "weights/dense_1", "weights"])
def test_a_tensor_that_is_gone_is_refused(model_file, name, refused):
    with h5py.File(model_file, "r+") as file:
        del file[name]
    assert refused(model_file).endswith(" is not there")


def test_a_tensor_of_another_shape_or_dtype_is_refused(model_file, saved_tensors, refused):
    with h5py.File(model_file, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = saved_tensors[KERNEL].T
    assert refused(model_file).startswith(f"/{KERNEL} is <f4 of shape (3, 2), the manifest says <f4 of shape (2, 3)")
    with h5py.File(model_file, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = saved_tensors[KERNEL].astype(np.float64)
    assert refused(model_file).startswith(f"/{KERNEL} is <f8 of shape (2, 3), the manifest says <f4 of shape (2, 3)")


def test_a_tensor_that_is_not_listed_is_not_read(model_file):
    with h5py.File(model_file, "r+") as file:
        file["weights/extra"] = np.zeros(3)
    with (
        ModelFile(model_file) as file,
        pytest.raises(ModelFileError, match="expected a tensor /weights/extra, which the"),
    ):
        file.read("weights/extra")


@pytest.mark.parametrize("changes", [{"dtype": "O"}, {"dtype": "bogus"}, {"shape": [10**15]}, {"shape": [-1]}])
def test_a_manifest_that_lies_about_a_tensor_is_refused_without_believing_it(model_file, changes, refused):
    with_entry(model_file, KERNEL, **changes)
    assert refused(model_file).startswith(f"/{KERNEL} is <f4 of shape (2, 3), the manifest says ")


@pytest.mark.parametrize("kind", ["compressed", "chunked", "soft", "external link", "external", "virtual", "unwritten"])
def test_a_tensor_that_is_not_plainly_in_the_file_is_refused(model_file, tmp_path, kind, saved_tensors, refused):
    values = saved_tensors[KERNEL]
    with h5py.File(model_file, "r+") as file:
        del file[KERNEL]
        if kind == "compressed":
            file.create_dataset(KERNEL, data=values, compression="gzip")
        if kind == "chunked":
            file.create_dataset(KERNEL, data=values, chunks=(1, 3))
        if kind == "soft":
            file["elsewhere"] = values
            file[KERNEL] = h5py.SoftLink("/elsewhere")
        if kind == "external link":
            with h5py.File(tmp_path / "other.h5", "w") as other:
                other["kernel"] = values
            file[KERNEL] = h5py.ExternalLink("other.h5", "kernel")
        if kind == "external":
            (tmp_path / "raw").write_bytes(values.tobytes())
            file.create_dataset(KERNEL, values.shape, values.dtype, external=[(tmp_path / "raw", 0, values.nbytes)])
        if kind == "virtual":
            file["elsewhere"] = values
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[:] = h5py.VirtualSource(".", "elsewhere", values.shape)
            file.create_virtual_dataset(KERNEL, layout)
        if kind == "unwritten":
            file.create_dataset(KERNEL, (10**9, 10**3), np.float32)
    assert refused(model_file) in {f"/{KERNEL} is not there", f"/{KERNEL} is not a plain contiguous dataset"}


def test_a_group_that_is_a_link_is_not_followed(model_file, tmp_path, refused):
    os.mkfifo(tmp_path / "fifo.h5")
    with h5py.File(model_file, "r+") as file:
        del file["weights"]
        file["weights"] = h5py.ExternalLink("fifo.h5", "/")
    assert refused(model_file).endswith("is not there"), "and nobody waits for what comes out of the pipe"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, saved_manifest, saved_tensors):
    """The bytes of a whole file, and where to put damaged ones."""
    folder = tmp_path_factory.mktemp("damage")
    write_model_file(folder / "model.h5", saved_manifest, saved_tensors)
    return (folder / "model.h5").read_bytes(), folder / "damaged.h5"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_file_with_any_byte_changed_is_refused_or_reads_the_same(
    whole, saved_manifest, saved_tensors, read_all, data
):
    content, path = whole
    place, change = data.draw(st.integers(0, len(content) - 1), "place"), data.draw(st.integers(1, 255), "change")
    path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
    try:
        manifest, tensors = read_all(path)
    except ModelFileError:
        return
    assert {name: value for name, value in manifest.items() if name != "tensors"} == saved_manifest
    for name, array in saved_tensors.items():
        assert tensors[name].tobytes() == array.tobytes()


def test_a_file_cut_off_anywhere_is_refused(model_file, refused):
    content = model_file.read_bytes()
    for length in range(0, len(content), 97):
        model_file.write_bytes(content[:length])
        refused(model_file)
