"""What a save asks of the system and of the HDF5 library, which no file shows until the power fails."""

from __future__ import annotations

import os
import runpy
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5f

from microframe import ModelFileError
from microframe.storage import ModelFile, write_model_file

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="locks, links and folders as POSIX has them"),
    pytest.mark.usefixtures("in_time"),
]


def save(path: Path, number: int) -> None:
    write_model_file(path, {"version": number}, {"weights/dense_1/kernel": np.full(2000, number, np.float32)})


def can_save(path: Path, number: int) -> bool:
    try:
        save(path, number)
    except ModelFileError:
        return False
    return True


def version(path: Path) -> int:
    """The version of a file that is whole."""
    with ModelFile(path) as file:
        file.verify()
        return int(file.manifest["version"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of version 0, alone in its folder."""
    path = tmp_path / "folder" / "model.h5"
    path.parent.mkdir()
    save(path, 0)
    return path


@pytest.mark.parametrize("is_new", [False, True], ids=["replaced", "new"])
@pytest.mark.parametrize("is_link", [False, True], ids=["path", "link"])
def test_the_content_is_durable_before_it_gets_its_name_and_the_name_before_the_save_ends(
    path, tmp_path, monkeypatch, is_new, is_link
):
    events: list[tuple[object, ...]] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        status = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(status.st_mode)
        content = sorted(os.listdir(descriptor)) if is_folder else os.pread(descriptor, status.st_size, 0)
        events.append(("fsync", status.st_ino, content))
        fsync(descriptor)

    def noted_replace(source, target):
        events.append(("replace", os.stat(source).st_ino, os.fspath(target)))
        replace(source, target)

    if is_link:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "link.h5").symlink_to(path)
    if is_new:
        path.unlink()
    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    save(tmp_path / "elsewhere" / "link.h5" if is_link else path, 1)
    file = path.stat().st_ino
    assert events == [
        ("fsync", file, path.read_bytes()),
        ("replace", file, str(path)),
        ("fsync", path.parent.stat().st_ino, [path.name]),
    ]


@pytest.mark.parametrize("exists", [True, False], ids=["file", "nothing"])
def test_a_link_that_lies_where_the_new_file_is_to_be_made_is_not_followed(path, tmp_path, monkeypatch, exists):
    """As if somebody had guessed the name: the link is there when the file is made, and not before."""
    victim, planted, create = tmp_path / "victim", [], os.open
    if exists:
        victim.write_bytes(b"precious" * 10_000)
        victim.chmod(0o640)

    def meddled(place, flags, *arguments, **options):
        if flags & os.O_CREAT and not planted:
            planted.append(Path(place))
            planted[0].symlink_to(victim)
        return create(place, flags, *arguments, **options)

    def is_untouched():
        if not exists:
            return not victim.exists()
        return victim.read_bytes() == b"precious" * 10_000 and stat.S_IMODE(victim.stat().st_mode) == 0o640

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", meddled)
        is_saved = can_save(path, 1)
    assert [place.parent for place in planted] == [path.parent], "which is where others may plant links"
    assert is_untouched()
    assert not path.is_symlink()
    assert version(path) == (1 if is_saved else 0)
    save(path, 2)
    assert (version(path), is_untouched()) == (2, True)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_from_its_first_moment_on_the_new_file_is_open_to_nobody_to_whom_the_old_one_is_not(path, monkeypatch, mode):
    path.chmod(mode)
    modes, create = [], os.open

    def noted(place, flags, *arguments, **options):
        descriptor = create(place, flags, *arguments, **options)
        if flags & os.O_CREAT:
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    before = os.umask(0)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", noted)
            save(path, 1)
    finally:
        os.umask(before)
    assert modes
    assert not any(found & 0o077 & ~mode for found in modes), [oct(found) for found in modes]
    assert stat.S_IMODE(path.stat().st_mode) == mode


HELD = """
    import os, sys
    from pathlib import Path
    import numpy as np
    from microframe.storage import write_model_file

    fsync = os.fsync

    def wait(descriptor):
        os.fsync = fsync
        print("held", flush=True)
        sys.stdin.readline()
        fsync(descriptor)

    os.fsync = wait
    write_model_file(sys.argv[1], {"version": 1}, {"weights/dense_1/kernel": np.ones(2000, np.float32)})
    print("saved", flush=True)
"""


@contextmanager
def held_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that saves version 1, and on its way to the disk waits for the end of the block."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(HELD), str(path)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield
            assert process.communicate("\n") == ("saved\n", "")
        finally:
            process.kill()


@contextmanager
def held_thread(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same with a thread of this process."""
    fsync, held, released = os.fsync, threading.Event(), threading.Event()

    def wait(descriptor):
        if threading.current_thread().name.startswith("held"):
            held.set()
            assert released.wait(30)
        fsync(descriptor)

    with monkeypatch.context() as patched, ThreadPoolExecutor(1, "held") as pool:
        patched.setattr(os, "fsync", wait)
        saving = pool.submit(save, path, 1)
        try:
            assert held.wait(30)
            yield
        finally:
            released.set()
        saving.result(30)


@pytest.mark.parametrize("held", [held_process, held_thread], ids=["process", "thread"])
def test_two_that_save_to_one_path_at_a_time_both_succeed_and_leave_one_whole_file(path, monkeypatch, held):
    with held(path, monkeypatch):
        left = set(os.listdir(path.parent)) - {path.name}
        save(path, 2)
        assert version(path) == 2
        assert set(os.listdir(path.parent)) == {path.name, *left}
        assert len(left) == 1, "the file of the one that waits, which nobody may take for a stale one"
    assert version(path) == 1, "the last to finish"
    assert os.listdir(path.parent) == [path.name]


def test_a_new_file_that_another_save_removes_before_it_is_locked_is_made_again(path, monkeypatch):
    create, others = os.open, []

    def interrupted(place, flags, *arguments, **options):
        descriptor = create(place, flags, *arguments, **options)
        if flags & os.O_CREAT and not others:
            others.append(place)
            save(path, 2)
        return descriptor

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", interrupted)
        save(path, 1)
    assert len(others) == 1
    assert version(path) == 1
    assert os.listdir(path.parent) == [path.name]


@pytest.fixture
def many_kinds(tmp_path: Path) -> Path:
    """A file with datasets of every type, of several ranks, empty ones, and a group of many."""
    kinds: dict[str, Any] = {
        **{f"weights/dense_1/{dtype}": np.ones((2, 3), dtype) for dtype in ("float32", "float64")},
        **{f"records/{dtype}": np.ones(5, dtype) for dtype in ("uint8", "int64", "bool", "float16")},
        **{f"optimizer/slots/{number}": np.ones(3) for number in range(20)},
        "records/scalar": np.ones(()),
        "records/empty": np.ones((0, 4)),
    }
    write_model_file(tmp_path / "kinds.h5", {}, kinds)
    return tmp_path / "kinds.h5"


def test_every_dataset_takes_its_place_at_once_and_is_never_filled(many_kinds):
    found = {}

    def visit(name, node):
        if isinstance(node, h5py.Dataset):
            creation = node.id.get_create_plist()
            found[name] = creation.get_alloc_time(), creation.get_fill_time(), creation.get_obj_track_times()

    with h5py.File(many_kinds) as file:
        file.visititems(visit)
    assert len(found) == 29
    assert set(found.values()) == {(h5d.ALLOC_TIME_EARLY, h5d.FILL_TIME_NEVER, False)}


def test_the_library_writes_the_versions_that_the_format_has_and_no_later_ones(many_kinds):
    """Whatever library comes: the bounds are those of 1.10, and what these mean is looked at in the bytes."""
    content = runpy.run_path(str(Path(__file__).parent / "mutations" / "blocks.py"))
    data = many_kinds.read_bytes()
    blocks = content["Blocks"](data)
    kinds = content["MESSAGES"]
    assert (data[8], {data[block.start + 4] for block in blocks.blocks if block.kind == "header"}) == (3, {2})
    versions: dict[str, set[int]] = {}
    for message in blocks.messages:
        first = data[message.body]
        versions.setdefault(kinds[message.kind], set()).add(first >> 4 if kinds[message.kind] == "datatype" else first)
    del versions["continuation"]  # which has none
    assert versions.pop("datatype") <= {1, 2, 3}
    assert versions.pop("layout") <= {3, 4}
    assert versions == {
        "dataspace": {2},
        "link_info": {0},
        "fill_value": {3},
        "link": {1},
        "group_info": {0},
        "attribute": {3},
        "attribute_info": {0},
    }


def test_the_library_is_bound_to_these_versions_and_to_the_alignment(path, monkeypatch):
    create, found = h5f.create, []

    def noted(name, flags, fcpl=None, fapl=None):
        found.append((fapl.get_libver_bounds(), fapl.get_alignment(), fcpl.get_userblock()))
        return create(name, flags, fcpl=fcpl, fapl=fapl)

    monkeypatch.setattr(h5f, "create", noted)
    save(path, 1)
    assert found == [((h5f.LIBVER_V110, h5f.LIBVER_V110), (1, 64), 0)]


def test_a_new_file_that_another_save_takes_for_a_stale_one_is_made_again(path, monkeypatch):
    """The other locks it before the one that made it can, and removes it only later."""
    create, unlink, fsync = os.open, os.unlink, os.fsync
    locked, removed, goes_on = threading.Event(), threading.Event(), threading.Event()
    others = []

    def is_other():
        return threading.current_thread().name.startswith("other")

    def interrupted(place, flags, *arguments, **options):
        descriptor = create(place, flags, *arguments, **options)
        if flags & os.O_CREAT and not is_other() and not others:
            others.append(pool.submit(save, path, 2))
            assert locked.wait(30)
        return descriptor

    def late(place, *arguments, **options):
        is_stale = is_other() and str(place).endswith(".tmp")
        if is_stale:
            locked.set()
            goes_on.wait(5)
        unlink(place, *arguments, **options)
        if is_stale:
            removed.set()

    def waiting(descriptor):
        if not is_other():
            goes_on.set()
            assert removed.wait(10)
        fsync(descriptor)

    with monkeypatch.context() as patched, ThreadPoolExecutor(1, "other") as pool:
        patched.setattr(os, "open", interrupted)
        patched.setattr(os, "unlink", late)
        patched.setattr(os, "fsync", waiting)
        try:
            save(path, 1)
        finally:
            goes_on.set()
        others[0].result(30)
    with ModelFile(path) as file:
        file.verify()
        assert file.manifest["version"] in (1, 2)
    assert os.listdir(path.parent) == [path.name]
