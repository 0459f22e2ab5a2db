from __future__ import annotations

import contextlib
import re

import pytest

import microframe
from microframe.component import config
from microframe.errors import ConfigError, PluginError
from microframe.interfaces import Activation, Layer
from microframe.plugins import Provider
from microframe.registry import KINDS, Registry
from microframe.standard.activations import ReLU
from microframe.standard.layers import Dense
from microframe.version import __version__


class Swish(Activation):
    beta: float = 1.0

    def forward(self, x, out): ...
    def backward(self, dy, x, y, out): ...


class Shadow(Swish):
    type = "relu"


@pytest.fixture
def registry(monkeypatch):
    """The registry of this test alone, in the place of the process's."""
    own = Registry()
    monkeypatch.setattr("microframe.registry.registry", own)
    return own


def problem_of(registry, kind, name):
    problems = []
    assert registry.find(kind, name, ("here",), problems) is None
    (problem,) = problems
    assert problem.path == ("here",)
    return problem


@pytest.mark.parametrize("kind", KINDS)
def test_the_standard_names_of_a_kind_are_sorted_and_each_leads_to_its_class(registry, kind):
    names = registry.standard_names(kind)
    assert names == sorted(set(names))
    assert names
    for name in names:
        part = registry.get(kind, name)
        assert (part.kind, part.type) == (kind, name)
        assert registry.find(kind, name, (), []) is part
        assert registry.reference(part) == name


def test_a_standard_part_is_provided_by_microframe_itself(registry):
    assert registry.provider(Dense) == Provider("standard", "microframe.standard.layers", "microframe", __version__)
    assert str(registry.provider(Dense)) == f"standard (microframe {__version__})"


def test_a_standard_part_is_reached_by_its_qualified_name_too(registry):
    assert registry.get("activation", "standard.relu") is ReLU


def test_an_unknown_name_is_a_problem_with_the_names_and_the_nearest(registry):
    problem = problem_of(registry, "layer", "densee")
    assert problem.suggestion == "dense"
    assert problem.expected.startswith("the name of a known layer: one of 'activation', 'add'"), "standard ones first"
    assert problem.received == "'densee'"


@pytest.mark.parametrize("name", ["", ".", ".relu", "standard.", "standard.nothing", "a b", "\n"])
def test_what_is_no_name_is_a_problem(registry, name):
    assert problem_of(registry, "activation", name).received == repr(name)


@pytest.mark.parametrize("name", ["..", "relu.", "a.b.c"])
def test_what_stands_before_the_last_dot_is_a_plugin(registry, name):
    with pytest.raises(PluginError, match=rf"needs the plugin '{re.escape(name.rpartition('.')[0])}', not installed"):
        registry.get("activation", name)


def test_a_local_name_that_this_process_has_not_registered_says_what_to_do(registry):
    with pytest.raises(PluginError, match=r"pass it to microframe\.register here too"):
        registry.get("activation", "local.relu")


def test_get_raises_the_problem(registry):
    with pytest.raises(ConfigError, match=r"received 'reul'.*did you mean 'relu'"):
        registry.get("activation", "reul")


def test_a_name_belongs_to_its_kind(registry):
    assert registry.get("metric", "mean_squared_error") is not registry.get("loss", "mean_squared_error")
    assert problem_of(registry, "layer", "relu")


def test_a_plugin_that_is_not_installed_is_named_with_the_nearest(registry):
    registry.register(Swish)
    with pytest.raises(
        PluginError, match=r"the activation 'locl\.swish' needs the plugin 'locl'.*did you mean 'local'"
    ):
        registry.get("activation", "locl.swish")


def test_a_registered_class_is_known_by_its_plain_and_its_local_name(registry):
    assert registry.register(Swish) is Swish, "so that it serves as a decorator"
    assert registry.get("activation", "swish") is Swish
    assert registry.get("activation", "local.swish") is Swish
    assert registry.reference(Swish) == "local.swish"
    assert registry.provider(Swish) == Provider("local", __name__)
    assert "local.swish" in registry.names("activation")
    assert "local.swish" not in registry.names("layer")


