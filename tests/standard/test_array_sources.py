from __future__ import annotations

import gzip
import struct

import h5py
import numpy as np
import pytest

from microframe import DataError
from microframe.standard.sources import HDF5, IDX, NPY, NPZ


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current directory, so that messages name files without it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(source):
    with pytest.raises(DataError) as caught:
        source.load()
    return str(caught.value)


def test_npy_inputs_are_memory_mapped(folder):
    inputs = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    np.save("x.npy", inputs)
    np.save("y.npy", np.array(["a", "b", "a", "c"]))
    data = NPY("x.npy", "y.npy").load()
    assert isinstance(data.inputs, np.memmap)
    assert data.inputs.dtype == np.float32
    np.testing.assert_array_equal(data.inputs, inputs)
    assert data.target.tolist() == ["a", "b", "a", "c"]
    part = NPY("x.npy", "y.npy", rows=(1, 3), missing="mean").load()
    np.testing.assert_array_equal(part.inputs, inputs[1:3])
    assert part.target.tolist() == ["b", "a"]
    assert part.missing == "mean"
    assert NPY("x.npy").load().target is None


def test_npz_takes_y_as_the_target_where_there_is_one(folder):
    np.savez("xy.npz", x=np.eye(3), y=np.arange(3))
    np.savez("x.npz", x=np.eye(3), labels=np.arange(3) + 1)
    assert NPZ("xy.npz").load().target.tolist() == [0, 1, 2]
    assert NPZ("xy.npz", rows=(2, 3)).load().target.tolist() == [2]
    assert NPZ("x.npz").load().target is None
    assert NPZ("x.npz", target="labels").load().target.tolist() == [1, 2, 3]
    assert error_of(NPZ("x.npz", target="label")) == (
        "x.npz: there is no array 'label' (did you mean 'labels'?); it has 'x', 'labels'"
    )


class Explosive:
    def __reduce__(self):
        return exec, ("raise SystemExit('a file was executed')",)


@pytest.mark.parametrize("source", [NPY("bad"), NPZ("bad")])
@pytest.mark.parametrize("content", [b"", b"PK\3\4 not a zip", b"\x93NUMPY", b"\x93NUMPY\1\0\2\0{}"])
def test_files_that_are_not_numpy_files(folder, source, content):
    (folder / "bad").write_bytes(content)
    assert error_of(source).startswith("bad: expected a whole .np")


def test_python_objects_in_numpy_files_are_refused(folder):
    objects = np.array([Explosive()], dtype=object)
    np.save("x.npy", objects, allow_pickle=True)
    np.savez("x.npz", x=objects)
    assert error_of(NPY("x.npy")) == "x.npy: expected a whole .npy file, without Python objects in it"
    assert error_of(NPZ("x.npz")) == "x.npz: 'x': expected a whole array, without Python objects in it"


def test_numpy_files_that_are_cut_short(folder):
    np.save("x.npy", np.eye(30))
    np.savez_compressed("x.npz", x=np.random.default_rng(0).normal(size=(30, 30)))
    for name in ("x.npy", "x.npz"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-200])
    assert error_of(NPY("x.npy")).startswith("x.npy: expected a whole .npy file")
    assert error_of(NPZ("x.npz")).startswith("x.npz: expected a whole .npz file")


def test_numpy_files_of_the_other_kind(folder):
    np.save("x.npy", np.eye(3))
    np.savez("x.npz", x=np.eye(3))
    assert error_of(NPY("x.npz")) == "x.npz: expected a .npy file, received a .npz file (use the source 'npz')"
    assert error_of(NPZ("x.npy")) == "x.npy: expected a .npz file, received a .npy file (use the source 'npy')"


@pytest.mark.parametrize(
    ("inputs", "target", "message"),
    [
        (np.ones(3), None, "x.npy: expected inputs of shape (samples, features, ...), received (3,)"),
        (np.array([["a"]]), None, "x.npy: expected numbers, received <U1 values"),
        (np.ones((2, 2), complex), None, "x.npy: expected numbers, received complex128 values"),
        (np.ones((2, 2)), np.ones(3), "y.npy: expected a target for each of 2 samples, received shape (3,)"),
        (np.ones((2, 2)), np.array(1), "y.npy: expected a target for each of 2 samples, received shape ()"),
        (np.ones((2, 2)), np.array([1, np.nan]), "y.npy: row 1 (from 0): expected finite numbers, received nan"),
        (np.ones((2, 2)), np.array([1j, 0]), "y.npy: expected numbers or text, received complex128 values"),
    ],
)
def test_arrays_that_are_not_inputs_or_targets(folder, inputs, target, message):
    np.save("x.npy", inputs)
    if target is not None:
        np.save("y.npy", target)
    assert error_of(NPY("x.npy", None if target is None else "y.npy")) == message


@pytest.fixture
def hdf5(folder):
    inputs = np.arange(20.0).reshape(10, 2)
    with h5py.File("data.h5", "w") as file:
        file["train/images"] = inputs
        file["train/labels"] = np.arange(10) % 3
        file["names"] = np.array(["é", "b"] * 5, dtype=h5py.string_dtype())
        file["fixed"] = np.array([b"ab", b"c"] * 5)
        file["vector"] = np.arange(10)
    return inputs


def test_hdf5_inputs_stay_in_the_file(hdf5):
    data = HDF5("data.h5", "train/images", "train/labels").load()
    assert isinstance(data.inputs, h5py.Dataset)
    np.testing.assert_array_equal(data.inputs[3:5], hdf5[3:5])
    assert data.target.tolist() == (np.arange(10) % 3).tolist()
    data.inputs.file.close()


