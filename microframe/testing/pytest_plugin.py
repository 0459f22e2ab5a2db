"""Fixtures for the tests of plugins: a pytest plugin, which a ``conftest.py`` asks for.

    pytest_plugins = ["microframe.testing.pytest_plugin"]

It is not loaded by itself wherever microframe is installed: pytest would then rewrite every assert of microframe, and
the messages of the conformance suite with them. Nothing of microframe is imported before a test uses a fixture.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from microframe.arrays import Array
    from microframe.component import Component
    from microframe.interfaces import Loss
    from microframe.model import Model

    Classes = Callable[[type[Component]], type[Component]]


@pytest.fixture
def registered() -> Iterator[Classes]:
    """A function that makes a class known to configurations as ``local.<name>`` until the test ends, unless a plugin
    provides it; it gives the class back, so that it serves as a decorator too.

    Example:
        def test_a_configuration_can_name_it(registered):
            registered(Swish)
            assert Dense(3, {"type": "local.swish", "beta": 2.0}).activation == Swish(beta=2.0)
    """
    from microframe.registry import registry

    with contextlib.ExitStack() as stack:

        def register(component: type[Component]) -> type[Component]:
            stack.enter_context(registry.registered_locally(component))
            return component

        yield register


@pytest.fixture
def train_briefly() -> Callable[..., Model]:
    """A function that trains a small network and gives the `Model`; the same call gives the same model.

    ``train_briefly(*layers, loss="cross_entropy", output=None, input_shape=(4,), x=None, **settings)``

    Args:
        layers: parts, names or tables; there need not be any.
        loss: a part, a name or a table.
        output: the last layer; unless given, one that suits the loss: three classes by softmax, one of two by a
            sigmoid, or one value.
        input_shape: the shape of a sample, of which there are 48 random ones.
        x: samples to take instead. What is learnt of each is how large its sum is.
        settings: those of `Model.fit`; unless given there are 5 epochs with batches of 16.

    Example:
        def test_it_learns(train_briefly):
            model = train_briefly(MyLayer(8), optimizer={"type": "sgd", "learning_rate": 0.1})
            assert model.history["loss"][-1] < model.history["loss"][0]
    """

    def train(
        *layers: Any,
        loss: Any = "cross_entropy",
        output: Any = None,
        input_shape: Sequence[int] = (4,),
        x: Array | None = None,
        **settings: Any,
    ) -> Model:
        import numpy as np

        from microframe.configuration import Training
        from microframe.model import Model

        loss = Training(loss=loss).loss
        inputs = np.random.default_rng(0).standard_normal((48, *input_shape)) if x is None else x
        model = Model([*layers, *(_outputs(loss) if output is None else [output])]).build(
            inputs.shape[1:], seed=settings.get("seed", 0)
        )
        model.fit(inputs, _targets(inputs, loss, model), **{"loss": loss, "epochs": 5, "batch_size": 16, **settings})
        return model

    return train


@pytest.fixture
def saved_and_loaded(tmp_path: Path) -> Callable[[Model], Model]:
    """A function that saves a model, with what a resumed training needs, and gives what is loaded from the file.

    Example:
        def test_a_saved_model_predicts_the_same(train_briefly, saved_and_loaded):
            model = train_briefly(MyLayer(3))
            assert (saved_and_loaded(model)(x) == model(x)).all()
    """

    def save_and_load(model: Model) -> Model:
        from microframe.model import Model

        path = tmp_path / "saved_and_loaded.h5"
        model.save(path)
        return Model.load(path)

    return save_and_load


@pytest.fixture
def run_microframe(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs the command line in a process of its own, in the folder `tmp_path`, to its end.

    ``run_microframe(*arguments, stdin="", environment=None, timeout=120)``

    Args:
        arguments: the words after ``microframe``.
        stdin: what the process reads.
        environment: variables beside those that the test has.
        timeout: how many seconds it may take.

    Returns:
        A `subprocess.CompletedProcess` with ``returncode``, ``stdout`` and ``stderr``, both text.

    Example:
        def test_the_plugin_conforms(run_microframe):
            process = run_microframe("plugins", "check", "my_plugin")
            assert process.returncode == 0, process.stdout + process.stderr
    """

    def run(
        *arguments: object, stdin: str = "", environment: Mapping[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  # this very Python
            [sys.executable, "-m", "microframe", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **(environment or {})},
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )

    return run


def _outputs(loss: Loss) -> list[Any]:
    """The last layers of a network that `loss` can train."""
    import numpy as np

    units, activation = 1, "linear"
    if loss.target == "classes":
        try:
            loss.prepare(np.arange(3), (3,), np.dtype(np.float64))
            units, activation = 3, "softmax"
        except ValueError:  # it wants a single output, for two classes
            activation = "sigmoid"
    return ["flatten", {"type": "dense", "units": units, "activation": activation}]


def _targets(inputs: Array, loss: Loss, model: Model) -> Array:
    """For each sample the rank of its sum, from 0 to 1, or in which of as many equal shares of the ranks it lies."""
    import numpy as np

    ranks = inputs.reshape(len(inputs), -1).sum(axis=1).argsort().argsort() / len(inputs)
    shape = model.network.output_shape
    is_of_values = loss.target == "values"
    target: Array = (
        np.multiply.outer(ranks, np.ones(shape)) if is_of_values else (ranks * max(shape[-1], 2)).astype(int)
    )
    return target
