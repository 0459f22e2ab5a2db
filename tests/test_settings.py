from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pytest

from microframe.component import Part, config
from microframe.errors import ConfigError
from microframe.interfaces import Activation, Initializer, Loss
from microframe.settings import Settings
from microframe.standard.activations import LeakyReLU, ReLU
from microframe.values import PositiveInteger, ProperFraction

if TYPE_CHECKING:
    from decimal import Decimal


class Inner(Settings):
    count: PositiveInteger
    share: ProperFraction = 0.5


class Outer(Settings):
    inner: Inner
    others: tuple[Inner, ...] = ()
    maybe: Inner | None = None
    activation: Part[Activation] = Part("relu")
    activations: Part[tuple[Activation, ...]] = Part(())
    constant: ClassVar[int] = 3
    _: KW_ONLY
    name: str | None = None
    mode: Literal["fast", "slow"] = "fast"


class Ordered(Settings):
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        if self.low >= self.high:
            raise ValueError("low to be less than high")


class Optional(Settings):
    activation: Part[Activation | None] = Part(None)
    start: Part[Initializer | float] = Part(0.0)


class Extended(Inner):
    label: str = "x"


class Uncheckable(Settings):
    table: dict[str, Inner]


class Unimportable(Settings):
    number: Decimal = 0


FULL = Outer(Inner(1), [Inner(2)], Inner(3), "tanh", ["relu", LeakyReLU(0.2)], name="n", mode="slow")


def problems_of(make):
    with pytest.raises(ConfigError) as error:
        make()
    return [str(problem) for problem in error.value.problems]


def test_fields_are_given_by_position_or_by_name():
    assert Inner(1, 0.25) == Inner(count=1, share=0.25) == Inner(1, share=0.25)
    assert (Inner(1).count, Inner(1).share) == (1, 0.5)


def test_keyword_only_fields_come_last_and_are_not_given_by_position():
    assert [field.name for field in Outer.fields()][-2:] == ["name", "mode"]
    assert problems_of(lambda: Outer(Inner(1), (), None, "relu", (), "n")) == [
        "Outer: expected at most 5 positional values, received 6"
    ]


def test_what_is_annotated_as_a_class_variable_is_no_field():
    assert "constant" not in Outer.field_types()
    assert Outer(Inner(1)).constant == 3


def test_a_subclass_adds_its_fields():
    assert Extended(1, 0.5, "y").to_config() == {"count": 1, "share": 0.5, "label": "y"}


def test_settings_take_tables_where_they_hold_settings():
    assert Outer({"count": 1}, [{"count": 2}], {"count": 3}) == Outer(Inner(1), (Inner(2),), Inner(3))


def test_a_component_is_given_as_itself_by_name_or_as_a_table():
    table = {"type": "leaky_relu", "slope": 0.2}
    assert Outer(Inner(1), activation=table).activation == LeakyReLU(0.2)
    assert Outer(Inner(1), activation="relu").activation == ReLU()
    assert Outer(Inner(1)).activation == ReLU()
    assert Outer(Inner(1), activations=["relu", table]).activations == (ReLU(), LeakyReLU(0.2))


def test_an_optional_component_may_be_none():
    assert Optional().activation is None
    assert Optional("relu").activation == ReLU()


def test_a_field_of_a_component_or_a_number_takes_both():
    assert Optional(start=2).start == 2.0
    assert Optional(start="zeros").start.type == "zeros"
    (problem,) = problems_of(lambda: Optional(start=True))
    assert problem == "Optional.start: expected a number, received True"


def test_every_problem_is_reported_at_once_with_its_path():
    assert problems_of(
        lambda: Outer(
            {"count": 0, "share": 1.0},
            [{"count": 1}, {"share": "x"}, 3],
            maybe="no",
            activation="reul",
            activations=[{"type": "leaky_relu", "slpoe": 0.2}, {"slope": 0.2}],
            name=3,
            mode="fsat",
            nmae="x",
        )
    ) == [
        "Outer.nmae: expected one of 'inner', 'others', 'maybe', 'activation', 'activations', 'name', 'mode', "
        "received an unknown field (did you mean 'name'?)",
        "Outer.inner.count: expected a whole number of at least 1, received 0",
        "Outer.inner.share: expected a number of at least 0 and less than 1, received 1.0",
        "Outer.others[1].count: expected a whole number of at least 1, received nothing",
        "Outer.others[1].share: expected a number of at least 0 and less than 1, received 'x'",
        "Outer.others[2]: expected a table, received 3",
        "Outer.maybe: expected a table, received 'no'",
        problems_of(lambda: Outer(Inner(1), activation="reul"))[0],
        "Outer.activations[0].slpoe: expected one of 'slope', received an unknown field (did you mean 'slope'?)",
        "Outer.activations[1]: expected an activation (its name, or a table with its type), "
        "received a table without 'type'",
        "Outer.name: expected a string, received 3",
        "Outer.mode: expected one of 'fast', 'slow', received 'fsat' (did you mean 'fast'?)",
    ]


