from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import microframe
from microframe import Model, ModelFileError, load
from microframe.standard.layers import Dense
from microframe.storage import ModelFile, isolation, write_model_file
from microframe.storage.isolation import read_in_isolation

on_posix = pytest.mark.skipif(os.name != "posix", reason="the interpreter is replaced by a shell script")


@pytest.fixture
def interpreter(tmp_path, monkeypatch):
    """Puts a shell script in the place of the interpreter that is started; gives what it is called with, "$@"."""

    def replace(script: str) -> None:
        path = tmp_path / "interpreter"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(stat.S_IRWXU)
        monkeypatch.setattr(sys, "executable", str(path))

    return replace


def code_of(path: Path, **options: object) -> str:
    with pytest.raises(ModelFileError) as error:
        read_in_isolation(path, **options)
    assert error.value.path == path
    return error.value.code


def found_in(path: Path) -> str:
    """What is said of a process that did not answer."""
    with pytest.raises(ModelFileError) as error:
        read_in_isolation(path)
    assert error.value.code == "E_ISOLATED"
    return error.value.found


def test_a_valid_file_gives_the_digest_of_its_bytes(model_file):
    assert read_in_isolation(model_file) == hashlib.sha256(model_file.read_bytes()).hexdigest()


def test_a_model_that_was_read_in_isolation_is_the_one_in_the_file(tmp_path):
    model = Model([Dense(3)]).build((2,))
    model.save(tmp_path / "model.h5")
    x = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(load(tmp_path / "model.h5", isolate=True).predict(x), model.predict(x))