@pytest.mark.parametrize(("name", "first"), [("names", ["é", "b"]), ("fixed", ["ab", "c"])])
def test_hdf5_text_becomes_a_string_array(hdf5, name, first):
    target = HDF5("data.h5", "train/images", name).load().target
    assert target.dtype.kind == "U"
    assert target[:2].tolist() == first


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(1, 3),
        slice(-2, None),
        slice(0, 100, 2),
        slice(4, 2),
        0,
        -1,
        ...,
        np.array([0, 2, 4]),
        np.array([True, False, True, False, True]),
        (slice(1, 3), 1),
    ],
)
def test_hdf5_rows_are_a_window_on_the_file(hdf5, key):
    data = HDF5("data.h5", "train/images", "train/labels", rows=(4, 9)).load()
    assert data.inputs.shape == (5, 2)
    assert data.inputs.dtype == np.float64
    assert len(data.inputs) == len(data.target) == 5
    np.testing.assert_array_equal(data.inputs[key], hdf5[4:9][key])


def test_hdf5_a_window_ends_where_its_rows_end(hdf5):
    window = HDF5("data.h5", "train/images", rows=(4, 9)).load().inputs
    for key in (5, -6, np.array([0, 5])):
        with pytest.raises(IndexError):
            window[key]
    np.testing.assert_array_equal(np.asarray(window), hdf5[4:9])
    assert np.asarray(window, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (HDF5("no.h5", "x"), "no.h5: there is no such file"),
        (HDF5("data.h5", "train/image"), "there is no dataset 'train/image' (did you mean 'train/images'?); it has "),
        (HDF5("data.h5", "train"), "data.h5: there is no dataset 'train'"),
        (HDF5("data.h5", "vector"), "data.h5: 'vector': expected inputs of shape (samples, features, ...), received"),
        (HDF5("data.h5", "names"), "data.h5: 'names': expected numbers, received object values"),
        (HDF5("data.h5", "train/images", rows=(0, 11)), "'train/images': expected at least 11 rows, received 10"),
    ],
)
def test_hdf5_files_that_are_not_as_described(hdf5, source, message):
    assert message in error_of(source)


def test_hdf5_a_file_of_another_kind(folder):
    (folder / "data.h5").write_text("a,b\n")
    assert error_of(HDF5("data.h5", "x")).startswith("data.h5: cannot be read: ")


def idx(array, type_byte):
    """The bytes of an IDX file."""
    header = bytes([0, 0, type_byte, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_pixels_stay_bytes_in_file_order(folder, pack):
    (folder / "images").write_bytes(pack(idx(IMAGES, 8)))
    (folder / "labels").write_bytes(pack(idx(np.array([3, 1, 2, 0], np.uint8), 8)))
    data = IDX("images", "labels").load()
    assert data.inputs.dtype == np.uint8
    np.testing.assert_array_equal(data.inputs, IMAGES.reshape(4, 6))
    assert data.target.tolist() == [3, 1, 2, 0]
    part = IDX("images", "labels", flatten=False, rows=(1, 3)).load()
    np.testing.assert_array_equal(part.inputs, IMAGES[1:3, :, :, None])
    assert part.target.tolist() == [1, 2]
    assert IDX("images").load().target is None


@pytest.mark.parametrize(("type_byte", "dtype"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
def test_idx_types_come_in_the_byte_order_of_the_machine(folder, type_byte, dtype):
    values = np.array([[1, 2], [100, 3]], dtype=dtype)
    (folder / "values").write_bytes(idx(values, type_byte))
    inputs = IDX("values").load().inputs
    assert inputs.dtype == np.dtype(dtype)
    assert inputs.dtype.isnative
    np.testing.assert_array_equal(inputs, values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "images: expected an IDX file (two zero bytes, then a type), received b''"),
        (b"\x89PNG", "images: expected an IDX file (two zero bytes, then a type), received b'\\x89PNG'"),
        (b"\0\0\7\1\0\0\0\1a", "images: expected an IDX file (two zero bytes, then a type), received b'\\x00\\x00"),
        (b"\0\0\x08\0", "images: expected a header of at least one axis, received 0 in 4 bytes"),
        (b"\0\0\x08\3\0\0\0\1", "images: expected a header of at least one axis, received 3 in 8 bytes"),
        (idx(IMAGES, 8)[:-1], "images: expected 40 bytes for shape (4, 3, 2), received 39"),
        (idx(IMAGES, 8) + b"\0", "images: expected 40 bytes for shape (4, 3, 2), received 41"),
        (b"\0\0\x0e\2" + b"\xff" * 8, "bytes for shape (4294967295, 4294967295), received 12"),
        (gzip.compress(idx(IMAGES, 8), mtime=0)[:-9], "images: the gzip data is damaged: "),
        (idx(IMAGES[:0], 8), "images: expected inputs of shape (samples, features, ...), received (0, 3, 2)"),
    ],
)
def test_idx_files_that_are_damaged(folder, content, message):
    (folder / "images").write_bytes(content)
    assert message in error_of(IDX("images"))


def test_idx_labels_must_be_as_many_as_images(folder):
    (folder / "images").write_bytes(idx(IMAGES, 8))
    (folder / "labels").write_bytes(idx(np.zeros(3, np.uint8), 8))
    assert error_of(IDX("images", "labels")) == "labels: expected a target for each of 4 samples, received shape (3,)"
    assert error_of(IDX("images", rows=(0, 5))) == "images: expected at least 5 rows, received 4"