def test_a_required_field_that_is_missing_is_named():
    assert problems_of(Inner) == ["Inner.count: expected a whole number of at least 1, received nothing"]
    assert problems_of(Outer)[0].startswith("Outer.inner: expected ")


def test_a_field_given_twice_is_refused():
    assert problems_of(lambda: Inner(1, count=2)) == [
        "Inner.count: expected one value, received one by position, one by name"
    ]


def test_a_list_is_not_a_table_and_a_string_is_no_list():
    assert problems_of(lambda: Outer([1])) == ["Outer.inner: expected a table, received [1]"]
    assert problems_of(lambda: Outer(Inner(1), activations="relu")) == [
        "Outer.activations: expected a list, received 'relu'"
    ]


def test_fields_are_checked_together_once_each_is_right_alone():
    assert problems_of(lambda: Ordered(2, 1)) == [
        "Ordered: expected low to be less than high, received low = 2, high = 1"
    ]
    assert problems_of(lambda: Ordered("a", 1)) == ["Ordered.low: expected a number, received 'a'"]


@pytest.mark.parametrize("change", [lambda: setattr(FULL, "name", "x"), lambda: setattr(FULL, "new", 1)])
def test_settings_are_frozen(change):
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"dataclasses\.replace"):
        change()


def test_fields_cannot_be_deleted():
    with pytest.raises(dataclasses.FrozenInstanceError):
        del FULL.name


def test_changing_a_copy_checks_it_again():
    assert dataclasses.replace(FULL, name="x").name == "x"
    assert dataclasses.replace(FULL, name="x").others == FULL.others
    assert problems_of(lambda: dataclasses.replace(FULL, mode="x")) == [
        "Outer.mode: expected one of 'fast', 'slow', received 'x'"
    ]
    assert problems_of(lambda: dataclasses.replace(Ordered(0, 1), high=0)) != []


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_equal_with_the_same_hash(make):
    twin = make(FULL)
    assert twin == FULL
    assert hash(twin) == hash(FULL)
    assert type(twin) is Outer


def test_equality_is_of_class_and_fields():
    assert Inner(1) == Inner(1, 0.5)
    assert Inner(1) != Inner(2)
    assert Extended(1) != Inner(1)
    assert Inner(1) != (1, 0.5)
    assert len({Inner(1), Inner(1, 0.5), Inner(2)}) == 2


def test_a_list_given_is_copied():
    others = [Inner(1)]
    outer = Outer(Inner(1), others)
    others.append(Inner(2))
    assert outer.others == (Inner(1),)


def test_the_representation_shows_what_differs_from_the_defaults_and_evaluates():
    assert repr(Inner(1)) == "Inner(1)"
    assert repr(Outer(Inner(1))) == "Outer(Inner(1))"
    assert repr(Outer(Inner(1), name="n")) == "Outer(Inner(1), name='n')"
    names = {"Outer": Outer, "Inner": Inner, "LeakyReLU": LeakyReLU, "ReLU": ReLU, "Tanh": type(FULL.activation)}
    assert eval(repr(FULL), names) == FULL


def test_the_configuration_of_settings_is_plain_and_leads_back():
    values = config(FULL)
    assert values == {
        "inner": {"count": 1, "share": 0.5},
        "others": [{"count": 2, "share": 0.5}],
        "maybe": {"count": 3, "share": 0.5},
        "activation": "tanh",
        "activations": ["relu", {"type": "leaky_relu", "slope": 0.2}],
        "name": "n",
        "mode": "slow",
    }
    assert Outer(**values) == FULL


def test_a_field_that_is_none_as_its_default_is_left_out():
    assert "name" not in config(Outer(Inner(1)))
    assert "maybe" not in config(Outer(Inner(1)))


def test_from_value_takes_settings_as_they_are():
    problems = []
    assert Inner.from_value(FULL.inner, ("here",), problems) is FULL.inner
    assert Inner.from_value(FULL, ("here",), problems) is None
    assert [str(problem).partition(",")[0] for problem in problems] == ["here: expected a table"]


def test_values_of_numpy_become_plain():
    inner = Inner(np.int64(2), np.float32(0.5))
    assert (type(inner.count), type(inner.share)) == (int, float)
    assert inner == Inner(2, 0.5)


def test_a_default_is_given_as_an_instance_holds_it():
    assert Outer.parsed_default("activation") == ReLU()
    assert Inner.parsed_default("share") == 0.5


def test_annotations_that_cannot_be_checked_are_refused_in_words():
    with pytest.raises(ConfigError, match=r"a field cannot be annotated dict\[str, .*Inner\]"):
        Uncheckable({})


def test_annotations_must_be_importable_at_run_time():
    with pytest.raises(ConfigError, match=r"Unimportable: the annotations .* importable at run time.*'Decimal'"):
        Unimportable()


def test_settings_within_each_other_are_found_wherever_they_stand():
    class Holder(Settings):
        losses: Part[tuple[Loss, ...] | None] = Part(None)

    assert Holder().losses is None
    assert [loss.type for loss in Holder(["cross_entropy"]).losses] == ["cross_entropy"]
    assert problems_of(lambda: Holder(["crossentropy"]))[0].endswith("(did you mean 'cross_entropy'?)")
