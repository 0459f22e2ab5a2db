"""What happens to model files when something goes wrong: kills, full disks, writers and readers that meet."""

from __future__ import annotations

import _thread
import contextlib
import errno
import hashlib
import io
import json
import os
import random
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import microframe
from microframe import Model, ModelFileError, UsageError
from microframe.storage import ModelFile, Refused, write_model_file
from microframe.storage.manifest import MOST_VALUES, decode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and forks")

KERNEL = "weights/dense_1/kernel"
VERSIONS = """
import numpy as np

def version(number):
    # tensors that differ in each byte between versions, enough of them that saving takes a while
    tensors = {f"weights/layer_{index}/kernel": np.full(5000, number, np.float32) for index in range(20)}
    return {"version": number}, tensors
"""


def version(number):
    """The manifest and the tensors of a file of this number, as `VERSIONS` makes them for other processes."""
    content = {}
    exec(VERSIONS, content)
    return content["version"](number)


def script(code):
    return VERSIONS + textwrap.dedent(code)


@pytest.fixture
def path(tmp_path):
    """A file of version 0, alone in its folder."""
    path = tmp_path / "folder" / "model.h5"
    path.parent.mkdir()
    write_model_file(path, *version(0))
    return path


@pytest.fixture
def bytes_of(tmp_path):
    """Gives the bytes that a version is saved as."""

    def bytes_of(number):
        write_model_file(tmp_path / "other.h5", *version(number))
        return (tmp_path / "other.h5").read_bytes()

    return bytes_of


