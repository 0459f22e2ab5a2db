from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from microframe.errors import ModelFileError
from microframe.storage import LAYOUT, ModelFile, write_model_file

MANIFEST = {"text": "größe \u2028 \udcff", "list": [1, 2.5, None, True], "table": {"b": 1, "a": []}}
TENSORS = {
    "weights/dense_1/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "weights/dense_1/bias": np.zeros(3, np.float64),
    "weights/scalar": np.float32(3).reshape(()),
    "weights/empty": np.empty((0, 4), np.float32),
    "records/w": np.arange(5, dtype=np.int64),
    "records/bytes": np.arange(5, dtype=np.uint8),
}
KERNEL = "weights/dense_1/kernel"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.h5"
    write_model_file(path, MANIFEST, TENSORS)
    return path


def read_all(path):
    with ModelFile(path) as file:
        return file.manifest, {name: file.read(name) for name in TENSORS}


def refused(path):
    """The message with which the file is refused, somewhere on the way to its last tensor."""
    with pytest.raises(ModelFileError) as error:
        read_all(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


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


def run_python(code, *arguments):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_what_is_written_is_read(path):
    manifest, tensors = read_all(path)
    assert {name: value for name, value in manifest.items() if name != "tensors"} == MANIFEST
    assert list(manifest["tensors"]) == sorted(TENSORS)
    for name, array in TENSORS.items():
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
    with ModelFile(path) as file:
        assert set(file.paths("weights")) == {name.removeprefix("weights/") for name in tensors}
        for name, array in tensors.items():
            assert file.shape(name) == array.shape
            assert file.read(name).tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()


def test_attributes_have_fixed_length_and_say_format_layout_and_digest(path):
    with h5py.File(path) as file:
        assert set(file.attrs) == {"format", "layout", "manifest_sha256"}
        for name in ("format", "manifest_sha256"):
            text = file.attrs.get_id(name).get_type()
            assert isinstance(text, h5py.h5t.TypeStringID)
            assert not text.is_variable_str()
        assert file.attrs["format"] == b"microframe"
        assert (file.attrs["layout"], file.attrs["layout"].dtype) == (LAYOUT, np.int64)
        content = file["manifest"][...]
        assert content.dtype == np.uint8
        assert file.attrs["manifest_sha256"] == hashlib.sha256(content.tobytes()).hexdigest().encode()


def test_the_manifest_is_canonical_json_that_lists_every_tensor_with_its_digest(path):
    with h5py.File(path) as file:
        content = file["manifest"][...].tobytes()
    manifest = json.loads(content)
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert content == canonical.encode("utf-8", "surrogatepass")
    assert manifest["tensors"][KERNEL] == {
        "dtype": "<f4",
        "shape": [2, 3],
        "sha256": hashlib.sha256(TENSORS[KERNEL].tobytes()).hexdigest(),
    }


def test_every_dataset_is_contiguous_little_endian_and_unfiltered_and_every_link_is_hard(path):
    found = []

    def visit(name, node):
        assert isinstance(file.get(name, getlink=True), h5py.HardLink)
        assert not node.attrs
        if isinstance(node, h5py.Group):
            return
        found.append(name)
        assert node.dtype.str in {"<f4", "<f8", "|u1", "<i8"}
        creation = node.id.get_create_plist()
        assert creation.get_layout() == h5py.h5d.CONTIGUOUS
        assert (creation.get_nfilters(), creation.get_external_count()) == (0, 0)
        if node.size:
            assert node.id.get_storage_size() == node.nbytes

    with h5py.File(path) as file:
        file.visititems(visit)
    assert sorted(found) == sorted(["manifest", *TENSORS])


def test_large_tensors_are_aligned_so_that_they_can_be_mapped(path):
    with h5py.File(path) as file:
        for name, array in TENSORS.items():
            if array.size:
                assert file[name].id.get_offset() % 64 == 0


def test_a_manifest_may_be_longer_than_an_attribute(tmp_path):
    text = "x" * 200_000
    write_model_file(tmp_path / "model.h5", {"text": text}, {})
    with ModelFile(tmp_path / "model.h5") as file:
        assert file.manifest["text"] == text


def test_big_endian_strided_and_read_only_arrays_are_written_as_they_read(tmp_path):
    kernel = TENSORS[KERNEL].astype(">f4")[:, ::-1]
    kernel.flags.writeable = False
    write_model_file(tmp_path / "model.h5", {}, {KERNEL: kernel, "weights/t": np.asfortranarray(TENSORS[KERNEL])})
    with ModelFile(tmp_path / "model.h5") as file:
        np.testing.assert_array_equal(file.read(KERNEL), TENSORS[KERNEL][:, ::-1])
        assert file.read(KERNEL).dtype.str == "<f4"
        np.testing.assert_array_equal(file.read("weights/t"), TENSORS[KERNEL])


@pytest.mark.parametrize("dtype", ["float16", "int32", "bool", "complex64", "object", "U3", "datetime64[s]"])
def test_other_dtypes_are_refused_before_anything_is_written(path, dtype):
    before = path.read_bytes()
    with pytest.raises(ModelFileError, match=r"a model file holds arrays of <f4, <f8, \|u1, <i8, not"):
        write_model_file(path, {}, {"weights/a": np.zeros(3, dtype)})
    assert path.read_bytes() == before


def test_two_files_of_the_same_content_have_the_same_bytes(path, tmp_path):
    write_model_file(tmp_path / "other.h5", dict(reversed(MANIFEST.items())), dict(reversed(TENSORS.items())))
    assert (tmp_path / "other.h5").read_bytes() == path.read_bytes()
    write_model_file(path, MANIFEST, TENSORS)
    assert (tmp_path / "other.h5").read_bytes() == path.read_bytes()


def test_a_symbolic_link_is_followed_and_stays(path, tmp_path):
    (tmp_path / "folder").mkdir()
    target = path.rename(tmp_path / "folder" / "real.h5")
    link = tmp_path / "link.h5"
    link.symlink_to(target)
    write_model_file(link, {"new": 1}, {})
    assert link.is_symlink()
    with ModelFile(target) as file:
        assert file.manifest["new"] == 1
    assert os.listdir(tmp_path / "folder") == ["real.h5"]


def test_the_permissions_of_a_file_that_is_replaced_are_kept(path):
    path.chmod(0o640)
    write_model_file(path, MANIFEST, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_gets_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_model_file(tmp_path / "model.h5", {}, {})
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "model.h5").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("where", ["nowhere/model.h5", "", "folder"])
def test_what_cannot_be_written_is_an_error_that_names_it_and_leaves_nothing(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelFileError, match=rf"^{where}: cannot be written: "):
        write_model_file(where, MANIFEST, TENSORS)
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_a_value_that_json_lacks_leaves_the_old_file(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_model_file(path, {"number": float("nan")}, TENSORS)
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file size")
@pytest.mark.parametrize("limit", [0, 1000, 100_000, 790_000])
def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(path, limit):
    """A real full disk, as far as the process can tell: the system refuses to let any file grow beyond the limit."""
    before = path.read_bytes()
    code = """
        import resource, signal, sys
        import numpy as np
        from microframe import ModelFileError
        from microframe.storage import write_model_file

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), most))
        try:
            write_model_file(sys.argv[1], {}, {"weights/a": np.ones(100_000)})
            message = "written"
        except ModelFileError as error:
            message = str(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        print(message)
    """
    completed = run_python(code, path, limit)
    assert completed.stdout == f"{path}: cannot be written: File too large\n", completed.stderr
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_file(path):
    code = """
        import sys
        import numpy as np
        from microframe.storage import write_model_file

        print("ready", flush=True)
        while True:
            write_model_file(sys.argv[1], {"n": 1}, {"weights/a": np.ones(300_000)})
    """
    for delay in (0.05, 0.11):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(path)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay)
        finally:
            process.kill()
            process.communicate()
        with ModelFile(path) as file:
            for name in file.manifest["tensors"]:
                file.read(name)


def test_reading_leaves_the_file_closed(path):
    with ModelFile(path) as file:
        file.read(KERNEL)
    with h5py.File(path, "r+"):
        pass


def test_a_file_that_is_refused_is_closed(path):
    with h5py.File(path, "r+") as file:
        file.attrs["layout"] = np.int64(99)
    refused(path)
    with h5py.File(path, "r+"):
        pass


def test_a_missing_file_a_folder_and_other_files_are_told_apart(tmp_path):
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
def test_wrong_attributes_are_refused(path, name, value, message):
    with h5py.File(path, "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    assert refused(path) == message


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b"[]", b"3", b"{}", b'{"tensors": 3}', b'{"tensors": []}']
)
def test_a_manifest_that_is_none_is_refused_although_its_digest_is_right(path, content):
    rewrite_manifest(path, content)
    assert refused(path)


