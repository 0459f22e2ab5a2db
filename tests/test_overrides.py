from __future__ import annotations

import copy

import pytest

from microframe.configuration import Configuration
from microframe.overrides import apply_overrides

FILE = {
    "layers": [
        {"type": "dense", "units": 4, "name": "wide"},
        "flatten",
        {"type": "dense", "units": 4, "activation": "leaky_relu", "kernel_initializer": {"type": "normal"}},
    ],
    "data": {"source": {"type": "csv", "path": "a.csv"}},
    "training": {"loss": "cross_entropy", "callbacks": ["early_stopping", {"type": "time_limit", "seconds": 1}]},
}


def apply(*overrides, values=None):
    values = copy.deepcopy(FILE if values is None else values)
    problems = []
    applied = apply_overrides(values, overrides, Configuration, problems)
    return values, applied, problems


def result_of(*overrides, values=None):
    changed, applied, problems = apply(*overrides, values=values)
    assert not problems, str(problems[0])
    assert [override.text for override in applied] == list(overrides)
    return changed


def message_of(override):
    changed, applied, problems = apply(override)
    assert changed == FILE, "nothing is changed by what cannot be set"
    assert not applied
    (problem,) = problems
    return str(problem)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("dtype=float64", ("dtype",), "float64"),
        ("training.epochs=3", ("training", "epochs"), 3),
        ("epochs=3", ("training", "epochs"), 3),
        ("test=0.25", ("data", "test"), 0.25),
        ("source.path=b.csv", ("data", "source", "path"), "b.csv"),
        ("source=digits", ("data", "source"), "digits"),
        ("layers.0.units=8", ("layers", 0, "units"), 8),
        ("layers.wide.units=8", ("layers", 0, "units"), 8),
        ("layers.wide.activation=relu", ("layers", 0, "activation"), "relu"),
        ("layers.1=dense", ("layers", 1), "dense"),
        ("layers.2.kernel_initializer.mean=1", ("layers", 2, "kernel_initializer", "mean"), 1),
        ("loss=hinge", ("training", "loss"), "hinge"),
        ("callbacks.1.seconds=2.5", ("training", "callbacks", 1, "seconds"), 2.5),
        ("metrics=['accuracy']", ("training", "metrics"), ["accuracy"]),
        ("optimizer={type='sgd', momentum=0.9}", ("training", "optimizer"), {"type": "sgd", "momentum": 0.9}),
    ],
)
def test_a_path_leads_from_the_root_or_from_a_section_to_the_value(override, path, value):
    changed, (applied,), problems = apply(override)
    assert not problems
    assert applied.path == path
    place = changed
    for step in path:
        place = place[step]
    assert place == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("1e-3", 1e-3),
        ("true", True),
        ("'text'", "text"),
        ('"a=b"', "a=b"),
        ("[1, 2]", [1, 2]),
        ("{ a = 1 }", {"a": 1}),
        ("plain text", "plain text"),
        ("a=b", "a=b"),
        ("", ""),
        ("/data/table.csv", "/data/table.csv"),
        ("True", "True"),
        ("  7 ", 7),
    ],
)
@pytest.mark.parametrize("field", ["epochs", "shuffle", "optimizer", "layers.0.none"])
def test_a_value_is_toml_or_a_string(field, text, value):
    values = {"layers": ["dense"], "training": {}}
    changed = result_of(f"{field}={text}", values=values)
    given = changed["layers"][0]["none"] if field == "layers.0.none" else changed["training"][field]
    assert given == value
    assert type(given) is type(value)


@pytest.mark.parametrize(
    "text", ["2024", "-1.50", "1e3", "007", "true", "2024-01-31", "nan", "[1]", "{ a = 1 }", "text", ""]
)
@pytest.mark.parametrize("field", ["description", "source.path", "layers.wide.name", "layers.1.inputs.0"])
def test_a_field_of_text_takes_whatever_is_written(field, text):
    values = copy.deepcopy(FILE)
    values["layers"][1] = {"type": "flatten", "inputs": ["wide"]}
    changed = result_of(f"{field}={text}", values=values)
    given = {
        "description": changed.get("description"),
        "source.path": changed["data"]["source"]["path"],
        "layers.wide.name": changed["layers"][0].get("name"),
        "layers.1.inputs.0": changed["layers"][1]["inputs"][0],
    }
    assert given[field] == text


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("source.target=2", "target", 2),
        ("source.target=-1", "target", -1),
        ("source.target='2'", "target", "2"),
        ("source.target=2.5", "target", "2.5"),
        ("source.target=[1, 'b']", "target", [1, "b"]),
        ("source.header=true", "header", True),
        ("source.header=1", "header", 1),
        ("source.rows=[0, 5]", "rows", [0, 5]),
    ],
)
def test_a_field_of_text_or_numbers_takes_the_number(override, field, value):
    given = result_of(override)["data"]["source"][field]
    assert given == value
    assert type(given) is type(value)


