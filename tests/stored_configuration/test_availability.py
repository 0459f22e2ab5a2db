from __future__ import annotations

import numpy as np
import pytest

from microframe import ModelFileError, PluginError, ProviderVersionWarning
from microframe.registry import registry
from microframe.version import __version__

SCALED = {"type": "dense", "units": 3, "activation": "parts.scale"}
LAYERS = [
    SCALED,
    {"type": "dense", "units": 3, "name": "dense_3"},
    SCALED,
    SCALED,
    {"type": "activation", "activation": "parts.scale", "name": "end"},
]
"""Five layers of two types, of which two have names, one the name that another would get."""


def refusal(file):
    """The lines of the error that loading ends in."""
    with pytest.raises(PluginError) as error:
        file.load()
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.1", "the newer 1.1"), ("0.9", "the older 0.9"), ("1.0.dev1", "another version, 1.0.dev1,")],
)
def test_another_version_of_a_plugin_is_a_warning_with_both_versions_and_the_layers(site, code, file, version, words):
    site.install("1.0", code.slope, code.inner)
    file.save(*LAYERS, {"type": "parts.twice", "inner": "leaky_relu"})
    site.install(version, code.slope, code.inner)
    with pytest.warns(ProviderVersionWarning) as caught:
        model = file.load()
    names = [node.name for node in model.network.nodes]
    assert names[:6] == ["dense_1", "dense_3", "dense_2", "dense_4", "end", "twice_1"]
    places = [f"{names[index]} (layers[{index}].activation)" for index in (0, 2, 3, 4)]
    assert [str(warning.message) for warning in caught] == [
        f"{file.path}: saved with microframe-parts 1.0, and {words} is installed, for {', '.join(places)}, "
        "twice_1 (layers[5])"
    ]


def test_a_warning_points_to_the_line_that_loads(site, code, tmp_path, file):
    site.install("1.0", code.slope)
    file.save(SCALED)
    site.install("1.1", code.slope)
    for call in ("load(path)", "Model.load(path)", "load(path)"):
        script = compile(f"import microframe\n\nmicroframe.{call}", "script.py", "exec")
        with pytest.warns(ProviderVersionWarning) as caught:
            exec(script, {"path": file.path, "__name__": "microframe_script"})
        assert [(warning.filename, warning.lineno) for warning in caught] == [("script.py", 3)]


def test_the_recorded_version_is_no_warning_and_neither_is_another_version_of_microframe(site, code, file, x):
    site.install("1.0", code.slope)
    expected = file.save(*LAYERS)
    file.edit(lambda manifest: manifest["providers"]["layer:dense"].update(distribution_version="0.0.1"))
    site.renew()
    np.testing.assert_array_equal(file.load().predict(x), expected)


def test_a_distribution_is_warned_of_once_where_layers_and_training_use_it(site, code, file):
    site.install("1.0", code.slope, code.steps)
    file.train(SCALED, optimizer="parts.follow")
    site.install("1.1", code.slope, code.steps)
    with pytest.warns(ProviderVersionWarning) as caught:
        assert file.load().configuration.training.optimizer.steps == (0.5,)
    assert len(caught) == 1


def test_the_plugin_of_another_distribution_does_not_take_the_place_of_the_recorded_one(site, code, file):
    site.install("1.0", code.slope)
    file.save(SCALED)
    site.remove()
    site.install("1.0", code.slope, distribution="parts-fork")
    first, *_, last = refusal(file)
    assert "microframe-parts 1.0" in first
    assert "parts-fork 1.0" in first
    assert last == 'pip install "microframe-parts>=1.0"'


@pytest.mark.parametrize("name", ["parts.py", "another_name.py"])
def test_a_plugin_that_was_added_by_hand_stands_in_without_a_warning(site, code, file, x, name, tmp_path):
    site.install("1.0", code.slope)
    expected = file.save(*LAYERS)
    site.remove()
    (tmp_path / name).write_text(site.module(code.factor))
    registry.plugins.add(str(tmp_path / name))
    model = file.load()
    np.testing.assert_array_equal(model.predict(x), expected)
    model.save(file.path)
    record = file.manifest["providers"][f"activation:{name.removesuffix('.py')}.scale"]
    assert (record["module"], record["distribution"], record["component_version"]) == (name, None, 2)
    site.renew()
    (line,) = refusal(file)
    assert f"from {name}, which was not installed: --plugin {name} loads it: dense_1 (layers[0].activation)" in line


def test_a_plugin_that_was_a_file_and_is_installed_now_is_no_warning(site, code, file, x, tmp_path):
    site.renew()
    (tmp_path / "parts.py").write_text(site.module(code.slope))
    registry.plugins.add(str(tmp_path / "parts.py"))
    expected = file.save(*LAYERS)
    site.install("1.0", code.slope)
    np.testing.assert_array_equal(file.load().predict(x), expected)


