from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

LOSSES = r"loss [\d.e-]+  validation loss [\d.e-]+  validation accuracy [\d.e-]+"

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")


@pytest.fixture
def on_terminal(tmp_path):
    """Runs a command whose stderr is a terminal; gives its exit code, its stdout and what the terminal was sent."""

    def run(*words):
        terminal, stderr = pty.openpty()
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "150"}
        command = [sys.executable, "-m", "microframe", *map(str, words)]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=stderr)
        os.close(stderr)
        sent = b""
        while True:
            try:
                block = os.read(terminal, 4096)
            except OSError:  # what Linux says when the other side has closed
                break
            if not block:
                break
            sent += block
        os.close(terminal)
        stdout = process.communicate(timeout=60)[0]
        return process.returncode, stdout.decode(), sent.decode()

    return run


def without_colours(text):
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_terminal_sees_one_line_that_changes(on_terminal, models, table):
    code, stdout, sent = on_terminal("train", models / "digits.toml", "--epochs", 10)
    assert code == 0
    assert table(stdout)[1] == ["metric", "value"]
    *shown, saved, rest = without_colours(sent).split("\r\n")
    assert (saved, rest) == ("saved digits.h5", "")
    states = [state for state in "".join(shown).split("\r") if state]
    assert all(re.match(r"epoch \d+/10 ", state) for state in states)
    assert re.match(rf"epoch 10/10 ━+ 0:00:00 [\d,]+ samples/s {LOSSES}\s*$", states[-1])


def test_a_quiet_terminal_sees_the_name_of_the_file_only(on_terminal, leaves):
    assert on_terminal("train", leaves / "leaves.toml", "-q") == (0, "", "saved leaves.h5\r\n")


def test_elsewhere_there_are_plain_lines(microframe, models):
    result = microframe("train", models / "digits.toml", "--epochs", 30)
    *lines, saved = result.stderr.splitlines()
    assert saved == "saved digits.h5"
    for line in lines:
        assert re.fullmatch(rf"epoch \d+/30  {LOSSES}  [\d,]+ samples/s(  \d+ s left)?", line)
    assert lines[0].startswith("epoch 1/30 ")
    assert lines[-1].startswith("epoch 30/30 ")
    assert "\x1b" not in result.stderr


def test_without_validation_the_metrics_of_the_training_part_are_shown(microframe, leaves):
    assert re.match(
        r"epoch 1/2  loss \S+  accuracy \S+  [\d,]+ samples/s  0 s left\nepoch 2/2  ",
        microframe("train", leaves / "leaves.toml", "--epochs", 2).stderr,
    )
