"""What is looked at, and what is left alone, when a file is opened, read and made into a model."""

from __future__ import annotations

import gc
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import microframe
from microframe import Initializer, Model, ModelFileError
from microframe.contents import Contents
from microframe.registry import registry
from microframe.standard.layers import Dense
from microframe.storage import Code, ModelFile, metadata, write_model_file

pytestmark = pytest.mark.usefixtures("in_time")
on_posix = pytest.mark.skipif(os.name != "posix", reason="pipes with names, and devices")

READS: dict[str, Callable[[Path], object]] = {
    "load": microframe.load,
    "mmap": lambda path: microframe.load(path, mmap=True),
    "contents": Contents,
}
EXCHANGES: dict[str, Callable[[Path], None]] = {
    "pipe": lambda path: os.mkfifo(path, 0o600),
    "folder": lambda path: path.mkdir(),
}


@pytest.fixture
def collected() -> Iterator[None]:
    """Before and after a test, no model is left that nobody uses: a file that one is mapped from counts as open."""
    gc.collect()
    yield
    gc.collect()


def descriptors() -> list[str] | None:
    return sorted(os.listdir("/proc/self/fd")) if sys.platform == "linux" else None


@pytest.mark.usefixtures("collected")
@on_posix
@pytest.mark.parametrize("kind", EXCHANGES)
@pytest.mark.parametrize("read", READS)
def test_what_takes_the_place_of_a_file_just_before_it_is_opened_is_looked_at_again(
    trained_file, monkeypatch, read, kind
):
    opened, really_open = [], os.open

    def exchanged(path, flags, *arguments, **options):
        assert flags & os.O_NONBLOCK, "which a pipe would let wait until somebody writes into it"
        opened.append(path)
        trained_file.unlink()
        EXCHANGES[kind](trained_file)
        return really_open(path, flags, *arguments, **options)

    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", exchanged)
        with pytest.raises(ModelFileError) as error:
            READS[read](trained_file)
    assert opened == [trained_file]
    assert (error.value.code, error.value.where) == ("E_NOT_A_FILE", "the path")
    assert descriptors() == before


@on_posix
@pytest.mark.parametrize("read", READS)
def test_what_is_no_file_is_not_even_opened(tmp_path, monkeypatch, read):
    """As opening a device may do something to it, and so may closing it."""
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "link.h5").symlink_to(tmp_path / "pipe.h5")
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("it was opened"))
    for path in (tmp_path / "pipe.h5", tmp_path / "link.h5", tmp_path, Path("/dev/zero")):
        with pytest.raises(ModelFileError) as error:
            READS[read](path)
        assert error.value.code == "E_NOT_A_FILE"


def metadata_of(path: Path) -> int:
    """The bytes of all blocks of metadata."""
    module = runpy.run_path(str(Path(__file__).parent / "mutations" / "blocks.py"))
    return sum(block.size for block in module["Blocks"](path.read_bytes()).blocks)


@pytest.mark.parametrize("count", [3, 100])
def test_the_metadata_of_a_file_together_have_a_limit(tmp_path, monkeypatch, count):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {f"weights/layer_{number}/kernel": np.ones(500) for number in range(count)})
    size = metadata_of(path)
    assert size < path.stat().st_size / 2, "so that it is not the size of the file that is the limit"
    monkeypatch.setattr(metadata, "MOST_METADATA", size)
    with ModelFile(path) as file:
        file.verify()
    monkeypatch.setattr(metadata, "MOST_METADATA", size - 1)
    with pytest.raises(ModelFileError, match="more metadata than") as error:
        ModelFile(path)
    assert error.value.code == "E_STRUCTURE"


