"""What a training that is started from Python shows."""

from __future__ import annotations

import re

import numpy as np
import pytest

from microframe import Model, TrainingDivergedError
from microframe.interfaces.callback import Listener
from microframe.progress import Display

X, Y = np.arange(8.0).reshape(8, 1) / 8, np.arange(8.0) / 4


def model():
    return Model([{"type": "dense", "units": 1}])


def test_fit_is_silent_unless_asked(capsys):
    model().fit(X, Y, loss="mean_squared_error", epochs=2)
    assert capsys.readouterr() == ("", "")


def test_fit_shows_its_progress_on_request(capsys):
    net = model()
    net.fit(X, Y, loss="mean_squared_error", epochs=2, progress=True)
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert re.fullmatch(
        r"epoch 1/2  loss \S+  [\d,]+ samples/s  0 s left\nepoch 2/2  loss \S+  [\d,]+ samples/s\n", stderr
    )
    assert f"{net.history['loss'][-1]:.4g}" in stderr


def test_a_display_is_a_listener(capsys):
    with Display(live=False) as display:
        model().fit(X, Y, loss="mean_squared_error", epochs=1, listeners=[display])
    assert capsys.readouterr().err.startswith("epoch 1/1  loss ")


def test_a_display_can_be_live_where_there_is_no_terminal(capsys):
    with Display(live=True) as display:
        model().fit(X, Y, loss="mean_squared_error", epochs=3, listeners=[display])
    assert "epoch 3/3" in capsys.readouterr().err


class StopWithin(Listener):
    """Stop after the first batch of the third epoch."""

    def batch_end(self, run, memory):
        if run.epoch == 2:
            run.stop("enough")


class Diverge(Listener):
    def epoch_end(self, run, memory):
        if run.epoch == 2:
            run.learning_rate_factor = np.inf


def test_the_last_whole_epoch_is_shown_when_training_stops_within_the_next(capsys):
    model().fit(X, Y, loss="mean_squared_error", batch_size=4, epochs=9, listeners=[StopWithin()], progress=True)
    assert re.fullmatch(r"epoch 2/9  loss \S+  [\d,]+ samples/s", capsys.readouterr().err.splitlines()[-1])


def test_the_last_good_epoch_is_shown_when_training_diverges(capsys):
    with pytest.raises(TrainingDivergedError):
        model().fit(X, Y, loss="mean_squared_error", epochs=9, listeners=[Diverge()], progress=True)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 2/9  ")


def test_a_reader_who_is_gone_does_not_end_the_training(monkeypatch):
    class Gone:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

        flush = write

    monkeypatch.setattr("sys.stderr", Gone())
    net = model()
    net.fit(X, Y, loss="mean_squared_error", epochs=2, progress=True)
    assert net.history.epochs == 2
