from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version

import h5py
import numpy as np
import pytest

from microframe import __version__
from microframe.cli import blas
from microframe.cli.doctor import LIBRARIES

CLASHING = "raise SystemExit('imported')"


def test_versions_and_threads_are_told(microframe):
    result = microframe("doctor", "--json", "--no-plugins", OMP_NUM_THREADS="1", MKL_NUM_THREADS="3")
    assert (result.code, result.stderr) == (0, "")
    report = result.json
    versions = report["versions"]
    assert versions["microframe"] == __version__
    assert versions["Python"].startswith(platform.python_version())
    assert versions["platform"] == platform.platform()
    assert versions["HDF5"] == h5py.version.hdf5_version
    assert {name: versions[name] for name in LIBRARIES} == {name: version(name) for name in LIBRARIES}
    assert report["processors"]["count"] == os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        assert report["processors"]["usable"] == len(os.sched_getaffinity(0))
    assert report["blas"]["name"] == np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    assert report["blas"]["variables"] == {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "3",
    }
    assert report["failures"] == {}
    standard = report["plugins"][0]
    assert (standard["name"], standard["state"], standard["traceback"]) == ("standard", "ok", None)
    assert standard["load_milliseconds"] > 0


def test_it_is_readable_without_json(microframe):
    result = microframe("doctor", COLUMNS="80", MICROFRAME_WITHOUT="nobody,nobody-else")
    assert result.code == 0
    lines = [re.split(r"\s{2,}", line) for line in result.stdout.splitlines()]
    told = {label: rest[0] for label, *rest in lines if rest}
    assert told["microframe"] == __version__
    assert told["numpy"] == np.__version__
    assert told["MICROFRAME_WITHOUT"] == "nobody,nobody-else"
    said = "no plugin or distribution is called 'nobody', 'nobody-else'"
    assert said in re.sub(r"\s+", " ", result.stdout)
    assert "OPENBLAS_NUM_THREADS=1" in result.stdout
    assert f"processors          {os.cpu_count()}" in result.stdout
    assert ["plugin", "distribution", "version", "state", "load ms"] in lines


@pytest.mark.skipif(blas._threads() is None, reason="the library of NumPy here doesn't tell how many threads it has")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_threads_are_those_that_the_library_has(microframe, threads):
    blas_report = microframe("doctor", "--json", OPENBLAS_NUM_THREADS=str(threads)).json["blas"]
    assert blas_report["threads"] == min(threads, os.cpu_count() or 1)


def test_a_library_that_does_not_tell_its_threads_is_no_failure(monkeypatch):
    monkeypatch.setattr(blas, "_openblas", lambda: ["/a/library/that/is/not/there.so"])
    assert blas.describe_blas()["threads"] is None
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    assert blas.describe_blas()["name"] is None


def test_the_library_is_found_where_the_system_lists_none(monkeypatch, tmp_path):
    package = tmp_path / "numpy"
    for folder in (package / ".dylibs", tmp_path / "numpy.libs"):
        folder.mkdir(parents=True)
        (folder / "libscipy_openblas64_-1a.so").touch()
    monkeypatch.setattr(blas, "Path", lambda path: tmp_path / "none" if path == "/proc/self/maps" else package / "x")
    assert sorted(blas._openblas()) == sorted(
        str(folder / "libscipy_openblas64_-1a.so") for folder in (package / ".dylibs", tmp_path / "numpy.libs")
    )


def test_a_broken_plugin_is_shown_with_its_traceback_and_the_code_of_plugins(microframe, plugin_folder):
    variables = plugin_folder("broken", "def fail():\n    raise RuntimeError('no luck')\nfail()\n")
    result = microframe("doctor", **variables)
    assert result.code == 5
    assert result.stderr == "microframe: plugin broken (microframe-broken 1.0) is left out: RuntimeError: no luck\n"
    assert "\nbroken (microframe-broken 1.0):\n  Traceback (most recent call last):\n" in result.stdout
    assert 'microframe_broken.py", line 2, in fail' in result.stdout
    assert result.stdout.endswith("\n  RuntimeError: no luck\n")
    result = microframe("doctor", "--json", **variables)
    assert result.code == 5
    (broken,) = [plugin for plugin in result.json["plugins"] if plugin["name"] == "broken"]
    assert (broken["state"], broken["reason"]) == ("broken", "RuntimeError: no luck")
    assert "in fail\n" in broken["traceback"]
    assert broken["load_milliseconds"] >= 0


def test_a_clash_ends_with_the_code_of_plugins_until_one_is_left_out(microframe, plugin_folder, swish):
    plugin_folder("same", CLASHING, distribution="dist-one")
    variables = plugin_folder("same", "import microframe\n@microframe.hookimpl\ndef microframe_commands(): return []")
    result = microframe("doctor", "--json", **variables)
    assert result.code == 5
    claimants = [plugin for plugin in result.json["plugins"] if plugin["name"] == "same"]
    assert [plugin["state"] for plugin in claimants] == ["clashing", "clashing"]
    assert microframe("doctor", "--without", "dist-one", **variables).code == 0


def test_names_to_leave_out_that_nobody_has_are_told(microframe, plugin_folder, swish):
    variables = plugin_folder("swish", "raise RuntimeError('no luck')")
    result = microframe("doctor", "--json", MICROFRAME_WITHOUT="swihs,Swish, nobody", **variables)
    assert result.code == 0
    assert result.json["environment"] == {"MICROFRAME_WITHOUT": "swihs,Swish, nobody"}
    assert result.json["unknown_names"] == ["swihs", "nobody"]
    assert microframe("doctor", "--json", "--no-plugins", **variables).json["unknown_names"] == []
    text = microframe("doctor", MICROFRAME_WITHOUT="swish", **variables).stdout
    assert "no plugin or distribution is called" not in text


def test_a_variable_that_means_nothing_is_a_usage_error(refused, monkeypatch):
    monkeypatch.setenv("MICROFRAME_NO_PLUGINS", "maybe")
    monkeypatch.setenv("MICROFRAME_WITHOUT", "nobody")
    assert "MICROFRAME_NO_PLUGINS: expected 1, true, " in refused(2, "doctor")


def test_what_is_left_out_is_no_fault(microframe, plugin_folder):
    variables = plugin_folder("broken", "raise RuntimeError('no luck')")
    result = microframe("doctor", "--json", MICROFRAME_NO_PLUGINS="1", **variables)
    assert (result.code, result.stderr) == (0, "")
    assert result.json["environment"] == {"MICROFRAME_NO_PLUGINS": "1"}
    states = {plugin["name"]: plugin["state"] for plugin in result.json["plugins"]}
    assert states["broken"] == "blocked"


@pytest.mark.parametrize("name", ["numpy", "h5py"])
def test_a_library_that_cannot_be_imported_is_told(microframe, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise ImportError('a part of it is missing')")
    variables = {"PYTHONPATH": str(tmp_path), "COLUMNS": "80"}
    result = microframe("doctor", **variables)
    assert result.code == 1
    assert re.search(rf"^{name} failed +ImportError: a part of it is missing$", result.stdout, re.MULTILINE)
    result = microframe("doctor", "--json", **variables)
    assert result.code == 1
    assert result.json["failures"][name] == "ImportError: a part of it is missing"
    assert result.json["failures"].keys() <= {"numpy", "h5py"}, "h5py needs NumPy"
    assert result.json["plugins"] == []