def test_metadata_beyond_the_limit_are_not_read(tmp_path, monkeypatch):
    path = tmp_path / "model.h5"
    write_model_file(path, {}, {f"weights/layer_{number}/kernel": np.ones(2) for number in range(100)})
    read, taken = ModelFile._pread, []

    def noted(self, offset, size):
        taken.append(size)
        return read(self, offset, size)

    monkeypatch.setattr(metadata, "MOST_METADATA", 5000)
    monkeypatch.setattr(ModelFile, "_pread", noted)
    with pytest.raises(ModelFileError):
        ModelFile(path)
    assert sum(taken) < 3 * 5000


@pytest.fixture
def two_models(tmp_path: Path) -> tuple[Path, Path]:
    """The files of two models of one configuration and of the same size."""
    paths = tmp_path / "one.h5", tmp_path / "two.h5"
    for seed, path in enumerate(paths):
        Model([Dense(3, "relu"), Dense(1)]).build((2,), seed=seed).save(path)
    assert paths[0].stat().st_size == paths[1].stat().st_size
    return paths


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("is_given", [False, True], ids=["read", "given"])
def test_the_model_that_is_checked_is_that_of_the_file_whose_tensors_were(two_models, is_given):
    one, two = two_models
    digest = Contents(one).sha256
    contents = Contents(one, sha256=digest.upper() if is_given else None)
    contents.check_model()
    two.replace(one)
    with pytest.raises(ModelFileError) as error:
        contents.check_model()
    assert (error.value.path, error.value.code) == (one, "E_FILE_DIGEST")
    Contents(one).check_model()


@pytest.mark.usefixtures("collected")
def test_nor_may_it_have_changed_in_place(two_models):
    one, two = two_models
    contents, state = Contents(one), one.stat()
    one.write_bytes(two.read_bytes())
    os.utime(one, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(ModelFileError) as error:
        contents.check_model()
    assert error.value.code == "E_FILE_DIGEST"


ATTRIBUTES = {"format": 3, "layout": 0, "manifest_sha256": 3}
"""The class of the type of each: texts and a whole number."""


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_are_of_the_very_class_of_type_that_they_have_whatever_else_their_types_say(
    trained_file, trained_bytes, bytes_of, refused, name
):
    codes = {6: Code.COMPOUND, 7: Code.REFERENCE, 9: Code.VARIABLE_LENGTH}
    found = {}
    for kind in range(16):
        trained_file.write_bytes(trained_bytes)
        file = bytes_of(trained_file)
        places = [at for number, at, _ in file.messages("/") if number == 12]
        (place,) = (at for at in places if file.data[at + 9 :].startswith(name.encode() + b"\0"))
        datatype = place + 9 + int.from_bytes(file.data[place + 2 : place + 4], "little")
        own = file.data[datatype]
        file.put(datatype, "<B", own & 0xF0 | kind)
        file.save()
        if kind == ATTRIBUTES[name]:
            assert own & 15 == kind
            microframe.load(trained_file)
        else:
            found[kind] = refused(trained_file).code
    assert found == {kind: codes.get(kind, Code.ATTRIBUTE) for kind in found}
    assert len(found) == 15


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("options", [{}, {"mmap": True}, {"check": False}, {"isolate": True}], ids=str)
def test_a_file_is_loaded_without_its_initializers(tmp_path, options):
    filled: list[tuple[int, ...]] = []
    is_saved = False

    class Reluctant(Initializer):
        def fill(self, out, rng):
            filled.append(out.shape)
            assert not is_saved, "there is nothing to initialise"
            out.fill(1)

    path, x = tmp_path / "model.h5", np.ones((4, 2), np.float32)
    with registry.registered_locally(Reluctant):
        layer = Dense(3, kernel_initializer=Reluctant(), bias_initializer=Reluctant())
        model = Model([layer, layer]).build((2,))
        assert filled == [(2, 3), (3,), (3, 3), (3,)]
        model.save(path)
        filled.clear()
        is_saved = True
        loaded = microframe.load(path, **options)
        np.testing.assert_array_equal(loaded(x), model(x))
        np.testing.assert_array_equal(loaded.network.parameters, model.network.parameters)
        Contents(path).check_model()
    assert filled == []
