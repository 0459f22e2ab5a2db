from __future__ import annotations

import functools
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

from microframe.errors import ModelFileError, UsageError
from microframe.storage import LAYOUT, ModelFile, check_tensors, write_model_file, writing

KERNEL = "weights/dense_1/kernel"


def test_what_is_written_is_read(model_file, saved_manifest, saved_tensors, read_all):
    manifest, tensors = read_all(model_file)
    assert {name: value for name, value in manifest.items() if name != "tensors"} == saved_manifest
    assert list(manifest["tensors"]) == sorted(saved_tensors)
    for name, array in saved_tensors.items():
        np.testing.assert_array_equal(tensors[name], array)
        assert (tensors[name].dtype, tensors[name].shape) == (array.dtype, array.shape)


def test_attributes_have_fixed_length_and_say_format_layout_and_digest(model_file):
    with h5py.File(model_file) as file:
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


def test_the_manifest_is_canonical_json_that_lists_every_tensor_with_its_digest(model_file, saved_tensors):
    with h5py.File(model_file) as file:
        content = file["manifest"][...].tobytes()
    manifest = json.loads(content)
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert content == canonical.encode("ascii")
    assert manifest["tensors"][KERNEL] == {
        "dtype": "<f4",
        "shape": [2, 3],
        "sha256": hashlib.sha256(saved_tensors[KERNEL].tobytes()).hexdigest(),
    }


def test_every_dataset_is_contiguous_little_endian_and_unfiltered_and_every_link_is_hard(model_file, saved_tensors):
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

    with h5py.File(model_file) as file:
        file.visititems(visit)
    assert sorted(found) == sorted(["manifest", *saved_tensors])


def test_tensors_are_aligned_so_that_they_can_be_mapped(model_file, saved_tensors):
    with h5py.File(model_file) as file:
        for name, array in saved_tensors.items():
            if array.size:
                assert file[name].id.get_offset() % 64 == 0


def test_a_manifest_may_be_longer_than_an_attribute(tmp_path):
    text = "x" * 200_000
    write_model_file(tmp_path / "model.h5", {"text": text}, {})
    with ModelFile(tmp_path / "model.h5") as file:
        assert file.manifest["text"] == text


def test_big_endian_strided_and_read_only_arrays_are_written_as_they_read(tmp_path, saved_tensors):
    kernel = saved_tensors[KERNEL].astype(">f4")[:, ::-1]
    kernel.flags.writeable = False
    write_model_file(tmp_path / "model.h5", {}, {KERNEL: kernel, "weights/t": np.asfortranarray(saved_tensors[KERNEL])})
    with ModelFile(tmp_path / "model.h5") as file:
        np.testing.assert_array_equal(file.read(KERNEL), saved_tensors[KERNEL][:, ::-1])
        assert file.read(KERNEL).dtype.str == "<f4"
        np.testing.assert_array_equal(file.read("weights/t"), saved_tensors[KERNEL])


EXTREMES = {
    "bool": [False, True],
    "float16": [-65504, 6e-8, 0.1, np.inf, np.nan],
    "float32": [3.4e38, 1e-45, np.nan],
    "float64": [1.7e308, 5e-324, np.nan],
    **{name: [np.iinfo(name).min, 1, np.iinfo(name).max] for name in ("int8", "int16", "int32", "int64")},
    **{name: [0, 1, np.iinfo(name).max] for name in ("uint8", "uint16", "uint32", "uint64")},
}


@pytest.mark.parametrize("dtype", EXTREMES)
def test_arrays_of_other_dtypes_are_stored_as_one_of_four_and_come_back_as_they_were(tmp_path, dtype):
    array = np.array(EXTREMES[dtype], dtype)
    write_model_file(tmp_path / "model.h5", {}, {"records/a": array})
    with h5py.File(tmp_path / "model.h5") as file:
        assert file["records/a"].dtype.name in {"float32", "float64", "uint8", "int64"}
    with ModelFile(tmp_path / "model.h5") as file:
        again = file.read("records/a")
        assert file.manifest["tensors"]["records/a"].get("original", again.dtype.name) == dtype
    assert again.dtype == array.dtype
    assert again.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", ["complex64", "object", "U3", "datetime64[s]", "longdouble", "i4,f4"])
