"""The fixtures for authors of plugins, used as they use them: in a pytest of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

FIXTURES = ("registered", "train_briefly", "saved_and_loaded", "run_microframe")

LIGHT = """
import sys

def test_nothing_is_imported_for_pytest_to_start():
    assert "microframe.testing.pytest_plugin" in sys.modules
    heavy = {"numpy", "h5py", "msgspec", "click", "microframe.component"}
    assert not heavy & sys.modules.keys()
"""

REGISTERED = """
import pytest

from microframe import Activation, ConfigError
from microframe.standard.layers import Dense


def swish():
    class Swish(Activation):
        beta: float = 1.0

        def forward(self, x, out):
            out[...] = x

        def backward(self, dy, x, y, out):
            out[...] = dy

    return Swish


def test_a_configuration_can_name_it(registered):
    Swish = registered(swish())
    assert Dense(3, {"type": "local.swish", "beta": 2.0}).activation == Swish(2.0)


def test_it_decorates(registered):
    @registered
    class Swish(swish()):
        pass

    assert isinstance(Dense(3, "swish").activation, Swish)


def test_it_is_forgotten_when_the_test_ends(registered):
    with pytest.raises(ConfigError, match="swish"):
        Dense(3, "swish")


def test_a_part_of_somebody_stays_theirs(registered):
    from microframe import config
    from microframe.standard.activations import Tanh

    assert config(registered(Tanh)()) == "tanh"
"""

TRAINED = """
import numpy as np
import pytest

from microframe import DataError
from microframe.standard.layers import Dense, Embedding
from microframe.standard.losses import MeanSquaredError


def test_it_learns_classes(train_briefly):
    model = train_briefly(Dense(8, "relu"), optimizer={"type": "adam", "learning_rate": 0.05}, metrics=["accuracy"])
    assert model.classes == (0, 1, 2)
    assert model.history["loss"][-1] < model.history["loss"][0]
    assert model.history["accuracy"][-1] > 0.5


def test_it_learns_values(train_briefly):
    model = train_briefly(loss=MeanSquaredError(), optimizer={"type": "sgd", "learning_rate": 0.1}, epochs=9)
    assert model.classes is None
    assert model.history.epochs == 9
    assert model.history["loss"][-1] < 0.5 * model.history["loss"][0]


def test_one_output_tells_two_classes_apart(train_briefly):
    assert train_briefly(loss="binary_cross_entropy").classes == (0, 1)
    assert train_briefly(loss="hinge", output={"type": "dense", "units": 1}).classes == (0, 1)


def test_there_are_as_many_classes_as_outputs(train_briefly):
    assert len(train_briefly(output=Dense(5, "softmax")).classes) == 5


def test_samples_may_have_any_shape(train_briefly):
    assert train_briefly("batch_norm", input_shape=(3, 3, 2)).network.input_shape == (3, 3, 2)
    assert train_briefly(Dense(2), loss="mean_squared_error", output=Dense(2), input_shape=(3, 2)).history.epochs == 5


def test_samples_may_be_given(train_briefly):
    indices = np.random.default_rng(0).integers(0, 5, (30, 4))
    assert train_briefly(Embedding(5, 2), x=indices).network.input_shape == (4,)


def test_the_same_call_gives_the_same_model(train_briefly):
    first, again = (train_briefly({"type": "dropout", "rate": 0.5}) for _ in range(2))
    assert (first.network.parameters == again.network.parameters).all()
    other = train_briefly({"type": "dropout", "rate": 0.5}, seed=1)
    assert (first.network.parameters != other.network.parameters).any()


def test_a_model_survives_its_file(train_briefly, saved_and_loaded):
    model = train_briefly(Dense(3, "tanh"))
    x = np.ones((2, 4), np.float32)
    loaded = saved_and_loaded(model)
    assert loaded is not model
    assert (loaded(x) == model(x)).all()
    assert loaded.checkpoint.progress["epoch"] == 5
"""

RUN = """
from pathlib import Path


def test_a_process_runs_in_the_folder_of_the_test(run_microframe, tmp_path):
    (tmp_path / "net.h5").write_text("no model")
    process = run_microframe("inspect", Path("net.h5"))
    assert process.returncode == 6
    assert "net.h5: the first bytes: b'no model' [E_NOT_HDF5]" in process.stderr


def test_it_gives_what_the_process_said(run_microframe):
    process = run_microframe("--version")
    assert (process.returncode, process.stderr) == (0, "")
    assert "microframe" in process.stdout


def test_a_process_gets_stdin_and_variables(run_microframe, train_briefly, tmp_path):
    train_briefly(loss="mean_squared_error").save(tmp_path / "net.h5")
    process = run_microframe(
        "predict", "net.h5", "-", stdin="1,2,3,4\\n5,6,7,8\\n", environment={"OPENBLAS_NUM_THREADS": "1"}
    )
    assert process.returncode == 0, process.stderr
    assert len(process.stdout.splitlines()) >= 2
"""


@pytest.fixture
def run(pytester):
    """Runs tests beside a conftest.py that asks for the plugin."""

    def run(*sources, arguments=()):
        pytester.makeconftest('pytest_plugins = ["microframe.testing.pytest_plugin"]')
        pytester.makepyfile(**{f"test_{number}": source for number, source in enumerate(sources)})
        without = [word for name in ("no:cacheprovider", "no:hypothesispytest") for word in ("-p", name)]
        return pytester.runpytest_subprocess("-W", "error", *without, *arguments)

    return run


def test_pytest_starts_without_the_rest_of_microframe(run):
    run(LIGHT).assert_outcomes(passed=1)


def test_the_fixtures_do_what_they_say(run):
    run(REGISTERED, TRAINED, RUN).assert_outcomes(passed=15)


def test_every_fixture_is_documented(run):
    shown = run("", arguments=("--fixtures", "-v")).stdout.str()
    for name in FIXTURES:
        described = shown.partition(f"\n{name} ")[2].partition("\n\n")[0]
        assert "A function that " in described
        assert "Example:" in shown.partition(f"\n{name} ")[2][:2000]
