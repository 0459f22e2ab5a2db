from __future__ import annotations

import json
import shutil

NEEDS = "ModelPluginError model.h5: the activation 'swish.swish' needs the plugin 'swish'"
PLACE = ": dense_1 (layers[0].activation)"

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


def test_a_model_names_its_plugins_and_only_those_are_imported_for_prediction(
    tmp_path, swish, marker, write_distribution, run_python
):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": marker + swish()})
    write_distribution(
        tmp_path, "microframe-follow", {"follow": "follow_module"}, {"follow_module": marker + OPTIMIZER}
    )
    write_distribution(
        tmp_path, "unused", {"unused": "unused_module"}, {"unused_module": marker + "raise RuntimeError"}
    )
    trained = run_python(TRAIN, "swish.swish", "follow.follow", site=tmp_path)
    assert (trained.returncode, trained.stderr) == (0, "")
    assert not (tmp_path / "unused_module.imported").exists()
    for name in ("swish_module", "follow_module"):
        (tmp_path / f"{name}.imported").unlink()

    predicted = run_python(PREDICT, site=tmp_path)
    assert (predicted.stdout, predicted.stderr) == ("True\n", "")
    assert (tmp_path / "swish_module.imported").exists()
    assert not (tmp_path / "follow_module.imported").exists(), "the optimizer is not needed for a prediction"
    assert not (tmp_path / "unused_module.imported").exists()
    assert run_python(PREDICT, "microframe-follow", site=tmp_path).stdout == "True\n"
    assert run_python(PREDICT, "swish", site=tmp_path).stdout == f"{NEEDS}, left out on request{PLACE}\n"


def test_a_plugin_that_is_gone_or_broken_is_named_when_a_model_needs_it(
    tmp_path, swish, write_distribution, run_python
):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()})
    assert run_python(TRAIN, "swish", "sgd", site=tmp_path).stderr == ""
    (tmp_path / "swish_module.py").write_text("import sys\nsys.exit(5)")
    broken = run_python(PREDICT, site=tmp_path)
    assert broken.returncode == 0
    assert broken.stdout.startswith(f"{NEEDS}, which is broken")
    assert broken.stdout.endswith(f"{PLACE}\n")
    assert broken.stderr.splitlines() == ["microframe: plugin swish (microframe-swish 1.0) is left out: SystemExit: 5"]
    shutil.rmtree(tmp_path / "microframe_swish-1.0.dist-info")
    assert run_python(PREDICT, site=tmp_path).stdout.splitlines() == [
        f"{NEEDS} from microframe-swish 1.0, not installed{PLACE}",
        'pip install "microframe-swish>=1.0"',
    ]


def test_what_a_plugin_provides_is_recorded_in_the_file(tmp_path, swish, write_distribution, run_python):
    write_distribution(tmp_path, "microframe-swish", {"swish": "swish_module"}, {"swish_module": swish()}, "4.5")
    assert run_python(TRAIN, "swish", "sgd", site=tmp_path).stderr == ""
    show = """
        import json
        from microframe.storage import ModelFile
        with ModelFile("model.h5") as file:
            print(json.dumps(file.manifest["providers"]))
    """
    providers = json.loads(run_python(show, site=tmp_path).stdout)
    assert providers["activation:swish.swish"] == {
        "plugin": "swish",
        "module": "swish_module",
        "distribution": "microframe-swish",
        "distribution_version": "4.5",
        "component_version": 1,
        "interface_version": 1,
    }
    assert providers["layer:dense"]["plugin"] == "standard"


def test_a_local_class_predicts_where_it_is_registered_and_is_named_where_it_is_not(tmp_path, run_python):
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
    assert run_python(local, "registered", "train", site=tmp_path).stdout == "Mine()\n"
    assert run_python(local, "registered", "load", site=tmp_path).stdout == "Mine()\n"
    missing = run_python(local, "unregistered", "load", site=tmp_path).stdout
    assert missing == (
        "ModelPluginError model.h5: the activation 'local.mine' is a class of the module '__main__', where it was "
        "passed to microframe.register: do that here too, or provide it from a plugin, which --plugin loads: "
        "dense_1 (layers[0].activation)\n"
    )
