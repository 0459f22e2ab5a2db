"""Evaluation: a network's outputs for many samples, and what loss and metrics say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from microframe.arrays import Array
from microframe.errors import DataError, expectation
from microframe.interfaces import Activation, Loss, Metric
from microframe.network import Network
from microframe.samples import Samples

BATCH_ROWS = 1024
"""How many samples a prediction works on at once, unless told otherwise."""


def fuse(network: Network, loss: Loss) -> tuple[Network, Activation | None, Loss]:
    """The network up to what the loss is computed from, the activation left out for it, and the loss to use there.

    Where the loss has a form fused with the network's last activation, that is the network up to its logits;
    otherwise all three are as they were, with no activation left out.
    """
    logits, activation = network.split_final_activation()
    fused = loss.fuse(activation) if activation is not None else None
    return (network, None, loss) if fused is None else (logits, activation, fused)


def outputs(network: Network, samples: Samples, batch_size: int = BATCH_ROWS) -> Array:
    """The network's output for all samples, (samples, *output_shape)."""
    result = np.empty((len(samples), *network.output_shape), network.dtype)
    with np.errstate(all="ignore"):
        for batch in samples.batches(batch_size, network.input_dtype):
            result[batch.rows] = network.forward(batch.inputs)
    return result


def metrics_beside(loss: Loss, metrics: Sequence[Metric]) -> list[Metric]:
    """The metrics as they are measured beside `loss`."""
    return [metric.beside(loss) for metric in metrics]


def evaluate(
    network: Network, activation: Activation | None, loss: Loss, metrics: Sequence[Metric], samples: Samples
) -> dict[str, Any]:
    """The loss and the metrics over all samples, by name.

    Args:
        network: its output is what `loss` takes.
        activation: what turns that output into predictions for the metrics; None where it is one.
        loss: fused with `activation`, if that isn't None.
        metrics: any number.
        samples: with targets for the loss and labels for the metrics.
    """
    logits = outputs(network, samples)
    with np.errstate(all="ignore"):
        assert samples.target is not None
        result: dict[str, Any] = {"loss": loss.value(logits, samples.target, samples.weight)}
        if activation is not None:
            activation.forward(logits, logits)
        return result | measure(metrics, logits, samples)


def measure(metrics: Sequence[Metric], prediction: Array, samples: Samples) -> dict[str, Any]:
    """The metrics of `prediction`, by name.

    Raises:
        DataError: a metric does not apply to such predictions or labels.
    """
    result = {}
    for name, metric in name_metrics(metrics).items():
        assert samples.labels is not None
        try:
            result[name] = metric.value(prediction, samples.labels, samples.weight)
        except ValueError as error:
            raise DataError(f"metric {name!r}: expected {expectation(error)}") from error
    return result


def name_metrics(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """The metrics by their names in a history: the type, with a number where there are several of one."""
    counts: Counter[str] = Counter()
    named = {}
    for metric in metrics:
        counts[metric.type] += 1
        named[metric.type if counts[metric.type] == 1 else f"{metric.type}_{counts[metric.type]}"] = metric
    return named
