from __future__ import annotations

import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from microframe.errors import ModelFileError
from microframe.storage import ModelFile, write_model_file

KERNEL = "weights/dense_1/kernel"


def refusal(path, read):
    """Code, place and finding with which a file is refused, somewhere on the way to its last tensor."""
    with pytest.raises(ModelFileError) as error:
        read(path)
    refused = error.value
    assert str(refused) == f"{path}: {refused.where}: {refused.found} [{refused.code}]"
    return refused.code, refused.where, refused.found


def code_of(path):
    with pytest.raises(ModelFileError) as error, ModelFile(path):
        pass
    return error.value.code


def test_what_is_written_is_read(model_file, saved_manifest, saved_tensors, read_all):
    manifest, tensors = read_all(model_file)
    assert {name: value for name, value in manifest.items() if name != "tensors"} == saved_manifest
    assert list(manifest["tensors"]) == sorted(saved_tensors)
    for name, array in saved_tensors.items():
        np.testing.assert_array_equal(tensors[name], array)
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"weights/[a-z]{1,3}/[a-z]{1,3}", fullmatch=True),
        st.sampled_from(["<f4", "<f8", ">f4", "|u1", "<i8"]).flatmap(
            lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
        ),
        max_size=4,
    )
)
def test_any_tensors_are_read_back_bit_for_bit(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("any") / "model.h5"
    write_model_file(path, {}, tensors)
    with ModelFile(path, allow_nonfinite=True) as file:
        assert set(file.paths("weights")) == {name.removeprefix("weights/") for name in tensors}
        for name, array in tensors.items():
            assert file.shape(name) == array.shape
            assert file.read(name).tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize("original", ["object", "uint64", "complex128", "float16", "bogus"])
def test_a_file_that_asks_for_a_dtype_that_was_never_stored_so_is_refused(tmp_path, original, with_manifest):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {"records/a": np.array([True])})
    with_manifest(path, lambda manifest: manifest["tensors"]["records/a"].update(original=original))
    assert code_of(path) == "E_TYPE"


@pytest.mark.parametrize("original", [5, ["bool"], True])
def test_a_file_whose_dtype_is_no_text_is_refused(tmp_path, original, with_manifest):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {"records/a": np.array([True])})
    with_manifest(path, lambda manifest: manifest["tensors"]["records/a"].update(original=original))
    assert code_of(path) == "E_MANIFEST_FIELD"


def test_a_file_that_asks_for_no_dtype_is_read_as_it_is_stored(tmp_path, with_manifest):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {"records/a": np.array([True])})
    with_manifest(path, lambda manifest: manifest["tensors"]["records/a"].pop("original"))
    with ModelFile(path) as file:
        assert file.read("records/a").dtype == np.uint8


@pytest.mark.parametrize(
    ("stored", "original"),
    [
        ([0, 1, 2], "bool"),
        ([127, 128], "int8"),
        ([-1], "uint16"),
        ([2**31], "int32"),
        ([0.5, 0.1], "float16"),
        ([1e6], "float16"),
    ],
)
def test_a_file_whose_values_are_none_of_the_dtype_that_it_asks_for_is_refused(
    tmp_path, stored, original, with_manifest
):
    path = tmp_path / "model.h5"
    dtype = {"bool": np.uint8, "float16": np.float32}.get(original, np.int64)
    write_model_file(path, {}, {"records/a": np.array(stored, dtype)})
    with_manifest(path, lambda manifest: manifest["tensors"]["records/a"].update(original=original))
    for check in (True, False):
        with ModelFile(path, check=check) as file:
            for read in (lambda: file.read("records/a"), file.verify):
                with pytest.raises(ModelFileError, match=f"/records/a: a value that no {original} has") as error:
                    read()
                assert error.value.code == "E_TYPE"


@pytest.mark.parametrize("array", [np.array([2**64 - 1, 2**63, 0], np.uint64), np.array([np.nan, -np.inf], np.float16)])
def test_values_that_go_back_and_forth_are_read(tmp_path, array):
    write_model_file(tmp_path / "model.h5", {}, {"records/a": array})
    with ModelFile(tmp_path / "model.h5") as file:
        file.verify()
        np.testing.assert_array_equal(file.read("records/a"), array, strict=True)


@pytest.mark.parametrize(("dtype", "original"), [(np.float32, "float16"), (np.int64, "int8"), (np.uint8, "bool")])
def test_what_the_network_has_is_stored_as_it_is(tmp_path, dtype, original):
    array = np.ones(3, dtype)
    write_model_file(tmp_path / "model.h5", {}, {"weights/a": array.astype(original)})
    with ModelFile(tmp_path / "model.h5") as file:
        for read in (
            lambda: file.expect({"weights/a": ((3,), array.dtype)}, "weights"),
            lambda: file.read_into({"weights/a": array}),
        ):
            with pytest.raises(ModelFileError, match=f"what was {original}, where the layers have {array.dtype}") as e:
                read()
            assert e.value.code == "E_TENSORS"


