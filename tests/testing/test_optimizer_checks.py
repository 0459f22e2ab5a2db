"""What the conformance suite asks of optimizers."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from microframe import Example, Optimizer
from microframe.registry import registry
from microframe.testing import check_component, parametrize_with_checks


@parametrize_with_checks(*registry.plugins.load_standard("optimizer"))
def test_a_standard_optimizer_conforms(check):
    check()


class Momentum(Optimizer):
    """Gradient descent with momentum, with temporary arrays."""

    def slots(self):
        return {"velocity": 0.0}

    def update(self, parameters, gradients, ctx):
        velocity = ctx.slots["velocity"]
        velocity *= 0.9
        velocity += ctx.learning_rate * gradients
        parameters -= velocity


def failed(subject):
    return {result.check: result.reason for result in check_component(subject) if result.outcome == "failed"}


def test_a_right_optimizer_fails_nothing():
    assert failed(Momentum) == {}


@pytest.mark.parametrize("learning_rate", [1e-6, 1e-3, 10.0])
def test_the_learning_rate_at_which_the_quadratic_is_lowered_is_found(learning_rate):
    assert "lowers_quadratic" not in failed(Momentum(learning_rate=learning_rate))


def test_an_optimizer_that_goes_up_is_told_of():
    class Up(Momentum):
        def update(self, parameters, gradients, ctx):
            parameters += ctx.learning_rate * gradients

    assert (
        "expected the loss of a convex quadratic to fall below 0.2 of what it was in 200 steps"
        in (failed(Up)["lowers_quadratic"])
    )


def test_slots_that_are_declared_are_written_and_what_is_used_is_declared():
    class Unused(Momentum):
        def update(self, parameters, gradients, ctx):
            parameters -= ctx.learning_rate * gradients

    class Undeclared(Momentum):
        def slots(self):
            return {}

    class Arrays(Momentum):
        def slots(self):
            return {"velocity": np.zeros(())}

    failures = failed(Unused)
    assert set(failures) == {"slots"}
    assert "expected update to write into the slot 'velocity', which is as it was at first" in failures["slots"]
    assert "expected slots() to declare all that update uses, received 'velocity' too" in failed(Undeclared)["slots"]
    assert "expected a number that fills the slot 'velocity', received array(0.)" in failed(Arrays)["slots"]


def test_what_is_done_around_every_optimizer_is_not_done_again():
    class Decays(Momentum):
        def update(self, parameters, gradients, ctx):
            gradients += self.weight_decay * parameters
            super().update(parameters, gradients, ctx)

    failures = failed(Decays)
    assert set(failures) == {"common_fields"}
    assert "expected update to do the same whatever weight_decay is" in failures["common_fields"]


def test_scratch_arrays_hold_anything():
    class Assumes(Momentum):
        def update(self, parameters, gradients, ctx):
            step = ctx.empty(parameters.shape)
            step *= 0
            step += gradients
            super().update(parameters, step, ctx)

    assert "expected finite parameters whatever the arrays of ctx.empty hold" in failed(Assumes)["scratch"]


def test_a_rule_for_whole_parameters_says_that_it_is_not_elementwise():
    class Whole(Momentum):
        elementwise = False

        def update(self, parameters, gradients, ctx):
            for part in ctx.layout:
                own = gradients[part.start : part.stop]
                own /= np.linalg.norm(own) + 1e-12
            super().update(parameters, gradients, ctx)

    class Blocks(Momentum):
        def update(self, parameters, gradients, ctx):
            gradients /= np.linalg.norm(gradients) + 1e-12
            super().update(parameters, gradients, ctx)

    assert failed(Whole) == {}
    assert "in blocks of 1; if it isn't elementwise, set elementwise = False" in failed(Blocks)["layout_independent"]


def test_parameters_without_a_gradient_stay():
    class Shrinks(Momentum):
        def update(self, parameters, gradients, ctx):
            parameters *= 0.999
            super().update(parameters, gradients, ctx)

    expected = "expected parameters without a gradient to stay in float32, but they move by up to 0.00"
    assert expected in failed(Shrinks)["zero_gradient"]


def test_tiny_gradients_are_no_reason_for_a_parameter_to_vanish():
    class Divides(Momentum):
        def update(self, parameters, gradients, ctx):
            size = np.sqrt(gradients * gradients)
            size[gradients == 0] = 1
            super().update(parameters, gradients / size, ctx)

    assert "to stay finite in float32 for gradients of 0 and 1e-30" in failed(Divides)["zero_gradient"]


def test_memory_that_is_held_on_to_is_told_of():
    kept = []

    class Hoards(Momentum):
        def update(self, parameters, gradients, ctx):
            kept.append(gradients.copy())
            super().update(parameters, gradients, ctx)

    expected = "expected no more memory to be held on to with each step, received"
    assert expected in failed(Hoards)["steady_memory"]


def test_a_little_memory_with_each_step_is_told_of_too():
    steps = []

    class Counts(Momentum):
        def update(self, parameters, gradients, ctx):
            steps.append(0)
            super().update(parameters, gradients, ctx)

    assert failed(Counts)["steady_memory"].endswith("further steps on vectors of 23 elements, 8 bytes a step")


def test_memory_that_is_let_go_in_the_end_is_not_held_on_to():
    @functools.lru_cache(1000)
    def correction(step):
        return 1 - 0.9**step

    class Caches(Momentum):
        def update(self, parameters, gradients, ctx):
            super().update(parameters, gradients * correction(ctx.step), ctx)

    class InCycles(Momentum):
        def update(self, parameters, gradients, ctx):
            cycle = [gradients.copy()]
            cycle.append(cycle)
            super().update(parameters, cycle[0], ctx)

    assert failed(Caches) == {}
    assert failed(InCycles) == {}


def test_the_rate_is_that_after_the_schedule():
    class Own(Momentum):
        def update(self, parameters, gradients, ctx):
            parameters -= self.learning_rate * gradients

    class First(Momentum):
        """Takes the rate of the first step for all."""

        def slots(self):
            return {"velocity": 0.0, "rate": 0.0}

        def update(self, parameters, gradients, ctx):
            if ctx.step == 1:
                ctx.slots["rate"][...] = ctx.learning_rate
            ctx.slots["velocity"] += gradients
            parameters -= ctx.slots["rate"] * gradients

    assert "read ctx.learning_rate, not self.learning_rate" in failed(Own)["learning_rate_counts"]
    assert (
        "expected another step where the learning rate falls between two steps" in failed(First)["learning_rate_counts"]
    )


def test_a_training_resumes_from_a_file_as_if_it_had_not_stopped():
    steps = []

    class Counts(Momentum):
        """Counts in the module, which a model file knows nothing of."""

        def update(self, parameters, gradients, ctx):
            steps.append(ctx.step)
            super().update(parameters, gradients / len(steps), ctx)

    assert "expected the parameters to be the same after restoring its slots" in failed(Counts)["slots_survive"]


@pytest.mark.parametrize(("factor", "checks"), [(1.0, set()), (1.01, {"reference"})])
def test_the_parameters_are_compared_with_a_reference(factor, checks):
    def reference(parameters, gradients):
        velocity = 0
        for gradient in gradients:
            velocity = 0.9 * velocity + 0.01 * gradient
            parameters = parameters - factor * velocity
        return parameters

    assert set(failed(Example(Momentum(), reference=reference))) == checks
