from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import tomllib
import types
import typing
from abc import abstractmethod
from typing import Annotated, Any, Literal

import msgspec
import pytest
import tomli_w
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from microframe.component import Component, Part, config, snake_case
from microframe.errors import ConfigError
from microframe.interfaces import (
    Activation,
    Callback,
    FittedLayer,
    Initializer,
    Layer,
    Loss,
    Metric,
    Optimizer,
    Schedule,
    Source,
)
from microframe.registry import KINDS, registry
from microframe.standard.activations import LeakyReLU, ReLU
from microframe.standard.layers import Dense, Standardize

PARTS = {f"{kind} {name}": registry.get(kind, name) for kind in KINDS for name in registry.standard_names(kind)}
every_part = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())

INTERFACES = {
    interface.kind: interface
    for interface in (Activation, Callback, Initializer, Layer, Loss, Metric, Optimizer, Schedule, Source)
}

SENSIBLE: dict[str, Any] = {
    "units": 3,
    "categories": 5,
    "rate": 0.25,
    "standard_deviation": 0.1,
    "shape": (2, -1),
    "activation": "relu",
    "value": 0.5,
    "seed": 7,
    "decay": 0.9,
    "every": 2,
    "epochs": 3,
    "seconds": 60.0,
    "inputs": "inputs.npy",
    "path": "log.csv",
}
"""A value for each field that a standard part requires."""

SENSIBLE_FOR = {("callback", "checkpoint"): {"last": "last.h5"}}
"""Fields that a part needs although each of them alone has a default."""


def example(part: type[Component]) -> Component:
    required = [field.name for field in part.fields() if field.default is dataclasses.MISSING]
    return part(**{name: SENSIBLE[name] for name in required}, **SENSIBLE_FOR.get((part.kind, part.type), {}))


def from_config(kind: str, values: Any) -> Any:
    problems: list[Any] = []
    component = INTERFACES[kind].from_value(values, (), problems)
    assert not problems, [str(problem) for problem in problems]
    return component


def through_toml(values: Any) -> Any:
    return tomllib.loads(tomli_w.dumps({"part": values}))["part"]


