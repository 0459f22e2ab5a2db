"""Every reason to refuse a file, built from a valid one in which all else, checksums and digests too, is right."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

import microframe
from microframe import ModelFileError, UsageError
from microframe.storage import Code, ModelFile, isolation, write_model_file

pytestmark = pytest.mark.usefixtures("in_time")


def load_refusals():
    """The package beside this file, which is found by its path, as test folders are no packages."""
    folder = Path(__file__).parent / "refusals"
    specification = importlib.util.spec_from_file_location(
        "refusals", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    package = importlib.util.module_from_spec(specification)
    sys.modules["refusals"] = package
    specification.loader.exec_module(package)
    return package


refusals = load_refusals()
BEFORE_THE_MANIFEST, CASES, DATASPACE, KERNEL, LAYOUT, Valid = (
    refusals.cases.BEFORE_THE_MANIFEST,
    refusals.cases.CASES,
    refusals.cases.DATASPACE,
    refusals.cases.KERNEL,
    refusals.cases.LAYOUT,
    refusals.cases.Valid,
)
change = refusals.links.change
create, create_with, late = refusals.datasets.create, refusals.datasets.create_with, refusals.datasets.late
put, rewrite, written = refusals.manifests.put, refusals.manifests.rewrite, refusals.manifests.written
first_layer, put_tensor = refusals.tensors.first_layer, refusals.tensors.put_tensor


@pytest.fixture
def valid(trained_file, request):
    return Valid(trained_file, request)


EVERY_CASE = [*BEFORE_THE_MANIFEST, *CASES]


@pytest.mark.parametrize(("code", "build"), EVERY_CASE)
def test_it_is_refused_by_its_code_and_nothing_else_is_touched(code, build, valid, refused):
    path = build(valid)
    error = refused(path)
    assert error.code == code
    assert error.where
    assert error.found.replace("\n", "").isprintable()


@pytest.mark.parametrize(("code", "build"), BEFORE_THE_MANIFEST)
def test_it_is_refused_before_anything_is_made_of_its_content(code, build, valid, refused, monkeypatch):
    path = build(valid)
    for name in ("_read_manifest", "_fill", "map"):
        monkeypatch.setattr(ModelFile, name, lambda *_, name=name: pytest.fail(f"{name} was called"))
    for options in ({}, {"mmap": True}, {"check": False}, {"allow_nonfinite": True}):
        assert refused(path, lambda path, options=options: microframe.load(path, **options)).code == code


def test_the_valid_file_and_the_tools_that_change_it_leave_a_model_that_loads(valid):
    expected = microframe.load(valid.path).network.parameters.tobytes()
    valid.bytes().save()
    change(valid, lambda file: file.create_group("passing"))
    change(valid, lambda file: file.__delitem__("passing"))
    create_with(valid)
    put(valid, 0.25, "threshold")
    rewrite(valid, written())
    model = microframe.load(valid.path)
    assert (model.network.parameters.tobytes(), model.threshold) == (expected, 0.25)
    assert model.checkpoint is not None


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.update(tomorrow=1),
        lambda config: config["training"].update(epochs=-1),
        lambda config: config["training"]["optimizer"].update(learning_rate="fast"),
        lambda config: config.update(training=5),
    ],
    ids=["field", "epochs", "learning rate", "training"],
)
def test_a_training_that_is_not_valid_is_refused_when_it_is_asked_for(valid, refused, edit):
    valid.edit(lambda manifest: edit(manifest["config"]))
    model = microframe.load(valid.path)
    assert model.predict(np.zeros((2, 3))).shape == (2,), "which needs none of it"
    assert refused(valid.path, lambda _: model.configuration).code == Code.CONFIG


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", [KERNEL, "weights/standardize_1/mean"])
def test_weights_that_are_not_finite_are_loaded_if_that_is_allowed(valid, name, value):
    with h5py.File(valid.path) as file:
        values = file[name][...]
    values.flat[1] = value
    put_tensor(valid, name, values)
    model = microframe.load(valid.path, allow_nonfinite=True)
    layer, array = name.split("/")[1:]
    loaded = {**model.weights[layer], **model.network.state[layer]}[array]
    assert loaded.tobytes() == values.tobytes()
    assert model.checkpoint is not None


def test_what_is_recorded_may_be_nan(valid):
    with valid.reopened() as file:
        file["records/loss"] = np.array([1.0, math.nan])
    valid.list("records/loss", dtype="<f8")
    np.testing.assert_array_equal(microframe.load(valid.path).records["loss"], [1.0, math.nan])


def test_a_file_of_another_digest_than_was_asked_for_is_refused(valid, refused):
    error = refused(valid.path, lambda path: microframe.load(path, sha256="0" * 64))
    assert error.code == Code.FILE_DIGEST


@pytest.mark.parametrize("digest", ["", "x", "0" * 63, "0" * 63 + "g", b"0" * 64, 5])
def test_what_is_no_digest_is_a_mistake_of_the_caller(valid, digest):
    with pytest.raises(UsageError, match="sha256: expected 64 hexadecimal digits, received"):
        microframe.load(valid.path, sha256=digest)


def test_a_file_of_the_digest_that_was_asked_for_is_loaded(valid):
    digest = hashlib.sha256(valid.path.read_bytes()).hexdigest()
    assert microframe.load(valid.path, sha256=digest.upper()).is_built


def test_the_digest_is_checked_before_anything_else(valid, refused):
    valid.path.write_bytes(b"no HDF5 file")
    assert refused(valid.path, lambda path: microframe.load(path, sha256="0" * 64)).code == Code.FILE_DIGEST


@pytest.mark.parametrize("name", ["shuffle", "noise"])
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"5", b"{}", b'{"bit_generator":"PCG64"}', b"\xff", b"[" * 2**16])
def test_a_state_of_a_generator_that_is_none_is_refused_when_it_is_read(valid, refused, name, text):
    put_tensor(valid, f"random/{name}", np.frombuffer(text, np.uint8))
    model = microframe.load(valid.path)
    error = refused(valid.path, lambda _: model.checkpoint)
    assert (error.code, error.where) == (Code.RANDOM_STATE, f"/random/{name}")


def test_a_file_whose_plugin_is_missing_is_refused_by_a_code_with_the_line_that_installs_it(valid):
    def change(manifest):
        manifest["providers"]["activation:gone.swish"] = {"plugin": "gone", "distribution": "microframe-gone"}
        first_layer(activation="gone.swish")(manifest)

    valid.edit(change)
    with pytest.raises(ModelFileError) as error:
        microframe.load(valid.path)
    assert (error.value.code, error.value.where) == (Code.PLUGIN, "/manifest")
    assert str(error.value).endswith('\npip install "microframe-gone"')


def test_a_state_that_a_generator_would_hang_in_is_refused(valid, refused):
    with h5py.File(valid.path) as file:
        state = json.loads(file["random/shuffle"][...].tobytes())
    state["state"]["inc"] -= 1
    put_tensor(valid, "random/shuffle", np.frombuffer(json.dumps(state).encode(), np.uint8))
    error = refused(valid.path, lambda path: microframe.load(path).checkpoint)
    assert (error.code, error.found) == (Code.RANDOM_STATE, "no state of a generator: an even increment")


def test_a_very_large_state_is_refused_before_it_is_read(valid, refused):
    put_tensor(valid, "random/noise", np.zeros(2**16 + 1, np.uint8))
    assert refused(valid.path).code == Code.RANDOM_STATE


def test_a_state_that_is_nested_very_deeply_is_not_parsed(valid, refused):
    put_tensor(valid, "random/noise", np.frombuffer(b"[" * 2**15 + b"]" * 2**15, np.uint8))
    model = microframe.load(valid.path)
    assert refused(valid.path, lambda _: model.checkpoint).found.endswith(": nested very deeply")


def test_a_state_of_another_generator_is_refused(valid, refused):
    state = dict(np.random.MT19937(0).state)
    state["state"] = {"key": state["state"]["key"].tolist(), "pos": 1}
    put_tensor(valid, "random/noise", np.frombuffer(json.dumps(state).encode(), np.uint8))
    assert refused(valid.path, lambda path: microframe.load(path).checkpoint).code == Code.RANDOM_STATE


def test_a_checkpoint_is_not_read_from_another_file_than_the_model(valid, refused):
    model = microframe.load(valid.path)
    put(valid, 0.25, "threshold")
    for read in (lambda _: model.checkpoint, lambda _: model.save(valid.folder / "again.h5")):
        error = refused(valid.path, read)
        assert error.code == Code.CHANGED
        assert error.found.endswith("save(..., resumable=False) does without it")
    model.save(valid.folder / "again.h5", resumable=False)
    assert microframe.load(valid.folder / "again.h5").checkpoint is None


def test_a_file_that_changes_while_it_is_read_is_refused(valid):
    with ModelFile(valid.path) as file:
        os.utime(valid.path, (1, 1))
        with pytest.raises(ModelFileError) as error:
            file.read(KERNEL)
    assert error.value.code == Code.CHANGED


def test_a_process_that_does_not_end_is_ended(valid, monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS", 0.0)
    monkeypatch.setattr(isolation, "BYTES_A_SECOND", 1e99)
    with pytest.raises(ModelFileError) as error:
        microframe.load(valid.path, isolate=True)
    assert error.value.code == Code.ISOLATED


def test_a_file_that_cannot_be_written_has_a_code_as_well(valid):
    with pytest.raises(ModelFileError) as error:
        write_model_file(valid.folder / "nowhere" / "model.h5", {}, {})
    assert error.value.code == Code.WRITE


OTHERS = {
    Code.FILE_DIGEST,
    Code.HIDDEN_BYTES,
    Code.RANDOM_STATE,
    Code.CHANGED,
    Code.ISOLATED,
    Code.MEMORY,
    Code.PLUGIN,
    Code.WRITE,
}
"""The codes that take more than a file; the tests above reach them, and those of `test_one_reading`."""


def test_every_code_is_reached():
    reached = {parameters.values[0] for parameters in EVERY_CASE}
    assert reached | OTHERS == set(Code)
    assert not reached & OTHERS


def test_every_code_is_called_what_it_is():
    assert all(code == f"E_{code.name}" for code in Code)


IN_LITTLE_MEMORY = """
import json, resource, sys
import microframe
from microframe import ModelFileError, UsageError

pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 256 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    microframe.load(sys.argv[1])
except ModelFileError as error:
    print(error.code)
"""


@pytest.mark.parametrize(
    ("code", "edits"),
    [
        (Code.TENSORS, [first_layer(units=10**9)]),
        (Code.TENSORS, [lambda manifest: manifest.update(input_shape=[10**9])]),
        (Code.SHAPE, [first_layer(units=10**9), lambda m: m["tensors"][KERNEL].update(shape=[3, 10**9])]),
    ],
    ids=["units", "inputs", "units and table"],
)
def test_a_configuration_of_a_network_larger_than_the_file_allocates_nothing(valid, refused, code, edits):
    for edit in edits:
        valid.edit(edit)
    tracemalloc.start()
    try:
        assert refused(valid.path).code == code
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory")
@pytest.mark.parametrize(("code", "stored"), [(Code.TENSORS, True), (Code.STORAGE, False)])
def test_nor_does_it_in_a_process_that_would_die_of_it(valid, code, stored):
    valid.edit(first_layer(units=10**9))
    if not stored:
        create(valid, late, (3, 10**9))
        valid.list(KERNEL, shape=[3, 10**9])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", IN_LITTLE_MEMORY, str(valid.path)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert process.stdout == f"{code}\n", process.stderr


@pytest.mark.parametrize("count", [200])
def test_datasets_that_share_their_bytes_take_none_in_total(valid, refused, count):
    """Each is within the file, and all of them together are larger than it."""
    size = 2**16
    with valid.reopened() as file:
        for number in range(count):
            file[f"records/{number}"] = np.zeros(size if number == 0 else 4, np.uint8)
        first = file["records/0"].id.get_offset()
    digest = hashlib.sha256(bytes(size)).hexdigest()
    entry = {"dtype": "|u1", "shape": [size], "sha256": digest}
    valid.edit(lambda manifest: manifest["tensors"].update({f"records/{number}": entry for number in range(count)}))
    data = valid.bytes()
    for number in range(1, count):
        name = f"records/{number}"
        data.put(data.message(name, DATASPACE) + 4, "<2Q", size, size)
        data.put(data.message(name, LAYOUT) + 2, "<2Q", first, size)
    data.save()
    tracemalloc.start()
    try:
        assert refused(valid.path).code == Code.OVERLAP
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 2**20 < count * size
