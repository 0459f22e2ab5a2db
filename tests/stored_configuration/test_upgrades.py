from __future__ import annotations

import numpy as np
import pytest

from microframe import ModelFileError, PluginError, ProviderVersionWarning

DENSE = {"type": "dense", "units": 4}
QUARTER = {"type": "parts.scale", "slope": 0.25}


def activation(given):
    return {"type": "activation", "activation": given}


@pytest.mark.parametrize("layer", [DENSE, {"type": "activation"}], ids=["in a dense layer", "in one of its own"])
@pytest.mark.parametrize(
    ("older", "given", "factor"),
    [("slope", QUARTER, 0.25), ("slope", "parts.scale", 0.5), ("half", "parts.scale", 0.5)],
    ids=["table", "name", "name alone"],
)
def test_what_an_older_version_saved_is_upgraded(site, code, file, x, older, given, factor, layer):
    site.install("1.0", getattr(code, older))
    expected = file.save({**layer, "activation": given})
    site.install("2.0", code.factor)
    model = file.load_silently()
    assert model.layers[0].activation.factor == factor
    np.testing.assert_array_equal(model.predict(x), expected)


def test_components_inside_one_that_is_upgraded_are_upgraded_after_it_and_new_defaults_are_not(site, code, file, x):
    site.install("1.0", code.slope, code.inner)
    expected = file.save({"type": "parts.twice", "inner": QUARTER})
    site.install("2.0", code.factor, code.activations)
    model = file.load_silently()
    assert [part.factor for part in (*model.layers[0].activations, model.layers[0].other)] == [0.25, 7.0]
    np.testing.assert_array_equal(model.predict(x), expected)


def test_saving_again_writes_the_upgraded_fields_and_the_new_versions(site, code, file, x):
    site.install("1.0", code.slope)
    expected = file.save(activation(QUARTER))
    file.edit(lambda manifest: manifest["providers"].update({"layer:of.yesterday": {"plugin": "of"}}))
    site.install("2.0", code.factor)
    file.load_silently().save(file.path)
    assert "layer:of.yesterday" not in file.manifest["providers"], "nothing needs it"
    assert file.manifest["config"]["layers"][0]["activation"] == {"type": "parts.scale", "factor": 0.25}
    record = file.manifest["providers"]["activation:parts.scale"]
    assert (record["component_version"], record["distribution_version"]) == (2, "2.0")
    site.renew()
    np.testing.assert_array_equal(file.load().predict(x), expected)


def test_parts_of_the_training_stay_as_they_were_saved_until_they_are_asked_for(site, code, file, x):
    def versions():
        records = file.manifest["providers"]
        return [records[key]["component_version"] for key in ("activation:parts.scale", "optimizer:follow.follow")]

    site.install("1.0", code.slope)
    site.install("1.0", code.steps, plugin="follow")
    file.train(activation(QUARTER), optimizer={"type": "follow.follow", "steps": [0.25]})
    site.install("2.0", code.factor)
    site.remove("microframe-follow")
    file.load_silently().save(file.path)
    assert file.manifest["config"]["layers"][0]["activation"]["factor"] == 0.25
    assert file.manifest["config"]["training"]["optimizer"]["steps"] == [0.25]
    assert versions() == [2, 1]

    site.install("2.0", code.stride, plugin="follow")
    model = file.load()
    with pytest.warns(
        ProviderVersionWarning, match=r"microframe-follow 1\.0, and the newer 2\.0 .*training\.optimizer"
    ):
        assert model.configuration.training.optimizer.stride == 0.25
    assert model.configuration.layers[0] is model.layers[0]
    model.save(file.path)
    assert file.manifest["config"]["training"]["optimizer"]["stride"] == 0.25
    assert versions() == [2, 2]
    model.fit(x, x[:, :1], epochs=2, resume=True)
    assert model.history.epochs == 2


def test_a_checkpoint_is_read_after_an_upgrade_that_changed_what_it_was_given(site, code, file):
    site.install("1.0", code.slope, code.steps)
    file.train(activation("parts.scale"), optimizer="parts.follow")
    site.install("2.0", code.factor, code.stride)
    model = file.load_silently()
    assert model.configuration.training.optimizer.stride == 0.5
    assert model.checkpoint.progress["epoch"] == 1


def test_where_the_training_has_a_part_of_an_upgraded_class_too_a_file_is_written_as_it_was_read(site, code, file):
    """One record cannot say that the layers' part is upgraded and the training's, which nobody has read, is not."""
    site.install("1.0", code.slope)
    file.save(activation(QUARTER))
    file.edit(lambda manifest: manifest["config"].update(training={"loss": {"type": "gone.loss", "scale": [QUARTER]}}))
    stored = file.manifest
    site.install("2.0", code.factor)
    model = file.load_silently()
    model.save(file.path)
    assert file.manifest == stored
    assert file.load_silently().layers == model.layers


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("return config['factor']", "KeyError: 'factor'"),
        ("config['factor'] = 1.0", "TypeError: expected a dict of fields, received None"),
        ("return {**config, 'type': 'other'}", "TypeError: expected a dict of fields, received {'slope': "),
    ],
)
def test_an_upgrade_that_fails_is_an_error_of_the_plugin(site, code, file, body, reason):
    site.install("1.0", code.slope)
    file.save({**DENSE, "activation": "parts.scale"})
    upgrade = f"version = 4\n    @classmethod\n    def upgrade(cls, config, from_version):\n        {body}\n"
    site.install("2.0", code.with_upgrade(upgrade))
    with pytest.raises(PluginError) as error:
        file.load()
    start = "parts (microframe-parts 2.0) cannot upgrade the activation 'parts.scale' from version 1 to 4: "
    assert str(error.value).startswith(f"{file.path}: {start}{reason}")
    assert str(error.value).endswith(": dense_1 (layers[0].activation)")
    assert type(error.value.__cause__.__cause__).__name__ == reason.partition(":")[0]


def test_an_upgrade_to_fields_that_the_class_has_not_is_found_when_they_are_checked(site, code, file):
    site.install("1.0", code.slope)
    file.save(activation("parts.scale"))
    site.install("2.0", code.factor.replace('{"factor": ', '{"factro": '))
    with (
        pytest.warns(ProviderVersionWarning),
        pytest.raises(ModelFileError, match=r"layers\[0\]\.activation\.factro: expected one of 'factor'"),
    ):
        file.load()
