"""Components of any kind that go wrong as configuration."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from microframe import Activation, Part, Schedule
from planted_bugs.planting import caught_by, correct


class _Fixed(Schedule):
    """One factor all the time."""

    def factor(self, epoch, epochs):
        return 1.0


@caught_by("config_round_trip")
class ChangesItsField(_Fixed):
    """A field that is halved when the component is made, so that one made from its configuration has a quarter."""

    decay: float = 0.5

    def __post_init__(self):
        self.__dict__["decay"] = self.decay / 2


@caught_by("config_round_trip")
class LeavesAFieldOut(_Fixed):
    """A configuration written by hand, in which the second field was forgotten."""

    start: float = 1.0
    end: float = 0.5

    def to_config(self):
        return {"type": super().to_config()["type"], "start": self.start}

    @classmethod
    def examples(cls):
        return [cls(0.9, 0.1)]


@caught_by("config_round_trip")
class KeepsAnArray(_Fixed):
    """A list that is turned into an array when the component is made, for which there is no plain value."""

    factors: tuple[float, ...] = (1.0, 0.5)

    def __post_init__(self):
        self.__dict__["factors"] = np.asarray(self.factors)


@caught_by("config_round_trip")
class ListOfFactors(_Fixed):
    """A field that is a list, which leaves the component without a hash."""

    factors: list[float] | None = None

    @classmethod
    def examples(cls):
        return [cls(), cls([1.0, 0.5])]


@caught_by("json_schema")
class NoValueOfJSON(_Fixed):
    """A field that is a generator, which no configuration can hold."""

    generator: np.random.Generator | None = None


@caught_by("unknown_field_refused")
class TakesAnything(_Fixed):
    """A configuration is read by its known names, and misspelt ones are passed over in silence."""

    decay: float = 0.5

    @classmethod
    def from_value(cls, value, path, problems):
        if isinstance(value, dict):
            value = {name: value[name] for name in value if name in (*cls.field_types(), "type")}
        return super().from_value(value, path, problems)

    def _fill(self, values, path, problems):
        super()._fill({name: value for name, value in values.items() if name in self.field_types()}, path, problems)


@caught_by("wrong_type_refused")
class AnyValue(_Fixed):
    """A field annotated Any, for which every value is right."""

    decay: Any = 0.5


@caught_by("wrong_type_refused")
class DividesByItsField(_Fixed):
    """A check of fields that divides by one of them, and so fails in its own way where that is 0."""

    decay: float = 0.5

    def __post_init__(self):
        if 1 / self.decay > 1e6:
            raise ValueError("a decay that isn't tiny")


@caught_by("defaults_not_shared")
class OneListForAll(_Fixed):
    """A list on the class to which each instance adds what it was given."""

    given: ClassVar[list[float]] = []
    decay: float = 0.5

    def __post_init__(self):
        self.given.append(self.decay)


@caught_by("name_legal")
class Hyphenated(_Fixed):
    """A name that is no plain word."""

    type = "slow-start"


@caught_by("name_free")
class TakenName(_Fixed):
    """The name of a standard part."""

    type = "exponential"


@caught_by("frozen")
class Thawed(_Fixed):
    """A component whose fields can be set."""

    decay: float = 0.5

    def __setattr__(self, name, value):
        self.__dict__[name] = value


@caught_by("upgrade")
class UpgradesInPlace(_Fixed):
    """An upgrade that changes the fields in place and forgets to return them."""

    version = 2
    decay: float = 0.5

    @classmethod
    def upgrade(cls, config, from_version):
        config["decay"] = 1 - config.pop("share")


@caught_by("upgrade")
class LeavesTheOldField(_Fixed):
    """An upgrade that leaves the old name among the fields, where loading refuses it."""

    version = 3
    decay: float = 0.5

    @classmethod
    def upgrade(cls, config, from_version):
        return {**config, "decay": 1 - config["share"]} if from_version < 2 else config


@caught_by("upgrade")
class UpgradesItself(_Fixed):
    """An upgrade that is a method of an instance, of which there is none yet when a file is loaded."""

    version = 2
    decay: float = 0.5

    def upgrade(self, config, from_version):
        return {"decay": 1 - config["share"]}


@correct
class UpgradedTwice(_Fixed):
    """A field that was renamed in version 2 and turned round in version 3."""

    version = 3
    decay: float = 0.5

    @classmethod
    def upgrade(cls, config, from_version):
        if from_version < 2:
            config["share"] = config.pop("part")
        return {"decay": 1 - config["share"]}


@correct
class OnceATable(_Fixed):
    """A field that was a table in version 1, of which nothing else can be upgraded."""

    version = 2
    decay: float = 0.5

    @classmethod
    def upgrade(cls, config, from_version):
        return {"decay": config["fall"]["decay"]}


@correct
class ManyFields(_Fixed):
    """Fields of every sort that a configuration can hold."""

    words: tuple[str, ...] = ("a", "b")
    pair: tuple[int, float] = (1, 2.0)
    optional: float | None = None
    flag: bool = False
    activation: Part[Activation] = Part("relu")
    several: Part[tuple[Activation, ...]] = Part(())
    then: Part[Schedule | None] = Part(None)

    @classmethod
    def examples(cls):
        given = {"several": ("tanh", {"type": "leaky_relu", "slope": 0.1}), "then": "constant"}
        return [cls(), cls(("c",), (2, 0.5), 0.1, True, **given)]


@correct
class NamedByHand(_Fixed):
    """A name that isn't that of the class, with digits in it."""

    type = "v2_fixed"
    limit: ClassVar[float] = 1.0
    decay: float = limit