def test_a_registered_class_makes_the_round_trip_through_its_config(registry):
    registry.register(Swish)
    assert config(Swish(2.0)) == {"type": "local.swish", "beta": 2.0}
    assert Dense(1, config(Swish(2.0))) == Dense(1, Swish(2.0)) == Dense(1, {"type": "swish", "beta": 2})


def test_nobody_can_shadow_a_standard_name(registry):
    registry.register(Shadow)
    assert registry.get("activation", "relu") is ReLU
    assert registry.get("activation", "local.relu") is Shadow
    assert registry.reference(Shadow) == "local.relu"
    assert config(Shadow()) == {"type": "local.relu", "beta": 1.0}


def test_a_class_can_be_registered_anew_as_a_notebook_does(registry):
    registry.register(Swish)
    again = registry.register(type("Swish", (Swish,), {"__module__": __name__}))
    assert registry.get("activation", "swish") is again
    assert again is not Swish


def test_a_class_that_implements_no_interface_is_refused(registry):
    with pytest.raises(ConfigError, match=r"Stray derives from no interface such as microframe\.Layer"):
        registry.register(type("Stray", (microframe.Component,), {"__module__": __name__}))


def test_a_class_that_nobody_registered_is_refused_with_the_remedy(registry):
    with pytest.raises(
        ConfigError, match=r"Swish is not registered.*pass the class to microframe\.register, or provide"
    ):
        registry.provider(Swish)


def test_a_class_is_registered_for_a_while(registry):
    with registry.registered_locally(Swish):
        assert registry.get("activation", "swish") is Swish
        assert registry.reference(Swish) == "local.swish"
    assert registry.find("activation", "swish", (), []) is None
    with pytest.raises(ConfigError, match="Swish is not registered"):
        registry.provider(Swish)


def test_what_was_registered_before_is_again_afterwards_also_after_an_error(registry):
    before = registry.register(type("Swish", (Swish,), {"__module__": __name__}))
    with contextlib.suppress(RuntimeError), registry.registered_locally(Swish):
        assert registry.get("activation", "local.swish") is Swish
        raise RuntimeError
    assert registry.get("activation", "local.swish") is before
    assert registry.reference(before) == "local.swish"


def test_registering_for_a_while_nests(registry):
    inner = type("Swish", (Swish,), {"__module__": __name__})
    with registry.registered_locally(Swish):
        with registry.registered_locally(inner), registry.registered_locally(inner):
            assert registry.get("activation", "swish") is inner
        assert registry.get("activation", "swish") is Swish
    assert "local.swish" not in registry.names("activation")


@pytest.mark.parametrize("own", [True, False], ids=["registered", "standard"])
def test_a_class_that_somebody_provides_stays_theirs(registry, own):
    part = registry.register(Swish) if own else ReLU
    with registry.registered_locally(part):
        assert registry.reference(part) == ("local.swish" if own else "relu")
    assert registry.get("activation", part.type) is part


def test_a_class_that_implements_no_interface_cannot_be_registered_for_a_while(registry):
    stray = type("Stray", (microframe.Component,), {"__module__": __name__})
    with pytest.raises(ConfigError, match="derives from no interface"), registry.registered_locally(stray):
        pytest.fail("it must not come to this")


def test_registries_are_independent():
    one, other = Registry(), Registry()
    one.register(Swish)
    assert other.find("activation", "swish", (), []) is None


def test_the_public_register_is_that_of_the_process():
    from microframe.registry import registry as of_the_process

    assert microframe.register.__self__ is of_the_process


def test_every_public_name_is_there():
    for name in microframe.__all__:
        assert getattr(microframe, name) is not None
    assert dir(microframe) == microframe.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Modle'"):
        microframe.Modle  # noqa: B018 - reading it is what is tested


def test_a_kind_has_an_interface_of_its_name():
    for kind in KINDS:
        assert getattr(microframe, kind.capitalize()).kind == kind
    assert issubclass(microframe.FittedLayer, Layer)
