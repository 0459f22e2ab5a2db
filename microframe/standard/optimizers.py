"""Optimizers: gradient descent with momentum, and rules that give every parameter a step length of its own.

What every optimizer has in common (schedule, decay, penalties, clipping, average) is applied around `update`, so the
rules below state only what is their own. g is the gradient, p the parameter, lr the learning rate, t the step from 1;
all of it is elementwise.

A moving average a = beta a + (1 - beta) g is kept as the sum s = beta s + g, so that a = (1 - beta) s: one pass over
memory less, and what remains is a scalar that is folded into the last steps of the rule. The slots, and so the files
they are saved in, hold these sums.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY

import numpy as np

from microframe.arrays import Array
from microframe.component import Component, Example
from microframe.interfaces.optimizer import Optimizer, OptimizerContext
from microframe.plugins import hookimpl
from microframe.values import NonNegativeFloat, PositiveFloat, ProperFraction


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum v = mu v + lr g where asked for  (Polyak, 1964; Nesterov, 1983).

    Plain: p -= lr g. With momentum: p -= v. Nesterov's: p -= lr g + mu v, with the new v.

    Fields:
        learning_rate: default 0.01.
        momentum: mu, default 0.
        nesterov: whether to look ahead; needs momentum.
    """

    learning_rate: PositiveFloat = 0.01
    momentum: ProperFraction = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("a momentum greater than 0 where nesterov is true")

    def slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        gradients *= ctx.learning_rate
        if not self.momentum:
            parameters -= gradients
            return
        momentum = ctx.slots["momentum"]
        momentum *= self.momentum
        momentum += gradients
        if not self.nesterov:
            parameters -= momentum
            return
        parameters -= gradients
        np.multiply(momentum, self.momentum, gradients)
        parameters -= gradients

    @classmethod
    def examples(cls) -> list[Component | Example]:
        plain = Example(cls(0.1), reference=lambda parameters, gradients: parameters - 0.1 * sum(gradients))
        return [plain, cls(0.1, momentum=0.9), cls(0.1, momentum=0.9, nesterov=True)]


class Adam(Optimizer):
    """Adam: p -= lr m / (sqrt(v) + epsilon)  (Kingma & Ba, 2014, arXiv:1412.6980, algorithm 1).

    m and v are the moving averages of g and g^2 over the bias 1 - beta^t that starting them at zero leaves. Epsilon
    is added to the root of the corrected v, as in the paper's algorithm and in PyTorch; in Keras it is added before
    the correction, where the same number weighs 1 / sqrt(1 - beta_2^t) as much.

    Fields:
        learning_rate: default 0.001.
        beta_1: the decay of m, default 0.9.
        beta_2: the decay of v, default 0.999.
        epsilon: default 1e-7, as in Keras.
    """

    learning_rate: PositiveFloat = 0.001
    beta_1: ProperFraction = 0.9
    beta_2: ProperFraction = 0.999
    epsilon: PositiveFloat = 1e-7

    def slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0, "variance": 0.0}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        # With M and V the sums in the slots, m = M / w1 and v = V / w2, where w is the total weight of a sum. So
        # lr m / (sqrt(v) + epsilon) = (lr sqrt(w2) / w1) M / (sqrt(V) + epsilon sqrt(w2)).
        momentum, variance = ctx.slots["momentum"], ctx.slots["variance"]
        root_weight = math.sqrt(_total_weight(self.beta_2, ctx.step))
        momentum *= self.beta_1
        momentum += gradients
        gradients *= gradients
        variance *= self.beta_2
        variance += gradients
        np.sqrt(variance, gradients)
        gradients += self.epsilon * root_weight
        np.divide(momentum, gradients, gradients)
        gradients *= ctx.learning_rate * root_weight / _total_weight(self.beta_1, ctx.step)
        parameters -= gradients


class AdamW(Adam):
    """Adam with decoupled weight decay, p -= lr weight_decay p  (Loshchilov & Hutter, 2017, arXiv:1711.05101).

    Every optimizer takes `weight_decay`; this one has it from the start.

    Fields:
        weight_decay: default 0.01, the others as for Adam.
    """

    type = "adamw"

    _: KW_ONLY
    weight_decay: NonNegativeFloat = 0.01


