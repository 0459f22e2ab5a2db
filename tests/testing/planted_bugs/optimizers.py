"""Optimizers."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from microframe import Example, Optimizer
from planted_bugs.planting import caught_by, correct

_VELOCITIES: dict[int, Any] = {}
_GRADIENTS: list[Any] = []
_STEPS: list[int] = [0]
_NOTES: list[dict[str, float]] = []


@caught_by("lowers_quadratic")
class Ascent(Optimizer):
    """p += rate g."""

    def update(self, parameters, gradients, ctx):
        gradients *= ctx.learning_rate
        parameters += gradients


@caught_by("lowers_quadratic")
class NewVector(Optimizer):
    """p - rate g in a new vector, which leaves the one of the network as it is."""

    def update(self, parameters, gradients, ctx):
        parameters = parameters - ctx.learning_rate * gradients


@caught_by("learning_rate_counts")
class OwnRate(Optimizer):
    """p -= rate g with the rate of its own field, before the schedule."""

    def update(self, parameters, gradients, ctx):
        gradients *= self.learning_rate
        parameters -= gradients


@caught_by("keeps_nothing")
class VelocityOnTheClass(Optimizer):
    """Momentum, kept in a dictionary of the class and not in a slot."""

    velocities: ClassVar[dict[str, Any]] = {}

    def update(self, parameters, gradients, ctx):
        key = f"{parameters.__array_interface__['data'][0]}"
        velocity = self.velocities.setdefault(key, np.zeros_like(parameters))
        velocity *= 0.9
        velocity += ctx.learning_rate * gradients
        parameters -= velocity


@caught_by("slots_survive")
class VelocityInTheModule(Optimizer):
    """Momentum, kept beside the optimizer by the place of the parameters, and so lost when training resumes."""

    def update(self, parameters, gradients, ctx):
        key = parameters.__array_interface__["data"][0]
        if ctx.step == 1:
            _VELOCITIES[key] = np.zeros_like(parameters)
        velocity = _VELOCITIES.setdefault(key, np.zeros_like(parameters))
        velocity *= 0.9
        velocity += ctx.learning_rate * gradients
        parameters -= velocity


@caught_by("slots_survive")
class ReplacedSlot(Optimizer):
    """Momentum in a slot, of which each step puts a new array in the place of the one that is saved."""

    def slots(self):
        return {"velocity": 0.0}

    def update(self, parameters, gradients, ctx):
        ctx.slots["velocity"] = 0.9 * ctx.slots["velocity"] + ctx.learning_rate * gradients
        parameters -= ctx.slots["velocity"]


@caught_by("slots_survive")
class OwnStepCount(Optimizer):
    """A rate that falls as 1 / step, by a count of its own that starts afresh when training resumes elsewhere."""

    def update(self, parameters, gradients, ctx):
        _STEPS[0] = 1 if ctx.step == 1 else _STEPS[0] + 1
        gradients *= ctx.learning_rate / _STEPS[0] ** 0.5
        parameters -= gradients


@caught_by("slots")
class UndeclaredSlot(Optimizer):
    """Momentum in a slot that is not declared."""

    def update(self, parameters, gradients, ctx):
        velocity = ctx.slots["velocity"]
        velocity *= 0.9
        velocity += ctx.learning_rate * gradients
        parameters -= velocity


@caught_by("scratch")
class TakesEmptyForZeros(Optimizer):
    """p -= rate g, where the step is added to an array that is not cleared first."""

    def update(self, parameters, gradients, ctx):
        step = ctx.empty(parameters.shape)
        step += ctx.learning_rate * gradients
        parameters -= step


@caught_by("common_fields")
class DecaysTwice(Optimizer):
    """p -= rate g, and weight decay on top of that which every optimizer gets."""

    def update(self, parameters, gradients, ctx):
        gradients += self.weight_decay * parameters
        gradients *= ctx.learning_rate
        parameters -= gradients


@caught_by("steady_memory")
class KeepsAllGradients(Optimizer):
    """p -= rate g, which keeps a copy of every gradient to look at later."""

    def update(self, parameters, gradients, ctx):
        _GRADIENTS.append(gradients.copy())
        gradients *= ctx.learning_rate
        parameters -= gradients


@caught_by("steady_memory")
class NotesEachStep(Optimizer):
    """p -= rate g, which notes the norm of each gradient in a list that nobody ever empties."""

    def update(self, parameters, gradients, ctx):
        _NOTES.append({"step": ctx.step, "norm": float(np.linalg.norm(gradients))})
        gradients *= ctx.learning_rate
        parameters -= gradients


@caught_by("dtype_kept")
class EpsilonForFloat64(Optimizer):
    """p -= rate g / (sqrt(sum of g^2) + 1e-50), which in float32 is 0 / 0 where there has been no gradient."""

    def slots(self):
        return {"sum": 0.0}

    def update(self, parameters, gradients, ctx):
        squares = ctx.slots["sum"]
        squares += gradients * gradients
        gradients *= ctx.learning_rate
        gradients /= np.sqrt(squares) + squares.dtype.type(1e-50)
        parameters -= gradients


@caught_by("zero_gradient")
class SignOfZero(Optimizer):
    """p -= rate sign(g), for which a gradient of zero counts as positive."""

    def update(self, parameters, gradients, ctx):
        parameters -= ctx.learning_rate * np.where(gradients >= 0, 1, -1).astype(parameters.dtype)


@caught_by("zero_gradient")
class UndefinedAtZero(Optimizer):
    """p -= rate g / sqrt(v) with v the moving average of g^2, which is 0 / 0 where there has been no gradient."""

    def slots(self):
        return {"variance": 0.0}

    def update(self, parameters, gradients, ctx):
        variance = ctx.slots["variance"]
        variance *= 0.9
        variance += 0.1 * gradients * gradients
        gradients *= ctx.learning_rate
        gradients /= np.sqrt(variance)
        parameters -= gradients


@caught_by("layout_independent")
class NormOfTheBlock(Optimizer):
    """p -= rate g / |g|, with the norm of the block at hand, for it says of itself that it is elementwise."""

    def update(self, parameters, gradients, ctx):
        norm = float(np.linalg.norm(gradients))
        gradients *= ctx.learning_rate / (norm + 1e-12)
        parameters -= gradients


@caught_by("layout_independent")
class FirstElementOfTheBlock(Optimizer):
    """A rule with a warm start of its first element, which is the first of each block."""

    def update(self, parameters, gradients, ctx):
        gradients *= ctx.learning_rate
        gradients[0] *= 0.5
        parameters -= gradients


class _Adam(Optimizer):
    """Adam; right, and the ground of those below."""

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 0.01

    def slots(self):
        return {"mean": 0.0, "variance": 0.0}

    def update(self, parameters, gradients, ctx):
        mean, variance = ctx.slots["mean"], ctx.slots["variance"]
        mean *= self.beta_1
        mean += (1 - self.beta_1) * gradients
        variance *= self.beta_2
        variance += (1 - self.beta_2) * gradients * gradients
        parameters -= ctx.learning_rate * self._direction(mean, variance, ctx.step)

    def _direction(self, mean, variance, step):
        corrected = variance / (1 - self.beta_2**step)
        return mean / (1 - self.beta_1**step) / (np.sqrt(corrected) + self.epsilon)

    @classmethod
    def examples(cls):
        """Against the algorithm of Kingma and Ba."""

        def reference(parameters, gradients):
            mean = variance = 0
            for step, gradient in enumerate(gradients, 1):
                mean = 0.9 * mean + 0.1 * gradient
                variance = 0.999 * variance + 0.001 * gradient**2
                root = np.sqrt(variance / (1 - 0.999**step)) + 0.01
                parameters = parameters - 0.05 * mean / (1 - 0.9**step) / root
            return parameters

        return [Example(cls(learning_rate=0.05), reference=reference)]


@caught_by("reference")
class EpsilonInsideTheRoot(_Adam):
    """Adam with epsilon under the root, where the reference adds it to the root."""

    def _direction(self, mean, variance, step):
        corrected = variance / (1 - self.beta_2**step)
        return mean / (1 - self.beta_1**step) / np.sqrt(corrected + self.epsilon)


@caught_by("reference")
class NoBiasCorrection(_Adam):
    """Adam without the division by 1 - beta^t."""

    def _direction(self, mean, variance, step):
        return mean / (np.sqrt(variance) + self.epsilon)


@caught_by("reference")
class StepFromZero(_Adam):
    """Adam whose correction is one step behind, as if steps were counted from 0."""

    def _direction(self, mean, variance, step):
        return super()._direction(mean, variance, max(step - 1, 1))


@caught_by("no_global_random_state")
class GlobalDither(Optimizer):
    """p -= rate g, with each element's step scaled by NumPy's global generator."""

    def update(self, parameters, gradients, ctx):
        gradients *= ctx.learning_rate * np.random.uniform(0.9, 1.1, gradients.shape)  # noqa: NPY002
        parameters -= gradients


@caught_by("deterministic")
class UnseededDither(Optimizer):
    """p -= rate g, with each element's step scaled by a new generator each time."""

    def update(self, parameters, gradients, ctx):
        gradients *= ctx.learning_rate * np.random.default_rng().uniform(0.9, 1.1, gradients.shape)
        parameters -= gradients


