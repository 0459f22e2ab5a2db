"""The loss interface: what training makes small."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np

from microframe.arrays import Array, Shape
from microframe.component import Component
from microframe.interfaces.activation import Activation
from microframe.targets import binary, class_rows


class Loss(Component):
    """A number for each sample that training makes small.

    The value of a batch is the mean over its samples, each multiplied by its sample weight where there are any; the
    gradient is always the gradient of that value. What happens to the outputs of one sample (their sum, their mean)
    is for each loss to say in its docstring.
    """

    kind = "loss"
    target: ClassVar[Literal["values", "classes"]] = "values"
    """What targets are: ``"values"`` of the shape of the prediction, or ``"classes"``, for which labels of any kind
    are numbered by the model and their names saved with it."""

    needs_probabilities: ClassVar[bool] = False
    """Whether predictions must be probabilities, so that a network must not end in an activation that gives others."""

    threshold: ClassVar[float] = 0.5
    """With a single output for two classes: above it a prediction is the second class."""

    @abstractmethod
    def sample_values(self, prediction: Array, target: Array) -> Array:
        """The loss of each sample, shape (batch,).

        Args:
            prediction: the network's output, (batch, *outputs).
            target: what `prepare` made of the targets.
        """

    @abstractmethod
    def gradient(self, prediction: Array, target: Array, out: Array) -> None:
        """Write the gradient of the mean of `sample_values` with respect to `prediction` into `out`."""

    def prepare(self, target: Array, output_shape: Shape, dtype: np.dtype[np.floating]) -> Array:
        """Targets in the form that the other methods take; called once for all samples before training.

        For values that is an array of the shape of the predictions. For classes it is rows of probabilities, one for
        each output, so that class number 2 of 3 becomes 0, 0, 1; with a single output, 0 or 1.

        Args:
            target: (samples,), (samples, *outputs), or class numbers when `target` is ``"classes"``.
            output_shape: the shape of one prediction.
            dtype: the network's dtype.

        Raises:
            ValueError: the targets do not fit the output; say what is expected.
        """
        if self.target == "classes":
            rows = binary if output_shape[-1:] == (1,) else class_rows
            return rows(target, output_shape, dtype)
        values = np.asarray(target, dtype=dtype)
        if values.shape[1:] == tuple(output_shape):
            return values
        if values.ndim == 1 and output_shape == (1,):
            return values[:, None]
        raise ValueError(f"targets of shape {output_shape} for each sample, received {values.shape[1:]}")

    def takes_labels(self, target: Array) -> bool:
        """Whether `target` are labels, for the model to number: one for each sample, for a loss of classes."""
        return self.target == "classes" and (target.ndim == 1 or target.shape[1:] == (1,))

    def fuse(self, activation: Activation) -> Loss | None:
        """This loss with `activation` folded into it: a loss of the logits, finite for any finite logits.

        None when there is no such form, which is the default. The network then leaves the activation out in
        training.
        """
        return None

    def value(self, prediction: Array, target: Array, weight: Array | None = None) -> float:
        """The loss of a batch: the mean over the samples of weight times `sample_values`."""
        values = self.sample_values(prediction, target)
        return float(values.mean() if weight is None else np.dot(values, weight) / len(values))

    def value_and_gradient(
        self,
        prediction: Array,
        target: Array,
        out: Array,
        empty: Callable[..., Array] = np.empty,
    ) -> float:
        """Write the gradient into `out` and return the value.

        A loss may override this where the two share work. `empty(shape)` gives arrays that are reused from step to
        step; `out` may serve as one before the gradient is written.
        """
        value = self.value(prediction, target)
        self.gradient(prediction, target, out)
        return value