class Nadam(Optimizer):
    """Adam with Nesterov momentum  (Dozat, Incorporating Nesterov Momentum into Adam, 2016).

    p -= lr (mu_{t+1} m / (1 - P_{t+1}) + (1 - mu_t) g / (1 - P_t)) / (sqrt(v) + epsilon), where m is the moving
    average of g, v that of g^2 over its bias, mu_t = beta_1 (1 - 0.96^(0.004 t) / 2), and P_t the product of
    mu_1 ... mu_t. Epsilon is added to the root of the corrected v.

    Fields:
        learning_rate: default 0.001.
        beta_1: the decay of m, default 0.9.
        beta_2: the decay of v, default 0.999.
        epsilon: default 1e-7.
    """

    learning_rate: PositiveFloat = 0.001
    beta_1: ProperFraction = 0.9
    beta_2: ProperFraction = 0.999
    epsilon: PositiveFloat = 1e-7

    def slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0, "variance": 0.0}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        # As in Adam, with M + share g in place of M: both weights are divided by that of M, or rather of g, which
        # is never zero.
        momentum, variance = ctx.slots["momentum"], ctx.slots["variance"]
        root_weight = math.sqrt(_total_weight(self.beta_2, ctx.step))
        momentum_weight, gradient_weight = self._weights(ctx.step)
        momentum *= self.beta_1
        momentum += gradients
        direction = np.multiply(momentum, momentum_weight / gradient_weight, ctx.empty(parameters.shape))
        direction += gradients
        gradients *= gradients
        variance *= self.beta_2
        variance += gradients
        np.sqrt(variance, gradients)
        gradients += self.epsilon * root_weight
        direction /= gradients
        direction *= ctx.learning_rate * root_weight * gradient_weight
        parameters -= direction

    def _weights(self, step: int) -> tuple[float, float]:
        """What the sum of gradients and the gradient are multiplied by in the step's direction."""
        now, after = _scheduled_momentum(self.beta_1, step), _scheduled_momentum(self.beta_1, step + 1)
        product = _momentum_product(self.beta_1, min(step, _VANISHING_PRODUCT))
        return (1 - self.beta_1) * after / (1 - product * after), (1 - now) / (1 - product)


class RMSprop(Optimizer):
    """p -= lr g / sqrt(v + epsilon), v the moving average of g^2  (Tieleman & Hinton, Coursera lecture 6.5, 2012).

    Centered, the squared moving average of g is subtracted from v  (Graves, 2013, arXiv:1308.0850). With momentum
    the step is u = momentum u + (what is subtracted above), p -= u. Epsilon stands under the root, as in Graves and
    in Keras.

    Fields:
        learning_rate: default 0.001.
        rho: the decay of the averages, default 0.9.
        momentum: default 0.
        centered: default False.
        epsilon: default 1e-7.
    """

    type = "rmsprop"

    learning_rate: PositiveFloat = 0.001
    rho: ProperFraction = 0.9
    momentum: ProperFraction = 0.0
    centered: bool = False
    epsilon: PositiveFloat = 1e-7

    def slots(self) -> Mapping[str, float]:
        mean = {"mean": 0.0} if self.centered else {}
        momentum = {"momentum": 0.0} if self.momentum else {}
        return {"variance": 0.0, **mean, **momentum}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        # With V and A the sums in the slots and c = 1 - rho, v = c V and the mean is c A. So v - mean^2 + epsilon
        # = c (V - c A^2 + epsilon / c), and sqrt(c) goes into the rate.
        variance, complement = ctx.slots["variance"], 1 - self.rho
        scale = np.multiply(gradients, gradients, ctx.empty(parameters.shape))
        variance *= self.rho
        variance += scale
        if self.centered:
            self._centered_variance(gradients, ctx, scale)
            scale += self.epsilon / complement
        else:
            np.add(variance, self.epsilon / complement, scale)
        np.sqrt(scale, scale)
        gradients /= scale
        gradients *= ctx.learning_rate / math.sqrt(complement)
        if self.momentum:
            momentum = ctx.slots["momentum"]
            momentum *= self.momentum
            momentum += gradients
            gradients = momentum
        parameters -= gradients

    def _centered_variance(self, gradients: Array, ctx: OptimizerContext, out: Array) -> None:
        """Write V - c A^2 into `out`; rounding may take it below zero, where the root has no value."""
        mean = ctx.slots["mean"]
        mean *= self.rho
        mean += gradients
        np.multiply(mean, mean, out)
        out *= 1 - self.rho
        np.subtract(ctx.slots["variance"], out, out)
        np.maximum(out, 0.0, out=out)

    @classmethod
    def examples(cls) -> list[Component | Example]:
        return [cls(), cls(momentum=0.9), cls(rho=0.8, momentum=0.9, centered=True)]