@pytest.mark.parametrize("kind", ["missing", "group", "text", "numbers", "compressed"])
def test_a_manifest_of_another_kind_is_refused(path, kind):
    with h5py.File(path, "r+") as file:
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
    assert refused(path) in {"/manifest is not there", "/manifest is not a plain contiguous dataset"}


def test_a_tensor_that_was_changed_is_refused(path):
    with h5py.File(path, "r+") as file:
        file[KERNEL][1, 1] = 99
    assert refused(path) == f"/{KERNEL} is damaged: its digest is not the one in the manifest"


@pytest.mark.parametrize("name", [KERNEL, "weights/dense_1", "weights"])
def test_a_tensor_that_is_gone_is_refused(path, name):
    with h5py.File(path, "r+") as file:
        del file[name]
    assert refused(path).endswith(" is not there")


def test_a_tensor_of_another_shape_or_dtype_is_refused(path):
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = TENSORS[KERNEL].T
    assert refused(path).startswith(f"/{KERNEL} is <f4 of shape (3, 2), the manifest says <f4 of shape (2, 3)")
    with h5py.File(path, "r+") as file:
        del file[KERNEL]
        file[KERNEL] = TENSORS[KERNEL].astype(np.float64)
    assert refused(path).startswith(f"/{KERNEL} is <f8 of shape (2, 3), the manifest says <f4 of shape (2, 3)")