@contextlib.contextmanager
def running(code, *arguments):
    """A process that runs `code`, with pipes to speak with it."""
    command = [sys.executable, "-c", script(code), *map(str, arguments)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


KILLED = """
    import os, signal, sys, time
    import h5py
    from microframe.storage import write_model_file

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            while True:
                for number in (1, 2):
                    write_model_file(sys.argv[1], *version(number))
        time.sleep(float(line))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(flush=True)
"""


def kill_while_saving(path, bytes_of, trials):
    """Kill a process at random moments while it saves one version over another, `trials` times."""
    whole = {bytes_of(number) for number in range(3)}
    rng, begun = random.Random(0), 0
    with running(KILLED, path) as process:
        for _ in range(trials):
            process.stdin.write(f"{rng.random() * 0.03}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "\n"
            assert path.read_bytes() in whole
            left = set(os.listdir(path.parent)) - {path.name}
            assert len(left) <= 1, "each save removes what an earlier one left"
            begun += len(left)
    print(f"{trials} kills, {begun} of which left a temporary file")
    assert begun > trials / 10, "hardly a save was interrupted"
    write_model_file(path, *version(1))
    assert os.listdir(path.parent) == [path.name]


def test_a_process_that_is_killed_while_it_saves_leaves_one_whole_file(path, bytes_of):
    kill_while_saving(path, bytes_of, 60)


@pytest.mark.fuzz
def test_so_does_one_of_hundreds(path, bytes_of):
    kill_while_saving(path, bytes_of, 500)


@pytest.mark.parametrize(("count", "size"), [(2, 40_000), (300, 250)])
def test_a_full_disk_leaves_the_old_file_and_the_process(path, run_python, count, size):
    """As full as a process can see: the system lets no file grow beyond a limit, which lies anywhere in the file."""
    code = """
        import json, os, resource, signal, sys
        import numpy as np
        from microframe import ModelFileError
        from microframe.storage import write_model_file

        path, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
        tensors = {f"weights/layer_{index}/kernel": np.ones(size, np.float32) for index in range(count)}
        write_model_file(path + ".measured", {}, tensors)
        whole = os.path.getsize(path + ".measured")
        os.unlink(path + ".measured")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        found = []
        for limit in (0, 1, 47, 48, 100, 1000, *(whole * part // 20 for part in range(1, 20)), whole - 300, whole - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            try:
                write_model_file(path, {}, tensors)
                found.append(f"{limit} of {whole} bytes are enough")
            except ModelFileError as error:
                found.append(error.code)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        print(json.dumps(found))
    """
    before = path.read_bytes()
    completed = run_python(code, path, count, size)
    assert completed.returncode == 0, completed.stderr
    assert set(json.loads(completed.stdout)) == {"E_WRITE"}
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("function", ["fsync", "fdatasync", "replace", "open"])
def test_a_system_that_fails_at_the_end_leaves_the_old_file(path, monkeypatch, function):
    if not hasattr(os, function):
        pytest.skip("this system has none")
    before = path.read_bytes()

    def fail(*arguments, **options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("microframe.storage.stream._SYNCED", 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, function, fail)
        with pytest.raises(ModelFileError, match="Input/output error") as error:
            write_model_file(path, *version(1))
    assert error.value.code == "E_WRITE"
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("at", [0, 1, 5, 21, 30])
def test_an_interrupt_while_bytes_are_written_leaves_the_old_file(path, monkeypatch, at):
    before, calls = path.read_bytes(), []

    class Interrupted(io.FileIO):
        def write(self, data):
            calls.append(data)
            if len(calls) == at + 1:
                raise KeyboardInterrupt
            return super().write(data)

    monkeypatch.setattr(os, "fdopen", lambda descriptor, *arguments, **options: Interrupted(descriptor, "w+b"))
    with pytest.raises(KeyboardInterrupt):
        write_model_file(path, *version(1))
    assert len(calls) == at + 1
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_where_no_thread_can_be_started_files_are_saved_and_read_without(tmp_path, monkeypatch):
    tensors = {f"weights/layer_{index}/kernel": np.full(2**17, index, np.float32) for index in range(40)}
    write_model_file(tmp_path / "threads.h5", {}, tensors)

    def refuse(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    write_model_file(tmp_path / "none.h5", {}, tensors)
    assert (tmp_path / "none.h5").read_bytes() == (tmp_path / "threads.h5").read_bytes()
    with ModelFile(tmp_path / "none.h5") as file:
        arrays = {name: np.empty_like(array) for name, array in tensors.items()}
        file.read_into(arrays)
    assert all(np.array_equal(arrays[name], array) for name, array in tensors.items())


def test_a_manifest_of_values_that_would_take_much_more_memory_than_itself_is_neither_read_nor_written(path):
    before = path.read_bytes()
    with pytest.raises(Refused, match="E_MANIFEST_SIZE"):
        decode(b'{"a":[' + b"[]," * MOST_VALUES + b"[]]}")
    with pytest.raises(UsageError, match="a model file: "):
        write_model_file(path, {"a": [[]] * MOST_VALUES}, {})
    assert path.read_bytes() == before


def test_mode_and_symbolic_link_survive_a_save_that_fails_and_one_that_does_not(path, tmp_path, monkeypatch):
    link = tmp_path / "link.h5"
    link.symlink_to(path)
    path.chmod(0o604)
    with monkeypatch.context() as patched:
        patched.setattr("microframe.storage.writing._write", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_model_file(link, *version(1))
    for number in (0, 1):
        assert link.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
        with ModelFile(link) as file:
            assert file.manifest["version"] == number
        write_model_file(link, *version(1))


CHANGES = {
    "overwritten": lambda file, size: (file.seek(size // 2), file.write(b"\xff" * 4096)),
    "cut short": lambda file, size: file.truncate(size // 2),
    "emptied": lambda file, size: file.truncate(0),
    "made longer": lambda file, size: file.truncate(size + 64),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_changed_while_it_is_open_is_refused(path, change):
    with ModelFile(path) as file:
        time.sleep(
            0.02
        )  # a change at the very tick of the clock at which the file was written leaves its time as it was
        with path.open("r+b") as other:
            CHANGES[change](other, path.stat().st_size)
        with pytest.raises(ModelFileError) as error:
            file.verify()
    assert error.value.code in {"E_CHANGED", "E_DIGEST", "E_NONFINITE"}


def test_a_file_that_is_replaced_while_it_is_open_is_read_as_it_was(path):
    with ModelFile(path) as file:
        write_model_file(path, *version(1))
        assert not file.read("weights/layer_0/kernel").any()


def test_a_file_that_another_process_writes_in_place_is_one_version_or_refused(path, tmp_path, bytes_of):
    """Which nobody should do, but a copy over the network does."""
    (tmp_path / "1.h5").write_bytes(bytes_of(1))
    (tmp_path / "0.h5").write_bytes(path.read_bytes())
    code = """
        import random, sys
        contents = [open(f"{sys.argv[2]}/{number}.h5", "rb").read() for number in (0, 1)]
        rng = random.Random(0)
        print(flush=True)
        while True:
            with open(sys.argv[1], "r+b", buffering=0) as file:
                content = rng.choice(contents)
                if rng.random() < 0.3:
                    file.truncate(rng.randrange(len(content)))
                for start in range(0, len(content), 8192):
                    file.write(content[start : start + 8192])
    """
    outcomes = []
    with running(code, path, tmp_path) as process:
        process.stdout.readline()
        for _ in range(300):
            try:
                with ModelFile(path) as file:
                    tensors = {name: np.empty(5000, np.float32) for name in file.manifest["tensors"]}
                    file.read_into(tensors)
                assert {value for array in tensors.values() for value in array} == {file.manifest["version"]}
                outcomes.append("read")
            except ModelFileError as error:
                outcomes.append(error.code)
    assert set(outcomes) != {"read"}


@pytest.fixture
def model():
    return Model([{"type": "dense", "units": 40}]).build((30,))


X = np.random.default_rng(0).random((5, 30), np.float32)


def test_a_mapped_model_keeps_its_weights_while_its_file_is_replaced(tmp_path, model):
    model.save(tmp_path / "model.h5")
    mapped = microframe.load(tmp_path / "model.h5", mmap=True)
    before = model(X)
    for seed in range(3):
        Model(model.layers).build((30,), seed=seed + 1).save(tmp_path / "model.h5")
        np.testing.assert_array_equal(mapped(X), before)
    assert not np.array_equal(microframe.load(tmp_path / "model.h5")(X), before)
    (tmp_path / "model.h5").unlink()
    np.testing.assert_array_equal(mapped(X), before)


def test_a_mapped_model_is_saved_over_the_file_that_it_is_mapped_from(tmp_path, model):
    model.save(tmp_path / "model.h5")
    before = (tmp_path / "model.h5").read_bytes()
    mapped = microframe.load(tmp_path / "model.h5", mmap=True)
    mapped.save(tmp_path / "model.h5")
    assert (tmp_path / "model.h5").read_bytes() == before
    np.testing.assert_array_equal(mapped(X), model(X))


READERS = """
    import os, random, sys, time
    import h5py
    from microframe.storage import ModelFile, write_model_file

    def read(path):
        with ModelFile(path) as file:
            _, expected = version(file.manifest["version"])
            tensors = {name: np.empty(5000, np.float32) for name in file.manifest["tensors"]}
            file.read_into(tensors)
        assert tensors.keys() == expected.keys()
        assert all(np.array_equal(tensors[name], expected[name]) for name in expected)

    def is_over(end):
        try:
            return os.read(end, 1) == b""
        except BlockingIOError:
            return False

    end, writing = os.pipe()
    os.set_blocking(end, False)
    readers = []
    for _ in range(8):
        readers.append(os.fork())
        if readers[-1] == 0:
            os.close(writing)
            try:
                read(sys.argv[1])
                while not is_over(end):
                    time.sleep(random.random() * 0.04)
                    read(sys.argv[1])
                os._exit(0)
            finally:
                os._exit(1)
    for number in range(1, 101):
        write_model_file(sys.argv[1], *version(number))
    os.close(writing)
    print([os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) for reader in readers])
"""


def test_readers_meet_one_version_whole_while_a_writer_replaces_the_file(path, run_python):
    completed = run_python(script(READERS), path)
    assert completed.stdout == f"{[0] * 8}\n", completed.stderr
    assert os.listdir(path.parent) == [path.name]


SAVED = """
    import hashlib, sys
    import numpy as np
    from microframe import Model
    from microframe.storage import write_model_file

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), np.array(["a", "b"])[rng.integers(2, size=40)]
    model = Model(["standardize", {"type": "dense", "units": 2, "activation": "softmax"}])
    model.fit(x, y, loss="cross_entropy", optimizer="adam", epochs=2, validation=0.2, metrics=["accuracy"])
    large = {f"weights/layer_{index}/kernel": np.full(2**20, index, np.float32) for index in range(5)}
    small = {f"weights/layer_{index}/kernel": np.full(9, index, np.float32) for index in range(1000)}
    for name, save in {
        "model": model.save,
        "again": model.save,
        "large": lambda path: write_model_file(path, {}, large),
        "small": lambda path: write_model_file(path, {}, small),
    }.items():
        save(f"{sys.argv[1]}/{name}.h5")
        with open(f"{sys.argv[1]}/{name}.h5", "rb") as file:
            print(hashlib.sha256(file.read()).hexdigest())
"""


def test_the_same_model_has_the_same_bytes_in_every_process(tmp_path, run_python):
    first = run_python(SAVED, tmp_path)
    time.sleep(1.1)  # seconds are what HDF5 would note
    second = run_python(SAVED, tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    model, again, *_ = first.stdout.split()
    assert model == again == hashlib.sha256(Path(tmp_path, "model.h5").read_bytes()).hexdigest()
