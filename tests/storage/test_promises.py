"""What the README promises of the model file; what has a test of its own elsewhere is only pointed to."""

from __future__ import annotations

import ast
import json
import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import microframe
from microframe import Model, ModelFileError, PluginError
from microframe.preparation import Parts
from microframe.standard.layers import Dense
from microframe.storage import Code, ModelFile

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SOURCES = [
    *(ROOT / "microframe" / "storage").glob("*.py"),
    *(ROOT / "microframe" / name for name in ("manifest.py", "packing.py")),
]

HELD_BY = {
    "Nothing in a file is executed.": ("test_promises.py", "test_what_a_file_names_is_not_imported"),
    "No other file is touched.": ("test_promises.py", "test_loading_opens_the_file_and_nothing_else"),
    "Memory has a limit.": ("test_promises.py", "test_loading_takes_the_memory_that_the_file_is_large"),
    "As it was saved, or not at all.": ("test_mutations.py", "test_a_mutated_file_loads_as_it_was_saved_or_is_refused"),
    "A save is whole or has not been.": (
        "test_faults.py",
        "test_a_process_that_is_killed_while_it_saves_leaves_one_whole_file",
    ),
    "The same model has the same bytes.": ("test_faults.py", "test_the_same_model_has_the_same_bytes_in_every_process"),
}


def test_each_promise_of_the_readme_is_held_by_a_test():
    section = README[README.index("These promises are held by tests:") :]
    promises = re.findall(r"^- \*\*(.*?)\*\*", section[: section.index("\n\n- `")], re.MULTILINE)
    assert promises == list(HELD_BY)
    for file, test in HELD_BY.values():
        assert f"def {test}(" in (Path(__file__).parent / file).read_text(encoding="utf-8")


def test_nothing_that_executes_is_used_to_read_files():
    forbidden = {"eval", "exec", "compile", "__import__", "import_module", "pickle", "marshal", "shelve", "load_module"}
    for source in SOURCES:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = {function.id for function in called if isinstance(function, ast.Name)}
        modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        modules |= {f"{node.module}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not forbidden & (names | modules), source


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that can be imported and leaves a file behind when it is; it belongs to no plugin."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "trap_of_a_test.py").write_text(
        "from pathlib import Path\nPath(__file__).with_suffix('.sprung').touch()\n"
    )
    monkeypatch.syspath_prepend(folder)
    yield "trap_of_a_test"
    assert "trap_of_a_test" not in sys.modules
    assert not (folder / "trap_of_a_test.sprung").exists()


RECORD = {"distribution": "trap", "distribution_version": "1.0", "component_version": 1, "interface_version": 1}


@pytest.mark.parametrize("plugin", ["trap_of_a_test", "local", "standard", "os"])
@pytest.mark.parametrize("name", ["trap_of_a_test.dense", "trap_of_a_test", "os.system", "../trap_of_a_test"])
def test_what_a_file_names_is_not_imported(trained_file, trap, with_manifest, plugin, name):
    def change(manifest):
        manifest["config"]["layers"][1]["type"] = name
        manifest["providers"][f"layer:{name}"] = {**RECORD, "plugin": plugin, "module": trap}

    with_manifest(trained_file, change)
    with pytest.raises((ModelFileError, PluginError)):
        microframe.load(trained_file)


def test_loading_opens_the_file_and_nothing_else(trained_file, watched):
    before = sorted(trained_file.parent.iterdir())
    with watched() as seen:
        model = microframe.load(trained_file)
        model.predict(np.zeros((2, 3)))
    assert seen == [("open", str(trained_file))]
    with watched() as seen:
        assert model.checkpoint is not None
    assert seen == [("open", str(trained_file))]
    assert sorted(trained_file.parent.iterdir()) == before


def test_neither_the_hdf5_library_nor_what_evaluates_is_imported_to_load_and_predict(trained_file, run_python):
    code = """
        import sys
        import numpy as np
        import microframe

        model = microframe.load(sys.argv[1])
        model.predict(np.zeros((2, 3)))
        model.checkpoint
        print([name for name in ("h5py", "multiprocessing", "subprocess", "ctypes.util") if name in sys.modules])
    """
    completed = run_python(code, trained_file)
    assert completed.stdout == "[]\n", completed.stderr


@pytest.mark.parametrize("options", [{}, {"check": False}, {"mmap": True}], ids=str)
def test_loading_takes_the_memory_that_the_file_is_large(tmp_path, options):
    path = tmp_path / "model.h5"
    Model([Dense(1000), Dense(1000), Dense(10)]).build((1000,)).save(path)
    microframe.load(path, **options)
    size = path.stat().st_size
    tracemalloc.start()
    try:
        model = microframe.load(path, **options)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert model.is_built
    assert peak < (0 if options.get("mmap") else size) + 2**20


@pytest.mark.parametrize("dtype", ["uint64", "uint32", "float16", "bool"])
def test_arrays_of_other_types_and_numbers_of_rows_take_no_more(tmp_path, dtype):
    path = tmp_path / "model.h5"
    model = Model([Dense(1)]).build((1,))
    model.records["seen"] = np.ones(2**20, dtype)
    rows = np.arange(2**20)
    model.parts = Parts(rows[: 2**19], rows[2**19 :], rows[:0])
    model.save(path)
    microframe.load(path)
    tracemalloc.start()
    try:
        loaded = microframe.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(loaded.records["seen"], model.records["seen"])
    assert loaded.records["seen"].dtype == dtype
    # beside two buffers, and a bit for each row
    assert peak < path.stat().st_size + 4 * 2**20


def test_an_error_tells_a_program_what_it_tells_a_reader(trained_file, with_text):
    with_text(trained_file, b"{")
    with pytest.raises(ModelFileError) as error:
        microframe.load(trained_file)
    refused = error.value
    assert (refused.path, refused.code, refused.where) == (trained_file, "E_MANIFEST_TEXT", "/manifest")
    assert refused.exit_code == 6
    assert refused.code in set(Code)
    assert str(refused) == f"{trained_file}: /manifest: {refused.found} [E_MANIFEST_TEXT]"


def test_a_model_that_is_saved_again_has_the_same_name_and_bytes(trained_file, tmp_path):
    model = microframe.load(trained_file)
    model.save(tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == trained_file.read_bytes()
    with ModelFile(trained_file) as one, ModelFile(tmp_path / "again.h5") as two:
        assert one.sha256 == two.sha256
        assert json.dumps(one.manifest) == json.dumps(two.manifest)