def test_everything_that_is_missing_is_said_at_once_with_the_line_that_installs_it(site, code, file, x):
    site.install("1.0", code.slope)
    site.install("0.3", code.inner, plugin="layers")
    site.install("2.0.post1+cpu", code.steps, plugin="follow")
    expected = file.train(*LAYERS, {"type": "layers.twice", "inner": "parts.scale"}, optimizer="follow.follow")
    for name in ("parts", "layers", "follow"):
        site.remove(f"microframe-{name}")
    assert refusal(file) == [
        f"{file.path}: the activation 'parts.scale' needs the plugin 'parts' from microframe-parts 1.0, not installed: "
        "dense_1 (layers[0].activation), dense_2 (layers[2].activation), dense_4 (layers[3].activation), "
        "end (layers[4].activation), twice_1 (layers[5].inner)",
        f"{file.path}: the layer 'layers.twice' needs the plugin 'layers' from microframe-layers 0.3, not installed: "
        "twice_1 (layers[5])",
        'pip install "microframe-layers>=0.3" "microframe-parts>=1.0"',
    ]
    site.install("1.0", code.slope)
    site.install("0.3", code.inner, plugin="layers")
    model = file.load()
    np.testing.assert_array_equal(model.predict(x), expected)
    for _ in range(2):
        with pytest.raises(PluginError) as error:
            model.fit(x, x[:, :1], epochs=1)
        assert str(error.value).splitlines() == [
            f"{file.path}: the optimizer 'follow.follow' needs the plugin 'follow' from microframe-follow "
            "2.0.post1+cpu, not installed: training.optimizer",
            'pip install "microframe-follow>=2.0.post1"',
        ]


def test_what_is_left_out_or_broken_is_said_beside_what_is_missing(site, code, file, capsys):
    site.install("1.0", code.slope)
    site.install("1.0", code.inner, plugin="layers")
    site.install("1.0", code.slope, plugin="more")
    file.save(SCALED, {"type": "layers.twice", "inner": "tanh"}, {"type": "activation", "activation": "more.scale"})
    site.remove()
    site.install("1.0", "raise RuntimeError('no luck')", plugin="layers")
    registry.plugins.block("more")
    missing, broken, left_out, line = refusal(file)
    assert "the activation 'parts.scale' needs the plugin 'parts' from microframe-parts 1.0, not installed" in missing
    assert "'layers', which is broken: RuntimeError: no luck" in broken
    assert left_out.endswith("the plugin 'more', left out on request: activation_1 (layers[2].activation)")
    assert line == 'pip install "microframe-parts>=1.0"'


def test_what_a_newer_version_saved_is_refused_with_the_line_that_installs_it(site, code, file):
    site.install("2.0", code.factor)
    file.save({"type": "activation", "activation": {"type": "parts.scale", "factor": 0.5}})
    site.install("1.0", code.slope)
    assert refusal(file) == [
        f"{file.path}: the activation 'parts.scale' was saved by version 2 of its class, from microframe-parts 2.0, "
        "and parts (microframe-parts 1.0) has version 1: activation_1 (layers[0].activation)",
        'pip install "microframe-parts>=2.0"',
    ]


def test_what_needs_a_newer_interface_is_refused_before_its_plugin_is_imported(site, code, file, capsys):
    site.install("1.0", code.slope)
    file.save(SCALED)
    file.edit(lambda manifest: manifest["providers"]["activation:parts.scale"].update(interface_version=9))
    site.install("1.0", "raise RuntimeError")
    assert refusal(file) == [
        f"{file.path}: the activation 'parts.scale' needs version 9 of the activation interface, and microframe "
        f"{__version__} has version 1: dense_1 (layers[0].activation)",
        f'pip install "microframe>{__version__}"',
    ]
    assert capsys.readouterr().err == ""


def test_a_class_that_its_plugin_has_lost_is_asked_for_in_the_version_that_had_it(site, code, file):
    site.install("1.0", code.slope)
    file.save(SCALED)
    site.install("2.0", code.steps)
    line, advice = refusal(file)
    assert "is from microframe-parts 1.0, and microframe-parts 2.0, which is installed, has none of that name" in line
    assert advice == 'pip install "microframe-parts==1.0"'


@pytest.mark.parametrize("content", ["steps", "broken"])
def test_what_is_missing_is_said_where_another_distribution_has_the_plugin_s_name(site, code, file, capsys, content):
    site.install("1.2", code.slope, distribution="micro-parts")
    file.save(SCALED)
    site.remove("micro-parts")
    site.install("3.0", "1 / 0" if content == "broken" else code.steps, distribution="other-parts")
    line, advice = refusal(file)
    assert line == (
        f"{file.path}: the activation 'parts.scale' needs the plugin 'parts' from micro-parts 1.2, not installed "
        "(another plugin of that name is from other-parts 3.0): dense_1 (layers[0].activation)"
    )
    assert advice == 'pip install "micro-parts>=1.2"'


def test_the_same_holds_where_the_other_one_is_left_out(site, code, file):
    site.install("1.2", code.slope, distribution="micro-parts")
    file.save(SCALED)
    site.remove("micro-parts")
    site.install("3.0", code.slope, distribution="other-parts")
    registry.plugins.block("other-parts")
    line, advice = refusal(file)
    assert "from micro-parts 1.2, not installed (another plugin of that name is from other-parts 3.0): dense_1" in line
    assert advice == 'pip install "micro-parts>=1.2"'