@pytest.mark.parametrize(
    ("override", "opened"),
    [
        ("loss.label_smoothing=0.1", {"type": "cross_entropy", "label_smoothing": 0.1}),
        ("training.loss.label_smoothing=0.1", {"type": "cross_entropy", "label_smoothing": 0.1}),
    ],
)
def test_a_component_given_as_a_name_is_opened_up(override, opened):
    assert result_of(override)["training"]["loss"] == opened


def test_a_component_within_a_list_is_opened_up():
    assert result_of("callbacks.0.patience=3")["training"]["callbacks"][0] == {"type": "early_stopping", "patience": 3}
    assert result_of("layers.2.activation.slope=0.3")["layers"][2]["activation"] == {"type": "leaky_relu", "slope": 0.3}


def test_a_default_is_opened_up():
    optimizer = result_of("optimizer.learning_rate=0.5")["training"]["optimizer"]
    assert (optimizer["type"], optimizer["learning_rate"], optimizer["beta_1"]) == ("adam", 0.5, 0.9)


def test_the_default_of_a_component_is_opened_up():
    layer = result_of("layers.wide.kernel_initializer.gain=2")["layers"][0]
    assert layer["kernel_initializer"] == {"type": "glorot_uniform", "gain": 2}
    assert result_of("layers.wide.activation.type=relu")["layers"][0]["activation"] == {"type": "relu"}


def test_an_optional_component_is_made_by_its_type():
    optimizer = result_of("optimizer.schedule.type=step", "optimizer.schedule.every=3")["training"]["optimizer"]
    assert optimizer["schedule"] == {"type": "step", "every": 3}


def test_a_section_that_is_not_there_is_made():
    values = {"layers": ["flatten"]}
    assert result_of("training.loss=hinge", "epochs=3", values=values)["training"] == {"loss": "hinge", "epochs": 3}
    assert result_of("source.type=csv", values=values)["data"] == {"source": {"type": "csv"}}


def test_overrides_apply_in_order():
    changed = result_of("layers.wide.name=narrow", "layers.narrow.units=2", "layers.0.units=3")
    assert changed["layers"][0] == {"type": "dense", "units": 3, "name": "narrow"}


@pytest.mark.parametrize("override", ["epochs", "", "=3", ".epochs=3", "layers..units=3", "epochs.=3"])
def test_what_is_no_setting_is_shown_one(override):
    assert message_of(override) == (
        f"--set: expected path=value, such as optimizer.learning_rate=0.01, received {override!r}"
    )


@pytest.mark.parametrize(
    ("override", "meant"), [("epoch=3", "epochs"), ("layer.0.units=3", "layers"), ("optimiser=sgd", "optimizer")]
)
def test_a_path_that_starts_nowhere_gets_the_nearest_beginning(override, meant):
    message = message_of(override)
    assert message.startswith("--set: expected a path that starts with one of 'layers', 'data', 'training', ")
    assert message.endswith(f"received {override.partition('=')[0]!r} (did you mean {meant!r}?)")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("layers.3.units=1", "layers: expected a number less than 3 or one of 'wide', received '3'"),
        ("layers.-1.units=1", "layers: expected a number less than 3 or one of 'wide', received '-1'"),
        (
            "layers.wid.units=1",
            "layers: expected a number less than 3 or one of 'wide', received 'wid' (did you mean 'wide'?)",
        ),
        ("callbacks.2=x", "training.callbacks: expected a number less than 2, received '2'"),
        ("metrics.0=accuracy", "training.metrics: expected a number less than 0, received '0'"),
        ("layers.0.units.x=1", "layers[0].units: expected a table, to set 'x' in it, received 4"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends(override, message):
    changed, applied, problems = apply(override)
    assert not applied
    assert [str(problem) for problem in problems] == [f"--set {override}: {message}"]
    Configuration.parse(changed)


def test_every_override_that_cannot_be_set_is_reported():
    _, applied, problems = apply("epochs", "epochs=3", "layers.9.units=3", "nothing=1")
    assert [override.text for override in applied] == ["epochs=3"]
    assert len(problems) == 3
