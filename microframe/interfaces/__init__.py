"""What each kind of part must be able to do: one file a kind."""

from microframe.interfaces.activation import Activation
from microframe.interfaces.callback import Callback
from microframe.interfaces.initializer import Initializer
from microframe.interfaces.layer import Context, FittedLayer, Layer, Scope
from microframe.interfaces.loss import Loss
from microframe.interfaces.metric import Metric
from microframe.interfaces.optimizer import Optimizer, OptimizerContext
from microframe.interfaces.schedule import Schedule
from microframe.interfaces.source import Dataset, Source

__all__ = [
    "Activation",
    "Callback",
    "Context",
    "Dataset",
    "FittedLayer",
    "Initializer",
    "Layer",
    "Loss",
    "Metric",
    "Optimizer",
    "OptimizerContext",
    "Schedule",
    "Scope",
    "Source",
]