def test_a_tensor_is_read_into_an_array_of_its_shape_and_dtype_alone(path):
    with ModelFile(path) as file:
        out = np.empty((2, 3), np.float32)
        assert file.read_into(KERNEL, out) is out
        np.testing.assert_array_equal(out, TENSORS[KERNEL])
        for wrong in (np.empty((3, 2), np.float32), np.empty((2, 3))):
            with pytest.raises(ModelFileError, match="and the network wants"):
                file.read_into(KERNEL, wrong)


def test_a_tensor_that_is_not_listed_is_not_read(path):
    with h5py.File(path, "r+") as file:
        file["weights/extra"] = np.zeros(3)
    with ModelFile(path) as file, pytest.raises(ModelFileError, match="expected a tensor /weights/extra, which the"):
        file.read("weights/extra")


@pytest.mark.parametrize("changes", [{"dtype": "O"}, {"dtype": "bogus"}, {"shape": [10**15]}, {"shape": [-1]}])
def test_a_manifest_that_lies_about_a_tensor_is_refused_without_believing_it(path, changes):
    with_entry(path, KERNEL, **changes)
    assert refused(path).startswith(f"/{KERNEL} is <f4 of shape (2, 3), the manifest says ")


@pytest.mark.parametrize("kind", ["compressed", "chunked", "soft", "external link", "external", "virtual", "unwritten"])
def test_a_tensor_that_is_not_plainly_in_the_file_is_refused(path, tmp_path, kind):
    values = TENSORS[KERNEL]
    with h5py.File(path, "r+") as file:
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
    assert refused(path) in {f"/{KERNEL} is not there", f"/{KERNEL} is not a plain contiguous dataset"}


def test_a_group_that_is_a_link_is_not_followed(path, tmp_path):
    os.mkfifo(tmp_path / "fifo.h5")
    with h5py.File(path, "r+") as file:
        del file["weights"]
        file["weights"] = h5py.ExternalLink("fifo.h5", "/")
    assert refused(path).endswith("is not there"), "and nobody waits for what comes out of the pipe"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a whole file, and where to put damaged ones."""
    folder = tmp_path_factory.mktemp("damage")
    write_model_file(folder / "model.h5", MANIFEST, TENSORS)
    return (folder / "model.h5").read_bytes(), folder / "damaged.h5"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_file_with_any_byte_changed_is_refused_or_reads_the_same(whole, data):
    content, path = whole
    place, change = data.draw(st.integers(0, len(content) - 1), "place"), data.draw(st.integers(1, 255), "change")
    path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
    try:
        manifest, tensors = read_all(path)
    except ModelFileError:
        return
    assert {name: value for name, value in manifest.items() if name != "tensors"} == MANIFEST
    for name, array in TENSORS.items():
        assert tensors[name].tobytes() == array.tobytes()


def test_a_file_cut_off_anywhere_is_refused(path):
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        refused(path)
