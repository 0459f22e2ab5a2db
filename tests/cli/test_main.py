from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from microframe import __version__

COMMANDS = ("run", "train", "predict", "evaluate", "inspect", "verify", "config", "plugins", "doctor", "completion")
HELP = (
    (),
    *((command,) for command in COMMANDS),
    *(("config", command) for command in ("show", "validate", "schema")),
    *(("plugins", command) for command in ("list", "info")),
)

INTERRUPT_AT_IMPORT = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize("words", HELP, ids=" ".join)
def test_help_imports_neither_numpy_nor_h5py_nor_a_plugin(words, microframe, plugin_folder):
    variables = plugin_folder("marker", "raise SystemExit('a plugin was imported')")
    result = microframe(*words, "--help", PYTHONPROFILEIMPORTTIME="1", **variables)
    assert result.code == 0
    assert result.stdout.startswith(f"Usage: {' '.join(['microframe', *words])} [OPTIONS]")
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "microframe.cli" in imported
    assert not imported & {"numpy", "h5py", "rich", "msgspec", "pluggy"}
    assert "a plugin was imported" not in result.stderr


def test_help_lists_every_command_with_what_it_does(microframe):
    listed = microframe("-h").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(len(line.split()) > 3 for line in listed)


def test_version_is_told(microframe):
    result = microframe("--version")
    assert (result.code, result.stdout, result.stderr) == (0, f"microframe, version {__version__}\n", "")


def test_the_installed_script_is_the_module(tmp_path):
    script = Path(sysconfig.get_path("scripts"), "microframe")
    shown = [
        subprocess.run([*command, "train", "--help"], cwd=tmp_path, capture_output=True, check=True).stdout
        for command in ([script], [sys.executable, "-m", "microframe"])
    ]
    assert shown[0] == shown[1]
    assert shown[0].startswith(b"Usage: microframe train")


def test_without_a_command_help_is_shown_as_a_usage_error(refused):
    assert "Usage: microframe" in refused(2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian", "net.toml"], "There is no command 'trian'. Did you mean 'train'?"),
        (["xyz"], "There is no command 'xyz'.\n"),
        (["config", "sho"], "No such command 'sho'"),
        (["run"], "Missing argument 'FILE'"),
        (["run", "net.toml", "--epoch", "3"], "No such option '--epoch'"),
        (["train", "net.toml", "--epochs", "0"], "Invalid value for '--epochs': 0 is not in the range x>=1"),
    ],
)
def test_a_misspelt_call_is_a_usage_error(words, message, refused):
    assert message in refused(2, *words)


def test_debug_shows_the_traceback(tmp_path):
    command = [sys.executable, "-m", "microframe", "train", "none.toml", "--debug"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 3
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("error: none.toml: there is no such file\n")


@pytest.mark.parametrize("words", [["--help"], ["plugins", "list"], ["plugins", "list", "--json"]])
def test_a_reader_that_has_gone_is_no_reason_to_complain(words, tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "microframe", *words]
    result = subprocess.run(command, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, encoding="utf-8", check=False)
    os.close(write)
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.parametrize(
    "module", ["microframe.errors", "click", "microframe.cli.train", "numpy", "h5py", "microframe.progress"]
)
def test_ctrl_c_while_starting_ends_quietly(module, microframe, models, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT_AT_IMPORT)
    variables = {"PYTHONPATH": str(tmp_path), "INTERRUPT_AT": module}
    result = microframe("train", models / "digits.toml", "--epochs", 1, **variables)
    assert result.code == 130
    assert result.stderr.strip().splitlines()[-1] == "interrupted"
