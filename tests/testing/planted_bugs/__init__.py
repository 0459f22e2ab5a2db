"""Small components for the conformance suite to judge: faulty ones, each wrong in one way, and right ones.

`python -m planted_bugs`, in the folder above, prints how many of the faulty ones the check that should does catch, and
which of the right ones are accused.
"""

from __future__ import annotations

from planted_bugs import (  # noqa: F401  # to have what they plant
    activation_conduct,
    activations,
    callbacks,
    components,
    initializers,
    layer_batches,
    layer_conduct,
    layer_correct,
    layer_gradients,
    layer_inference,
    layer_inputs,
    layer_memory,
    layer_ranges,
    loss_conduct,
    loss_values,
    metrics,
    optimizers,
    schedules,
    sources,
)
from planted_bugs.planting import CORRECT, PLANTED, Planted, failures, reason_of_failure

__all__ = ["CORRECT", "PLANTED", "Planted", "failures", "reason_of_failure"]