class Adagrad(Optimizer):
    """p -= lr g / sqrt(s + epsilon), s the sum of all g^2  (Duchi et al., 2011, JMLR 12).

    Epsilon stands under the root, and the sum starts above zero, as in Keras.

    Fields:
        learning_rate: default 0.001, as in Keras; the rate falls by itself, so larger ones often serve better.
        initial_accumulator: what the sum starts from, default 0.1.
        epsilon: default 1e-7.
    """

    learning_rate: PositiveFloat = 0.001
    initial_accumulator: NonNegativeFloat = 0.1
    epsilon: PositiveFloat = 1e-7

    def slots(self) -> Mapping[str, float]:
        return {"accumulator": self.initial_accumulator}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        accumulator = ctx.slots["accumulator"]
        scale = np.multiply(gradients, gradients, ctx.empty(parameters.shape))
        accumulator += scale
        np.add(accumulator, self.epsilon, scale)
        np.sqrt(scale, scale)
        gradients /= scale
        gradients *= ctx.learning_rate
        parameters -= gradients


class Adadelta(Optimizer):
    """d = g sqrt(u + epsilon) / sqrt(v + epsilon), p -= lr d  (Zeiler, 2012, arXiv:1212.5701).

    v is the moving average of g^2, and u that of d^2, which d itself enters after the step.

    Fields:
        learning_rate: default 1, as in PyTorch, which makes it the paper's rule (Keras has 0.001).
        rho: the decay of both averages, default 0.95.
        epsilon: default 1e-6, the paper's.
    """

    learning_rate: PositiveFloat = 1.0
    rho: ProperFraction = 0.95
    epsilon: PositiveFloat = 1e-6

    def slots(self) -> Mapping[str, float]:
        return {"variance": 0.0, "step_variance": 0.0}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        # In the ratio of (u + epsilon) and (v + epsilon), the factor 1 - rho of the sums goes to epsilon.
        variance, step_variance = ctx.slots["variance"], ctx.slots["step_variance"]
        epsilon = self.epsilon / (1 - self.rho)
        scale, ratio = ctx.empty(parameters.shape), ctx.empty(parameters.shape)
        np.multiply(gradients, gradients, scale)
        variance *= self.rho
        variance += scale
        np.add(variance, epsilon, scale)
        np.add(step_variance, epsilon, ratio)
        ratio /= scale
        np.sqrt(ratio, ratio)
        gradients *= ratio
        np.multiply(gradients, gradients, scale)
        step_variance *= self.rho
        step_variance += scale
        gradients *= ctx.learning_rate
        parameters -= gradients


class Lion(Optimizer):
    """p -= lr sign(beta_1 m + (1 - beta_1) g)  (Chen et al., 2023, arXiv:2302.06675).

    After that, m = beta_2 m + (1 - beta_2) g. Every parameter moves by the rate itself, so it wants a rate 3 to 10
    times smaller than Adam's, and a weight decay as much larger.

    Fields:
        learning_rate: default 0.0001.
        beta_1: the share of m in the direction, default 0.9.
        beta_2: the decay of m, default 0.99.
    """

    learning_rate: PositiveFloat = 0.0001
    beta_1: ProperFraction = 0.9
    beta_2: ProperFraction = 0.99

    def slots(self) -> Mapping[str, float]:
        return {"momentum": 0.0}

    def update(self, parameters: Array, gradients: Array, ctx: OptimizerContext) -> None:
        # With M the sum in the slot, m = (1 - beta_2) M. Only the sign counts, so the weights are divided by that of g.
        momentum = ctx.slots["momentum"]
        share = self.beta_1 * (1 - self.beta_2) / (1 - self.beta_1)
        direction = np.multiply(momentum, share, ctx.empty(parameters.shape))
        direction += gradients
        momentum *= self.beta_2
        momentum += gradients
        np.abs(direction, gradients)
        gradients += _NEARLY_ZERO
        direction /= gradients
        direction *= ctx.learning_rate
        parameters -= direction


_NEARLY_ZERO = 1e-37
"""x / (|x| + this) is the sign of x, zero and NaN included, and several times as fast as `np.sign`, which branches."""


def _total_weight(decay: float, step: int) -> float:
    """1 + decay + ... + decay^(step - 1): a decayed sum over this is the mean of what went into it."""
    return (1.0 - math.pow(decay, step)) / (1.0 - decay)


def _scheduled_momentum(beta: float, step: int) -> float:
    return beta * (1 - 0.5 * math.pow(0.96, 0.004 * step))


_VANISHING_PRODUCT = 128
"""After so many steps 1 minus the product is 1 in float64: every factor is below 0.52 that early."""


@functools.lru_cache(maxsize=1024)
def _momentum_product(beta: float, step: int) -> float:
    return math.prod(_scheduled_momentum(beta, index) for index in range(1, step + 1))


@hookimpl
def microframe_components() -> list[type[Component]]:
    return [SGD, Adam, AdamW, Nadam, RMSprop, Adagrad, Adadelta, Lion]
