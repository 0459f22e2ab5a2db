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

    def run(*words, **variables):
        terminal, stderr = pty.openpty()
        shown = {"TERM": "xterm-256color", "COLUMNS": "150", **variables}
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **shown}
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


def test_a_terminal_sees_two_lines_that_change(on_terminal, models, table):
    code, stdout, sent = on_terminal("train", models / "digits.toml", "--epochs", 10)
    assert code == 0
    assert table(stdout)[1] == ["metric", "value"]
    *_, pace, losses, saved, rest = without_colours(sent).split("\r\n")
    assert (saved, rest) == ("saved digits.h5", "")
    assert re.fullmatch(r"\s*epoch 10/10 ━+ 0:00:00 [\d,]+ samples/s\s*", pace)
    assert re.fullmatch(rf"{LOSSES}\s*", losses)


def test_a_narrow_terminal_sees_every_metric(on_terminal, models):
    setting = 'metrics=["accuracy","f1","precision","recall"]'
    _, _, sent = on_terminal("train", models / "digits.toml", "--epochs", 3, "--set", setting, COLUMNS="60")
    *_, last = re.split(r"epoch 3/3 ", without_colours(sent))
    words = " ".join(last.split())
    for metric in ("loss", "accuracy", "f1", "precision", "recall"):
        assert re.search(rf"validation {metric} [\d.]+( |$)", words), metric


@pytest.mark.parametrize("terminal", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_sees_plain_lines(terminal, on_terminal, models):
    code, _, sent = on_terminal("train", models / "digits.toml", "--epochs", 5, TERM=terminal)
    *lines, saved, rest = sent.split("\r\n")
    assert (code, saved, rest) == (0, "saved digits.h5", "")
    assert re.fullmatch(rf"epoch 1/5  {LOSSES}  [\d,]+ samples/s  \d+ s left", lines[0])
    assert lines[-1].startswith("epoch 5/5  ")


def test_the_last_epoch_is_shown_also_when_training_stops_early(microframe, leaves):
    stops = 'callbacks=[{type="early_stopping", monitor="loss", patience=3, min_delta=1e9}]'
    *lines, stopped, _ = microframe("train", leaves / "leaves.toml", "--set", stops).stderr.splitlines()
    epoch = re.match(r"stopped after epoch (\d+): ", stopped)[1]
    assert re.fullmatch(rf"epoch {epoch}/40  loss \S+  accuracy \S+  [\d,]+ samples/s", lines[-1])
    assert sum(line.startswith(f"epoch {epoch}/") for line in lines) == 1


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