def test_where_the_missing_one_was_left_out_for_the_other_that_is_said(site, code, file):
    site.install("1.2", code.slope, distribution="micro-parts")
    file.save(SCALED)
    site.install("3.0", code.steps, distribution="other-parts")
    registry.plugins.block("micro-parts")
    (line,) = refusal(file)
    assert "needs the plugin 'parts' from micro-parts 1.2, left out on request (another plugin of that name" in line


def test_a_distribution_that_has_lost_its_plugin_to_another_is_asked_for_in_the_version_that_had_it(site, code, file):
    site.install("1.2", code.slope, distribution="micro-parts")
    file.save(SCALED)
    site.install("2.0", code.slope, plugin="renamed", distribution="micro-parts")
    site.install("3.0", code.steps, distribution="other-parts")
    line, advice = refusal(file)
    assert "; micro-parts 2.0, which is installed, has no such plugin (another plugin of that name is from " in line
    assert advice == 'pip install "micro-parts==1.2"'


def test_a_file_that_was_a_plugin_is_asked_for_where_an_installed_one_of_its_name_lacks_the_part(
    site, code, file, tmp_path
):
    site.renew()
    (tmp_path / "parts.py").write_text(site.module(code.slope))
    registry.plugins.add(str(tmp_path / "parts.py"))
    file.save(SCALED)
    site.install("3.0", code.steps, distribution="other-parts")
    (line,) = refusal(file)
    assert "from parts.py, which was not installed (another plugin of that name is from other-parts 3.0): " in line
    assert "--plugin parts.py loads it" in line


FORGED = 'good\npip install "evil"\n\x1b[2K'


def test_a_file_cannot_forge_lines_of_the_error_that_names_what_is_missing(site, code, file):
    site.install("1.0", code.slope)
    file.save(SCALED)
    site.remove()

    def forge(manifest):
        record = manifest["providers"].pop("activation:parts.scale")
        manifest["providers"][f"activation:parts.{FORGED}"] = record | {"distribution": FORGED}
        inner = {FORGED: f"parts.{FORGED}"}
        layer = {"type": "dense", "name": "last", "activation": {"type": f"parts.{FORGED}", FORGED: [inner]}}
        manifest["config"]["layers"].append(layer)
        manifest["layers"].append({"name": "last", "inputs": [], "output_shape": [], "trained": []})

    file.edit(forge)
    (line,) = refusal(file)
    assert line.isprintable()
    assert r'from good\npip install "evil"\n\x1b[2K 1.0, not installed: ' in line
    assert r'last (layers[2].activation.good\npip install "evil"\n\x1b[2K[0].good\npip install' in line


def test_a_file_cannot_forge_lines_of_a_warning(site, code, file):
    site.install("1.0", code.slope)
    file.save(SCALED)
    file.edit(lambda manifest: manifest["providers"]["activation:parts.scale"].update(distribution_version=FORGED))
    site.renew()
    with pytest.warns(ProviderVersionWarning) as caught:
        file.load()
    (warning,) = [str(warning.message) for warning in caught]
    assert "\n" not in warning
    assert "\x1b" not in warning
    assert r'good\npip install "evil"\n\x1b[2K' in warning


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "dense", "units": 2, FORGED: 1},
        {"type": "dense", "units": 2, "x" * 10**5: 1},
        {"type": "dense", "units": 2, "name": FORGED},
        {"type": "dense", "units": 2, "inputs": [FORGED]},
        {"type": FORGED},
        {"type": "x" * 10**5},
        {"type": f"{FORGED}.{FORGED}"},
        {"type": f"standard.{FORGED}"},
        {"type": f"local.{FORGED}"},
        {"type": "parts." + "x" * 10**5},
    ],
    ids=lambda layer: ",".join(f"{name}={value}"[:12] for name, value in layer.items()),
)
@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_file_cannot_forge_lines_of_the_error_that_says_what_is_not_valid(site, code, file, layer, is_recorded):
    site.install("1.0", code.slope)
    file.save({"type": "dense", "units": 2})

    def forge(manifest):
        manifest["config"]["layers"] = [layer]
        if is_recorded:
            manifest["providers"][f"layer:{layer['type']}"] = {"plugin": layer["type"].partition(".")[0]}

    file.edit(forge)
    with pytest.raises((PluginError, ModelFileError)) as error:
        file.load()
    lines = str(error.value).splitlines()
    assert all(line.isprintable() and len(line) < 1500 for line in lines)
    assert not any(line.startswith("pip install") for line in lines)


def test_a_file_without_records_is_read_as_it_is(site, code, file, x):
    site.install("1.0", code.slope)
    expected = file.save(*LAYERS)
    file.edit(lambda manifest: manifest["providers"].clear())
    site.install("1.1", code.slope)
    np.testing.assert_array_equal(file.load().predict(x), expected)
    site.remove()
    line, *_ = refusal(file)
    start = f"{file.path}: layers[0].activation.type: the activation 'parts.scale' needs the plugin 'parts', not "
    assert line.startswith(start)