def test_other_dtypes_are_refused_before_anything_is_written(model_file, dtype):
    before = model_file.read_bytes()
    with pytest.raises(
        UsageError, match=r"a model file\['weights/a'\]: expected an array of float16, .*received one of"
    ):
        write_model_file(model_file, {}, {"weights/a": np.zeros(3, dtype)})
    assert model_file.read_bytes() == before


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/.", "a/..", "a\0b", "a b", "größe", "-a", "a\n", "a" * 256, 5])
def test_names_outside_the_plain_pattern_are_refused(name):
    with pytest.raises(UsageError, match=r"^records: expected names of letters, digits, '_', '-' and '.', received"):
        check_tensors({name: np.zeros(1)}, "records")


def test_more_axes_than_hdf5_has_are_refused(tmp_path):
    check_tensors({"a": np.zeros((1,) * 32)}, "records")
    with pytest.raises(UsageError, match=r"records\['a'\]: expected at most 32 axes, received 33"):
        check_tensors({"a": np.zeros((1,) * 33)}, "records")


@pytest.mark.parametrize("names", [["a", "a/b"], ["a/b/c", "a/b"], ["manifest"], ["manifest/a"]])
def test_names_that_stand_in_each_other_s_way_are_refused_before_anything_is_written(tmp_path, names):
    with pytest.raises(UsageError, match=r"a model file: expected a place for '.*' that is not another one's"):
        write_model_file(tmp_path / "model.h5", {}, {name: np.zeros(1) for name in names})
    assert os.listdir(tmp_path) == []


def test_paths_have_as_many_names_as_are_read_again(tmp_path):
    write_model_file(tmp_path / "model.h5", {}, {"a/b/c/d/e/f/g/h": np.zeros(1)})
    with ModelFile(tmp_path / "model.h5") as file:
        assert file.shape("a/b/c/d/e/f/g/h") == (1,)
    with pytest.raises(UsageError, match="expected names of at most 8 parts"):
        write_model_file(tmp_path / "model.h5", {}, {"a/b/c/d/e/f/g/h/i": np.zeros(1)})


@pytest.mark.parametrize(("groups", "count"), [(1, 1), (1, 8), (1, 9), (1, 1000), (20, 20), (3, 200)])
def test_groups_may_have_any_number_of_names_at_every_level(tmp_path, groups, count):
    names = [f"weights/layer_{layer}/{'x' * (index % 50)}_{index}" for layer in range(groups) for index in range(count)]
    write_model_file(tmp_path / "model.h5", {}, dict.fromkeys(names, np.zeros(1)))
    with ModelFile(tmp_path / "model.h5") as file:
        assert sorted(file.paths("weights")) == sorted(name.removeprefix("weights/") for name in names)


@pytest.mark.parametrize(
    "value", [10**100, functools.reduce(lambda inner, _: [inner], range(64), [])], ids=["digits", "depth"]
)
def test_a_manifest_that_would_not_be_read_again_is_not_written(tmp_path, value):
    with pytest.raises(UsageError, match="a model file: /manifest: "):
        write_model_file(tmp_path / "model.h5", {"value": value}, {})
    assert os.listdir(tmp_path) == []


def test_a_manifest_that_is_too_large_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="a model file: expected a manifest of at most 1000 bytes, received 10"):
        write_model_file(tmp_path / "model.h5", {"value": "x" * 1000}, {})
    assert os.listdir(tmp_path) == []


def test_two_files_of_the_same_content_have_the_same_bytes(model_file, tmp_path, saved_manifest, saved_tensors):
    write_model_file(
        tmp_path / "other.h5", dict(reversed(saved_manifest.items())), dict(reversed(saved_tensors.items()))
    )
    assert (tmp_path / "other.h5").read_bytes() == model_file.read_bytes()
    write_model_file(model_file, saved_manifest, saved_tensors)
    assert (tmp_path / "other.h5").read_bytes() == model_file.read_bytes()


