from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

SWISH = """
    import numpy as np
    import microframe

    class {name}(microframe.Activation):
        needs_input = True
        beta: float = 1.0

        def forward(self, x, out):
            np.divide(x, 1 + np.exp(-self.beta * x), out=out)

        def backward(self, dy, x, y, out):
            s = 1 / (1 + np.exp(-self.beta * x))
            np.multiply(dy, s + self.beta * y * (1 - s), out=out)

    @microframe.hookimpl
    def microframe_components():
        return [{name}]
"""
MARKER = """
    from pathlib import Path
    Path(__file__).with_suffix(".imported").touch()
"""

NEEDS = "PluginError model.h5: layers[0].activation.type: the activation 'swish.swish' needs the plugin 'swish'"


def write_distribution(
    site: Path, distribution: str, entry_points: dict[str, str], modules: dict[str, str], version: str = "1.0"
) -> None:
    """What an installer leaves on disk: the modules, and a folder of metadata."""
    metadata = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {module}" for name, module in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[microframe]", *lines, ""]))
    for name, source in modules.items():
        (site / f"{name}.py").write_text(textwrap.dedent(source))


def swish(name="Swish"):
    return SWISH.format(name=name)


def run_python(site, code, *arguments):
    """What a fresh process prints that has the folder `site` on its path."""
    environment = {**os.environ, "PYTHONPATH": str(site), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=site, capture_output=True, text=True, check=False, timeout=60)


TRAIN = """
    import sys
    import numpy as np
    import microframe
    from microframe.standard.layers import Dense

    x = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    model = microframe.Model([Dense(3, sys.argv[1]), Dense(1)])
    model.fit(x, x[:, :1], loss="mean_squared_error", optimizer=sys.argv[2], epochs=1)
    model.save("model.h5")
    np.save("x.npy", x)
    np.save("y.npy", model.predict(x))
"""
PREDICT = """
    import sys
    import numpy as np
    import microframe

    microframe.registry.registry.plugins.block(*sys.argv[1:])
    try:
        model = microframe.load("model.h5")
        print(np.array_equal(model.predict(np.load("x.npy")), np.load("y.npy")))
    except microframe.MicroframeError as error:
        print(type(error).__name__, error)
""".replace("import microframe\n", "import microframe.registry\n")
OPTIMIZER = """
    import microframe

    class Follow(microframe.Optimizer):
        def update(self, parameters, gradients, ctx):
            parameters -= ctx.learning_rate * gradients

    @microframe.hookimpl
    def microframe_components():
        return [Follow]
"""


def test_a_model_names_its_plugins_and_only_those_are_imported_for_prediction(tmp_path):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": MARKER + swish()})
    write_distribution(
        tmp_path, "microframe-follow", {"follow": "follow_module"}, {"follow_module": MARKER + OPTIMIZER}
    )
    write_distribution(
        tmp_path, "unused", {"unused": "unused_module"}, {"unused_module": MARKER + "raise RuntimeError"}
    )
    trained = run_python(tmp_path, TRAIN, "swish.swish", "follow.follow")
    assert (trained.returncode, trained.stderr) == (0, "")
    assert not (tmp_path / "unused_module.imported").exists()
    for name in ("swish_module", "follow_module"):
        (tmp_path / f"{name}.imported").unlink()

    predicted = run_python(tmp_path, PREDICT)
    assert (predicted.stdout, predicted.stderr) == ("True\n", "")
    assert (tmp_path / "swish_module.imported").exists()
    assert not (tmp_path / "follow_module.imported").exists(), "the optimizer is not needed for a prediction"
    assert run_python(tmp_path, PREDICT, "microframe-follow").stdout == "True\n"
    assert run_python(tmp_path, PREDICT, "swish").stdout.startswith(f"{NEEDS}, left out")


def test_a_plugin_that_is_gone_or_broken_is_named_when_a_model_needs_it(tmp_path):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    assert run_python(tmp_path, TRAIN, "swish", "sgd").stderr == ""
    (tmp_path / "swish_module.py").write_text("import sys\nsys.exit(5)")
    broken = run_python(tmp_path, PREDICT)
    assert broken.returncode == 0
    assert broken.stdout.startswith(f"{NEEDS}, which is broken")
    assert broken.stderr.splitlines() == ["microframe: plugin swish (microframe-swish 1.0) is left out: SystemExit: 5"]
    (tmp_path / "microframe_swish-1.0.dist-info" / "entry_points.txt").unlink()
    assert run_python(tmp_path, PREDICT).stdout.startswith(f"{NEEDS}, not installed")


def test_what_a_plugin_provides_is_recorded_in_the_file(tmp_path):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()}, "4.5")
    assert run_python(tmp_path, TRAIN, "swish", "sgd").stderr == ""
    show = """
        import json
        from microframe.storage import ModelFile
        with ModelFile("model.h5") as file:
            print(json.dumps(file.manifest["providers"]))
    """
    providers = json.loads(run_python(tmp_path, show).stdout)
    assert providers["activation:swish.swish"] == {
        "plugin": "swish",
        "distribution": "microframe-swish",
        "version": "4.5",
    }
    assert providers["layer:dense"]["plugin"] == "standard"


def test_a_local_class_predicts_where_it_is_registered_and_is_named_where_it_is_not(tmp_path):
    local = """
        import sys
        import numpy as np
        import microframe
        from microframe.standard.activations import Tanh

        if sys.argv[1] == "registered":
            @microframe.register
            class Mine(Tanh):
                pass
        try:
            if sys.argv[2] == "train":
                model = microframe.Model([{"type": "dense", "units": 2, "activation": "mine"}]).build((3,))
                model.save("model.h5")
            print(microframe.load("model.h5").layers[0].activation)
        except microframe.MicroframeError as error:
            print(type(error).__name__, error)
    """
    assert run_python(tmp_path, local, "registered", "train").stdout == "Mine()\n"
    assert run_python(tmp_path, local, "registered", "load").stdout == "Mine()\n"
    missing = run_python(tmp_path, local, "unregistered", "load").stdout
    assert missing.startswith(
        "PluginError model.h5: layers[0].activation: the activation 'local.mine' is a class that some"
    )
    assert "microframe.register" in missing
