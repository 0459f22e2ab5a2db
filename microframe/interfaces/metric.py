"""The metric interface: what is reported of a model's predictions."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Literal

from microframe.arrays import Array
from microframe.component import Component
from microframe.interfaces.loss import Loss


class Metric(Component):
    """A number, or one for each class, that tells how good predictions are."""

    kind = "metric"
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    """Which way is up, for early stopping and the like."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that there can be, NaN aside; infinite where the metric sets none."""
        return -math.inf, math.inf

    def beside(self, loss: Loss) -> Metric:
        """The metric as it is measured of a network that was trained with `loss`: itself, unless something that is not
        set, such as a threshold, is for the loss to say."""
        return self

    @abstractmethod
    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float | Array:
        """The metric over all samples.

        Args:
            prediction: the network's output (probabilities, scores or values), (samples, *outputs).
            target: class numbers (samples,), or an array of the shape of the prediction; for a single output, with the
                prediction (samples, 1), values come as (samples,) as well.
            weight: a weight for each sample, (samples,).

        Returns:
            A number, or an array (classes,) for a metric that is reported class by class.

        Raises:
            ValueError: the metric does not apply to such predictions or targets; say what is expected.
        """