def test_reading_leaves_the_file_closed(model_file):
    with ModelFile(model_file) as file:
        file.read(KERNEL)
    with h5py.File(model_file, "r+"):
        pass


def test_tensors_are_read_into_arrays_of_their_shapes_and_dtypes_alone(model_file, saved_tensors):
    with ModelFile(model_file) as file:
        out = np.empty((2, 3), np.float32)
        file.read_into({KERNEL: out})
        np.testing.assert_array_equal(out, saved_tensors[KERNEL])
        for wrong in (np.empty((3, 2), np.float32), np.empty((2, 3))):
            out[...] = -1
            with pytest.raises(ModelFileError, match="where the layers have") as error:
                file.read_into({"weights/dense_1/bias": np.empty(3), KERNEL: wrong})
            assert (error.value.code, error.value.where) == ("E_TENSORS", f"/{KERNEL}")


def test_where_one_array_is_of_another_shape_nothing_is_read_at_all(model_file):
    out = np.full((2, 3), -1, np.float32)
    with ModelFile(model_file) as file, pytest.raises(ModelFileError):
        file.read_into({KERNEL: out, "weights/dense_1/bias": np.empty(4)})
    assert (out == -1).all()


def test_a_mapped_tensor_is_a_view_of_the_file_that_cannot_be_written_to(model_file, saved_tensors):
    with ModelFile(model_file, check=False) as file:
        mapped = {name: file.map(name) for name in saved_tensors}
    for name, array in saved_tensors.items():
        assert mapped[name].tobytes() == array.tobytes()
        assert (mapped[name].dtype, mapped[name].shape) == (array.dtype, array.shape)
        if array.size:
            assert not mapped[name].flags.writeable
            assert mapped[name].flags.aligned
            assert mapped[name].ctypes.data % 64 == 0


def test_the_digest_of_the_manifest_names_the_model_and_the_file_has_its_own(model_file, tmp_path, reopened):
    with ModelFile(model_file) as file:
        name, own = file.sha256, file.own_sha256()
    with reopened(model_file) as file:
        file.create_group("passing")
        del file["passing"]
    with ModelFile(model_file) as file:
        assert (file.sha256, file.own_sha256() == own) == (name, False)


def test_a_file_that_is_refused_is_closed(model_file, read_all, reopened):
    with reopened(model_file) as file:
        file.attrs["layout"] = np.int64(99)
    assert refusal(model_file, read_all)[0] == "E_LAYOUT"
    with h5py.File(model_file, "r+"):
        pass


def test_a_missing_file_a_folder_and_other_files_are_told_apart(tmp_path, read_all):
    assert refusal(tmp_path / "no.h5", read_all) == ("E_NOT_FOUND", "the path", "no such file")
    with pytest.raises(ModelFileError, match=r"a\\x00b: the path: no name that a file can have .*E_NOT_FOUND"):
        ModelFile(tmp_path / "a\0b")
    assert refusal(tmp_path, read_all)[0] == "E_NOT_A_FILE"
    for content in (b"", b"text", bytes(5000)):
        (tmp_path / "other").write_bytes(content)
        assert refusal(tmp_path / "other", read_all)[:2] == ("E_NOT_HDF5", "the first bytes")
    (tmp_path / "other").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert refusal(tmp_path / "other", read_all)[0] == "E_TRUNCATED"
    for libver, code in (("v110", "E_FORMAT"), ("earliest", "E_SUPERBLOCK")):
        with h5py.File(tmp_path / "other.h5", "w", libver=libver) as file:
            file["x"] = np.zeros(3)
        assert refusal(tmp_path / "other.h5", read_all)[0] == code


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("format", np.bytes_("keras"), "E_FORMAT"),
        ("format", "microframe", "E_VARIABLE_LENGTH"),
        ("format", np.arange(3), "E_ATTRIBUTE"),
        ("format", None, "E_FORMAT"),
        ("layout", np.int64(2), "E_LAYOUT"),
        ("layout", np.arange(2), "E_ATTRIBUTE"),
        ("layout", np.bytes_("1"), "E_ATTRIBUTE"),
        ("layout", None, "E_ATTRIBUTE"),
        ("manifest_sha256", np.bytes_("0" * 64), "E_MANIFEST_DIGEST"),
        ("manifest_sha256", np.arange(2), "E_ATTRIBUTE"),
        ("manifest_sha256", None, "E_ATTRIBUTE"),
    ],
)
def test_wrong_attributes_are_refused(model_file, name, value, code, read_all, reopened):
    with reopened(model_file) as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    assert refusal(model_file, read_all)[0] == code