def value_for(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field with the annotation `hint` takes, by the annotation alone."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, Component):
        return st.sampled_from([part for part in PARTS.values() if issubclass(part, hint)]).map(example)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([value_for(argument) for argument in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(value_for(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*[value_for(argument) for argument in arguments])
    bounds = {
        name: getattr(meta, name)
        for meta in arguments[1:]
        if isinstance(meta, msgspec.Meta)
        for name in ("ge", "gt", "le", "lt")
        if getattr(meta, name) is not None
    }
    hint = arguments[0] if origin is Annotated else hint
    if hint is int:
        return st.integers(bounds.get("ge", -(2**70)), bounds.get("le", bounds.get("lt", 2**70) - 1))
    if hint is float:
        low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
        floats = st.floats(
            None if low is None else float(low),
            None if high is None else float(high),
            exclude_min="gt" in bounds,
            exclude_max="lt" in bounds,
            allow_nan=False,
        )
        return floats.filter(math.isfinite)
    return {bool: st.booleans(), str: st.text(), types.NoneType: st.none()}[hint]


def test_there_are_parts_of_every_kind():
    assert {part.kind for part in PARTS.values()} == set(KINDS)


@every_part
def test_from_component_to_config_and_back_is_the_identity(part):
    component = example(part)
    values = config(component)
    assert from_config(part.kind, values) == component
    assert from_config(part.kind, json.loads(json.dumps(values, allow_nan=False))) == component
    assert from_config(part.kind, through_toml(values)) == component


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_from_any_component_to_config_and_back_is_the_identity(kind, data):
    part = data.draw(st.sampled_from([part for part in PARTS.values() if part.kind == kind]))
    fields = {name: data.draw(value_for(hint), name) for name, hint in part.field_types().items()}
    try:
        component = part(**fields)
    except ConfigError as error:
        if any(problem.path != (part.__name__,) for problem in error.problems):
            raise
        reject()  # the fields are right, but do not fit together
    values = config(component)
    twin = from_config(kind, json.loads(json.dumps(values, allow_nan=False)))
    assert twin == component
    assert hash(twin) == hash(component)
    assert from_config(kind, through_toml(values)) == component


@every_part
def test_a_part_with_defaults_is_its_name(part):
    component = example(part)
    assert from_config(part.kind, {"type": part.type, **vars(component)}) == component
    if not SENSIBLE_FOR.get((part.kind, part.type)) and all(
        field.default is not dataclasses.MISSING for field in part.fields()
    ):
        assert from_config(part.kind, part.type) == component == part()


@every_part
@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda component: pickle.loads(pickle.dumps(component))])
def test_copies_of_a_part_are_equal_and_have_its_hash(part, make):
    component = example(part)
    twin = make(component)
    assert twin == component
    assert hash(twin) == hash(component)
    assert type(twin) is part


@every_part
def test_a_part_is_frozen(part):
    component = example(part)
    for name in [*part.field_types(), "anything"]:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(component, name, 1)


@every_part
def test_a_part_holds_its_configuration_and_nothing_else(part):
    component = example(part)
    assert set(vars(component)) == set(part.field_types())
    json.dumps(config(component))


@every_part
def test_a_part_evaluates_to_itself_from_what_it_shows(part):
    component = example(part)
    assert eval(repr(component), {cls.__name__: cls for cls in PARTS.values()} | {part.__name__: part}) == component


@every_part
def test_every_field_is_checked_and_all_problems_come_at_once(part):
    fields = part.field_types()
    with pytest.raises(ConfigError) as error:
        part(**dict.fromkeys(fields, object()), unknown_field=1)
    assert [problem.path for problem in error.value.problems] == [
        (part.__name__, "unknown_field"),
        *[(part.__name__, field.name) for field in part.fields()],
    ]
    assert all(problem.expected and problem.received for problem in error.value.problems)


@every_part
def test_a_misspelt_field_gets_the_nearest_name(part):
    for name in part.field_types():
        if len(name) > 3:
            problems: list[Any] = []
            part.from_value({"type": part.type, name[:-1] + "x": 1}, (), problems)
            assert problems[0].suggestion is not None
            assert problems[0].path == (name[:-1] + "x",)


@every_part
def test_an_optional_field_is_none_unless_given(part):
    """TOML has no null, so a field that can be None must be None by default, or None could not be written."""
    for name, hint in part.field_types().items():
        if types.NoneType in typing.get_args(hint):
            assert part.parsed_default(name) is None


@every_part
def test_a_part_says_what_it_is(part):
    assert part.__doc__
    assert not part.__doc__.startswith(f"{part.__name__}("), "this is what dataclasses make up"


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Dense", "dense"),
        ("LayerNorm", "layer_norm"),
        ("ELU", "elu"),
        ("ReLU", "re_lu"),
        ("HTTPServer", "http_server"),
        ("LSTM", "lstm"),
        ("SimpleRNN", "simple_rnn"),
        ("HTTP2Source", "http2_source"),
        ("Base64URL", "base64_url"),
        ("Conv2D", "conv2d"),
        ("MaxPool1D", "max_pool1d"),
        ("ConvLSTM2D", "conv_lstm2d"),
        ("Conv2DLSTM", "conv2d_lstm"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("Level2Dense", "level2_dense"),
        ("F1", "f1"),
        ("already_snake", "already_snake"),
    ],
)
def test_the_name_is_the_class_name_in_snake_case(name, snake):
    assert snake_case(name) == snake


OWN_NAMES = {
    "ActivationLayer": "activation",
    "AdamW": "adamw",
    "LeakyReLU": "leaky_relu",
    "RMSprop": "rmsprop",
    "ROCAUC": "roc_auc",
    "ReLU": "relu",
    "RootMeanSquaredError": "rmse",
    "SiLU": "silu",
}
"""The names of standard classes that set them, as they are not the names that would follow."""


@every_part
def test_standard_names_follow_from_the_classes_but_for_those_that_are_written_otherwise(part):
    assert part.type == OWN_NAMES.get(part.__name__, snake_case(part.__name__))


@pytest.mark.parametrize(
    "name",
    [
        *("conv1d", "conv2d", "depthwise_conv2d", "separable_conv2d", "conv2d_transpose"),
        *(f"{kind}_pool{axes}d" for kind in ("max", "average", "global_max", "global_average") for axes in (1, 2)),
        *(f"{kind}{axes}d" for kind in ("zero_padding", "upsampling", "spatial_dropout") for axes in (1, 2)),
    ],
)
def test_the_dimensions_in_the_name_of_a_class_are_part_of_the_word_before_them(name):
    words = [word.capitalize() if not word.endswith("d") else word[:-1].capitalize() + "D" for word in name.split("_")]
    assert snake_case("".join(words)) == name


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9]*", fullmatch=True))
def test_snake_case_is_a_plain_word_that_stays_as_it_is(name):
    snake = snake_case(name)
    assert snake.isidentifier()
    assert snake == snake.lower() == snake_case(snake)
    assert snake.replace("_", "") == name.lower()