@correct
class AdamByTheBook(_Adam):
    """Adam, formula by formula, with temporary arrays."""


@functools.lru_cache(1000)
def _correction(step: int) -> float:
    return 1 - 0.9**step


@correct
class CachesCorrections(Optimizer):
    """Momentum, corrected by 1 - 0.9^t, of which the last thousand are kept in a cache that grows no further."""

    def slots(self):
        return {"velocity": 0.0}

    def update(self, parameters, gradients, ctx):
        velocity = ctx.slots["velocity"]
        velocity *= 0.9
        velocity += 0.1 * gradients
        parameters -= ctx.learning_rate / _correction(ctx.step) * velocity


@correct
class LayerwiseRate(Optimizer):
    """p -= rate |p| / |g| g for each parameter apart (You et al., 2017): not elementwise, it reads the layout."""

    elementwise = False

    def update(self, parameters, gradients, ctx):
        for part in ctx.layout:
            own, gradient = parameters[part.start : part.stop], gradients[part.start : part.stop]
            length = float(np.linalg.norm(gradient))
            trust = float(np.linalg.norm(own)) / length if length else 0.0
            own -= ctx.learning_rate * trust * gradient


@correct
class ResilientSign(Optimizer):
    """A step length for each element that grows while its sign stays and halves when it turns (Rprop)."""

    def slots(self):
        return {"previous": 0.0, "length": 1.0}

    def update(self, parameters, gradients, ctx):
        previous, length = ctx.slots["previous"], ctx.slots["length"]
        agreement = previous * gradients
        length *= np.where(agreement > 0, 1.2, np.where(agreement < 0, 0.5, 1)).astype(length.dtype)
        previous[...] = gradients
        np.sign(gradients, gradients)
        parameters -= ctx.learning_rate * length * gradients