def test_a_layout_of_tomorrow_is_refused_by_its_number(model_file, read_all, reopened):
    with reopened(model_file) as file:
        file.attrs["layout"] = np.int64(2)
    _, where, found = refusal(model_file, read_all)
    assert (where, found) == ("/", "layout version 2; this version of microframe reads version 1")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("missing", "E_MISSING"),
        ("group", "E_MISSING"),
        ("text", "E_VARIABLE_LENGTH"),
        ("numbers", "E_TYPE"),
        ("square", "E_MISSING"),
        ("compressed", "E_FILTER"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(model_file, kind, code, read_all, reopened):
    with reopened(model_file) as file:
        content = file["manifest"][...]
        del file["manifest"]
        if kind == "group":
            file.create_group("manifest")
        if kind == "text":
            file["manifest"] = "{}"
        if kind == "numbers":
            file["manifest"] = content.astype(np.int32)
        if kind == "square":
            file["manifest"] = content.reshape(1, -1)
        if kind == "compressed":
            file.create_dataset("manifest", data=content, compression="gzip")
    assert refusal(model_file, read_all)[:2] == (code, "/manifest")


def test_a_tensor_that_was_changed_is_refused(model_file, read_all):
    with h5py.File(model_file, "r+") as file:
        file[KERNEL][1, 1] = 99
    found = "bytes whose digest is not the one in the manifest"
    assert refusal(model_file, read_all) == ("E_DIGEST", f"/{KERNEL}", found)


def test_without_checks_a_tensor_that_was_changed_is_read(model_file):
    with h5py.File(model_file, "r+") as file:
        file[KERNEL][1, 1] = 99
    with ModelFile(model_file, check=False) as file:
        assert file.read(KERNEL)[1, 1] == 99


@pytest.mark.parametrize("name", [KERNEL, "weights/dense_1", "weights"])
def test_a_tensor_that_is_gone_is_refused(model_file, name, read_all):
    with h5py.File(model_file, "r+") as file:
        del file[name]
    code, where, _ = refusal(model_file, read_all)
    assert code == "E_MISSING"
    assert where.startswith(f"/{name}")


def test_a_tensor_of_another_shape_or_dtype_is_refused(model_file, saved_tensors, read_all, reopened):
    with reopened(model_file) as file:
        del file[KERNEL]
        file[KERNEL] = saved_tensors[KERNEL].T
    assert refusal(model_file, read_all) == ("E_SHAPE", f"/{KERNEL}", "(3, 2), where the manifest says (2, 3)")
    with reopened(model_file) as file:
        del file[KERNEL]
        file[KERNEL] = saved_tensors[KERNEL].astype(np.float64)
    assert refusal(model_file, read_all) == ("E_TYPE", f"/{KERNEL}", "<f8, where the manifest says <f4")


def test_a_tensor_that_is_not_listed_is_refused_and_one_that_is_nowhere_is_not_read(model_file, reopened, read_all):
    with ModelFile(model_file) as file, pytest.raises(ModelFileError, match="/weights/extra: nothing, where") as error:
        file.read("weights/extra")
    assert error.value.code == "E_TENSORS"
    with reopened(model_file) as file:
        file["weights/extra"] = np.zeros(3)
    assert refusal(model_file, read_all)[:2] == ("E_UNLISTED", "/weights/extra")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dtype": "O"}, "E_TYPE"),
        ({"dtype": "bogus"}, "E_TYPE"),
        ({"shape": [10**15]}, "E_SHAPE"),
        ({"shape": [-1]}, "E_SHAPE"),
        ({"sha256": "0" * 64}, "E_DIGEST"),
    ],
)
def test_a_manifest_that_lies_about_a_tensor_is_refused_without_believing_it(
    model_file, changes, code, read_all, with_manifest
):
    with_manifest(model_file, lambda manifest: manifest["tensors"][KERNEL].update(changes))
    assert refusal(model_file, read_all)[:2] == (code, f"/{KERNEL}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_group_that_is_a_link_is_not_followed(model_file, tmp_path, read_all):
    os.mkfifo(tmp_path / "fifo.h5")
    with h5py.File(model_file, "r+") as file:
        del file["weights"]
        file["weights"] = h5py.ExternalLink("fifo.h5", "/")
    assert refusal(model_file, read_all)[0] == "E_EXTERNAL_LINK", "and nobody waits for what comes out of the pipe"


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


def test_a_file_cut_off_anywhere_is_refused(model_file, read_all):
    content = model_file.read_bytes()
    for length in range(0, len(content), 97):
        model_file.write_bytes(content[:length])
        assert refusal(model_file, read_all)[0] == ("E_TRUNCATED" if length else "E_NOT_HDF5")