@pytest.mark.parametrize("name", ["n" * 255, "ö" * 120 + ".h5"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name, saved_manifest, saved_tensors):
    for _ in range(2):
        write_model_file(tmp_path / name, saved_manifest, saved_tensors)
    with ModelFile(tmp_path / name) as file:
        file.verify()
    assert os.listdir(tmp_path) == [name]


def test_a_symbolic_link_is_followed_and_stays(model_file, tmp_path):
    (tmp_path / "folder").mkdir()
    target = model_file.rename(tmp_path / "folder" / "real.h5")
    link = tmp_path / "link.h5"
    link.symlink_to(target)
    write_model_file(link, {"new": 1}, {})
    assert link.is_symlink()
    with ModelFile(target) as file:
        assert file.manifest["new"] == 1
    assert os.listdir(tmp_path / "folder") == ["real.h5"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "to_pipe").symlink_to("pipe")
    before = sorted((path.name, path.lstat().st_ino) for path in tmp_path.iterdir())
    for name in ("folder", "pipe", "loop", "to_pipe", "a\0b"):
        with pytest.raises(ModelFileError) as error:
            write_model_file(tmp_path / name, {}, {})
        assert (error.value.code, error.value.where) == ("E_WRITE", "the path")
    assert sorted((path.name, path.lstat().st_ino) for path in tmp_path.iterdir()) == before


def test_more_tensors_than_are_read_again_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "MOST_TENSORS", 3)
    tensors = {f"records/{number}": np.zeros(1) for number in range(4)}
    with pytest.raises(UsageError, match="expected at most 3 tensors, received 4"):
        write_model_file(tmp_path / "model.h5", {}, tensors)
    assert os.listdir(tmp_path) == []


def test_the_permissions_of_a_file_that_is_replaced_are_kept(model_file, saved_manifest):
    model_file.chmod(0o640)
    write_model_file(model_file, saved_manifest, {})
    assert stat.S_IMODE(model_file.stat().st_mode) == 0o640


def test_a_file_that_only_its_owner_may_read_is_never_open_to_others_while_it_is_replaced(
    model_file, monkeypatch, saved_manifest
):
    model_file.chmod(0o400)
    modes, replace = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (modes.append(os.fstat(descriptor)), replace(descriptor)))
    write_model_file(model_file, saved_manifest, {})
    assert stat.S_IMODE(modes[0].st_mode) == 0o400


def test_saving_leaves_the_umask_of_the_process_alone_for_other_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    write_model_file(tmp_path / "model.h5", {}, {})


def test_a_new_file_gets_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_model_file(tmp_path / "model.h5", {}, {})
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "model.h5").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("where", ["nowhere/model.h5", "", "folder"])
def test_what_cannot_be_written_is_an_error_that_names_it_and_leaves_nothing(
    tmp_path, monkeypatch, where, saved_manifest, saved_tensors
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelFileError, match=rf"^{where}: the path: .* \[E_WRITE\]$") as error:
        write_model_file(where, saved_manifest, saved_tensors)
    assert (error.value.path, error.value.code) == (where, "E_WRITE")
    assert os.listdir(tmp_path) == ["folder"]
    assert os.listdir(tmp_path / "folder") == []


def test_a_value_that_json_lacks_leaves_the_old_file(model_file, saved_tensors):
    before = model_file.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_model_file(model_file, {"number": float("nan")}, saved_tensors)
    assert model_file.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file size")
@pytest.mark.parametrize("limit", [0, 1000, 100_000, 790_000])
def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_other(model_file, limit, run_python):
    """A real full disk, as far as the process can tell: the system refuses to let any file grow beyond the limit."""
    before = model_file.read_bytes()
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
    completed = run_python(code, model_file, limit)
    assert completed.stdout == f"{model_file}: the path: File too large [E_WRITE]\n", completed.stderr
    assert model_file.read_bytes() == before
    assert os.listdir(model_file.parent) == [model_file.name]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_file(model_file):
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
            [sys.executable, "-c", textwrap.dedent(code), str(model_file)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(delay)
        finally:
            process.kill()
            process.communicate()
        with ModelFile(model_file) as file:
            for name in file.manifest["tensors"]:
                file.read(name)