def flip(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE = {
    "empty": lambda content: b"",
    "of another format": lambda content: b"layers = []",
    "cut off": lambda content: content[:-1],
    "with more behind": lambda content: content + b"x",
    "with a flipped bit in a tensor": lambda content: flip(content, content.index(np.arange(5).tobytes()) + 8),
    "with a flipped bit in the manifest": lambda content: flip(content, content.index(b'"shape"')),
    "with another layout": lambda content: flip(content, 8),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_is_refused_for_the_reason_that_the_reader_has(model_file, damage):
    model_file.write_bytes(DAMAGE[damage](model_file.read_bytes()))
    with pytest.raises(ModelFileError) as expected, ModelFile(model_file) as file:
        file.verify()
    with pytest.raises(ModelFileError) as received:
        read_in_isolation(model_file)
    assert (received.value.code, str(received.value)) == (expected.value.code, str(expected.value))
    assert received.value.code != "E_ISOLATED"


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    assert code_of(tmp_path / "none.h5") == "E_NOT_FOUND"
    assert code_of(tmp_path) == "E_NOT_A_FILE"


@on_posix
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert code_of(tmp_path / "pipe") == "E_NOT_A_FILE"


def test_what_the_caller_asks_for_is_asked_of_the_other_process(tmp_path):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {"weights/a/b": np.array([np.nan])})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert code_of(path) == "E_NONFINITE"
    assert code_of(path, sha256="0" * 64, allow_nonfinite=True) == "E_FILE_DIGEST"
    assert read_in_isolation(path, sha256=digest, allow_nonfinite=True) == digest


def test_every_tensor_is_checked_also_those_that_loading_leaves_alone(model_file):
    records = np.arange(5, dtype=np.int64).tobytes()
    content = model_file.read_bytes()
    model_file.write_bytes(content.replace(records, records[::-1]))
    assert code_of(model_file) == "E_DIGEST"


def test_no_other_bytes_are_loaded_than_those_that_were_read_first(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    Model([Dense(3)]).build((2,)).save(path)

    def read_and_exchange(*arguments, **options):
        digest = read_in_isolation(*arguments, **options)
        Model([Dense(3)]).build((2,), seed=1).save(path)
        return digest

    monkeypatch.setattr(isolation, "read_in_isolation", read_and_exchange)
    with pytest.raises(ModelFileError) as error:
        load(path, isolate=True)
    assert error.value.code == "E_FILE_DIGEST"


def test_a_process_that_takes_too_long_is_ended(model_file, monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS", 0.001)
    assert found_in(model_file).startswith("no end after 0.001")


@on_posix
def test_the_time_limit_ends_a_process_that_does_nothing(model_file, monkeypatch, interpreter):
    monkeypatch.setattr(isolation, "SECONDS", 0.2)
    interpreter("exec sleep 60")
    assert found_in(model_file).startswith("no end after 0.2")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_process_that_takes_too_much_memory_is_refused_it(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    write_model_file(path, {"lists": [[]] * 1_000_000}, {})
    read_in_isolation(path)
    monkeypatch.setattr(isolation, "MEMORY", 16 * 2**20)
    assert found_in(path) == "an end with code 1 (MemoryError)"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_no_tensor_needs_more_memory_than_the_file_has(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {"weights/a/b": np.ones(2**23), "weights/a/c": np.ones(2**23)})
    monkeypatch.setattr(isolation, "MEMORY", 64 * 2**20)
    read_in_isolation(path)


@on_posix
def test_a_process_that_is_killed_is_no_answer(model_file, interpreter):
    interpreter("kill -9 $$")
    assert found_in(model_file) == "killed by SIGKILL"


@on_posix
def test_a_process_that_ends_badly_is_told_by_its_last_words(model_file, interpreter):
    interpreter("echo first >&2; echo last >&2; exit 3")
    assert found_in(model_file) == "an end with code 3 (last)"


@on_posix
def test_a_process_that_says_nothing_is_no_answer(model_file, interpreter):
    interpreter("exit 0")
    assert found_in(model_file) == "an end without an answer"


@on_posix
def test_noise_on_the_output_is_not_taken_for_the_answer(model_file, interpreter):
    interpreter(f"printf 'welcome \\377'; {sys.executable} \"$@\"; code=$?; echo null; exit $code")
    assert read_in_isolation(model_file) == hashlib.sha256(model_file.read_bytes()).hexdigest()


@pytest.mark.parametrize("executable", ["", None, "/nowhere/python"])
def test_where_there_is_no_interpreter_to_start_nothing_is_read(model_file, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    assert found_in(model_file).startswith("no ")


def test_a_program_that_has_python_built_in_is_not_started_again(model_file, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert found_in(model_file).startswith("no Python to start")


FOLLOWED = """
    import os, sys
    os.environ |= {"PYTHONPATH": sys.argv[2], "PYTHONHOME": "/nowhere", "MICROFRAME_PLUGIN": "not_there"}
    from microframe.storage.isolation import read_in_isolation
    print(len(read_in_isolation(sys.argv[1])))
"""


def test_what_the_environment_adds_to_an_interpreter_does_not_reach_the_process(model_file, tmp_path, run_python):
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit('the environment was followed')")
    completed = run_python(FOLLOWED, model_file, tmp_path)
    assert (completed.stdout, completed.stderr) == ("64\n", "")


ELSEWHERE = """
    import sys
    sys.path.insert(0, sys.argv[2])
    from microframe.storage import isolation
    isolation._BEGIN += "import microframe; print(microframe.__file__, file=sys.stderr); raise SystemExit(1); "
    isolation.read_in_isolation(sys.argv[1])
"""


@pytest.mark.parametrize("archived", [False, True], ids=["in a folder", "in an archive"])
def test_the_package_is_found_where_this_process_found_it(model_file, tmp_path, run_python, archived):
    """Neither installed nor in the current folder: the path alone says where it is."""
    folder = tmp_path / "elsewhere"
    package = Path(microframe.__file__).parent
    shutil.copytree(package, folder / "microframe", ignore=shutil.ignore_patterns("__pycache__", "data"))
    place = Path(shutil.make_archive(str(tmp_path / "archive"), "zip", folder)) if archived else folder
    completed = run_python(ELSEWHERE, model_file, place)
    assert f"an end with code 1 ({place / 'microframe' / '__init__.py'}) [E_ISOLATED]" in completed.stderr


@pytest.fixture
def at_exit(model_file, monkeypatch):
    """Gives what the process that reads the file prints at its end, where that is an expression."""

    def run_with(expression: str) -> str:
        processes, run = [], subprocess.run

        def recorded(*words, **options):
            processes.append(run(*words, **options))
            return processes[-1]

        begin = f"{isolation._BEGIN}import atexit; atexit.register(lambda: print({expression})); "
        monkeypatch.setattr(isolation, "_BEGIN", begin)
        monkeypatch.setattr(subprocess, "run", recorded)
        read_in_isolation(model_file)
        (process,) = processes
        return process.stdout.partition(isolation._ANSWER)[2].partition("\n")[2]

    return run_with


def test_the_process_imports_neither_hdf5_nor_plugins_nor_the_rest_of_microframe(at_exit):
    modules = at_exit("*sys.modules").split()
    assert "microframe.storage.reading" in modules
    assert not {"h5py", "pluggy", "microframe.registry", "microframe.network"} & set(modules)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the limits")
def test_the_process_may_write_no_file_and_takes_little_of_the_machine(at_exit):
    lines = at_exit("open('/proc/self/limits').read()").splitlines()
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max cpu time"] == ["61", "61"]
    assert isolation.MEMORY < int(limits["Max address space"][1]) < isolation.MEMORY + 2**30


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_a_limit_that_was_there_before_is_not_raised(model_file, run_python):
    code = """
        import resource, sys
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        from microframe.storage import isolation
        isolation.MEMORY = 2**40
        print(len(isolation.read_in_isolation(sys.argv[1])))
    """
    completed = run_python(code, model_file)
    assert (completed.stdout, completed.stderr) == ("64\n", "")