def test_a_class_may_set_its_name_and_its_subclass_gets_one_of_its_own():
    class Named(Activation):
        type = "other"

    class Derived(Named):
        pass

    assert (Named.type, Derived.type) == ("other", "derived")
    assert Derived.kind == "activation"


@pytest.mark.parametrize("name", ["type", "kind"])
def test_the_name_of_a_part_is_no_field_of_it(name):
    with pytest.raises(TypeError, match=rf"Wrong\.{name} is no field: write {name} = \.\.\. without a type"):
        type("Wrong", (Activation,), {name: "x", "__annotations__": {name: str}, "__module__": __name__})


def test_an_abstract_part_cannot_be_made():
    class Half(Activation):
        @abstractmethod
        def forward(self, x, out): ...

    with pytest.raises(TypeError, match="abstract"):
        Half()


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        (3, (), "expected an activation (its name, or a table with its type), received 3"),
        (None, (), "expected an activation (its name, or a table with its type), received None"),
        (["relu"], (), "expected an activation (its name, or a table with its type), received ['relu']"),
        (
            {"slope": 1},
            (),
            "expected an activation (its name, or a table with its type), received a table without 'type'",
        ),
        (
            {"type": 3},
            (),
            "expected an activation (its name, or a table with its type), received a table without 'type'",
        ),
        (Dense(1), (), "expected an activation (its name, or a table with its type), received Dense(1)"),
        (ReLU, (), "expected an activation (its name, or a table with its type), received "),
        ({"type": "leaky_relu", "slope": "x"}, ("slope",), "expected a number of at least 0"),
        ({"type": "relu", "slope": 1}, ("slope",), "expected no fields, received an unknown field"),
        ({"type": "reul"}, ("type",), "expected the name of a known activation: one of "),
        ("reul", (), "expected the name of a known activation: one of "),
        ("dense", (), "expected the name of a known activation: one of "),
        ("", (), "expected the name of a known activation: one of "),
    ],
)
def test_what_is_no_part_of_the_kind_is_described(value, path, text):
    problems: list[Any] = []
    assert Activation.from_value(value, ("here",), problems) is None
    (problem,) = problems
    assert problem.path == ("here", *path)
    assert str(problem).partition(": ")[2].startswith(text)


def test_a_misspelt_part_gets_the_nearest_name():
    problems: list[Any] = []
    Activation.from_value("leakyrelu", (), problems)
    assert problems[0].suggestion == "leaky_relu"


def test_a_field_may_ask_for_a_special_kind_of_part():
    class Pipeline(Layer):
        first: Part[FittedLayer]

        def build(self, scope, input_shape): ...
        def forward(self, ctx, x): ...
        def backward(self, ctx, dy): ...

    assert Pipeline("standardize").first == Standardize()
    with pytest.raises(ConfigError, match=r"Pipeline\.first\.type: expected a kind of fitted_layer, received 'dense'"):
        Pipeline({"type": "dense", "units": 1})


def test_parts_within_parts_are_configured_to_any_depth():
    optimizer = from_config(
        "optimizer",
        {"type": "sgd", "schedule": {"type": "warmup", "epochs": 2, "then": {"type": "cosine"}}},
    )
    assert config(optimizer)["schedule"]["then"]["type"] == "cosine"
    problems: list[Any] = []
    Optimizer.from_value(
        {"type": "sgd", "schedule": {"type": "warmup", "epochs": 0, "then": "cosin"}}, ("o",), problems
    )
    assert [problem.path for problem in problems] == [("o", "schedule", "epochs"), ("o", "schedule", "then")]


def test_equal_fields_of_two_classes_are_two_things():
    assert registry.get("initializer", "zeros")() != registry.get("initializer", "ones")()
    assert LeakyReLU(0.2) == LeakyReLU(slope=0.2)
    assert math.isclose(LeakyReLU(0.2).slope, 0.2)


def test_a_class_that_nobody_registered_has_no_config():
    class Stray(Initializer):
        def fill(self, out, rng): ...

    with pytest.raises(ConfigError, match=r"Stray is not registered, .*microframe\.register"):
        config(Stray())
