from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from microframe.standard import losses
from microframe.standard.activations import Sigmoid, Softmax

ALLOCATION_FREE = [
    (losses.MeanSquaredError(), "normal"),
    (losses.SquaredError(), "normal"),
    (losses.HalfSquaredError(), "normal"),
    (losses.MeanAbsoluteError(), "normal"),
    (losses.BinaryCrossEntropy().fuse(Sigmoid()), "bits"),
    (losses.CrossEntropy().fuse(Softmax()), "one_hot"),
    (losses.CrossEntropy(class_weights=(1.5,) * 1024).fuse(Softmax()), "one_hot"),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "targets"), ALLOCATION_FREE)
def test_a_training_step_allocates_no_array_after_the_first(loss, targets, dtype, reused_arrays, draws):
    rng = np.random.default_rng(0)
    prediction = draws["normal"](rng, (64, 1024)).astype(dtype)
    target = draws[targets](rng, prediction.shape).astype(dtype)
    out, arrays = np.empty_like(prediction), reused_arrays(dtype)
    loss.value_and_gradient(prediction, target, out, arrays.empty)
    arrays.next = 0
    tracemalloc.start()
    loss.value_and_gradient(prediction, target, out, arrays.empty)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy broadcasts a column through a buffer of 8192 elements, whatever the size of the arrays.
    broadcasting = 8192 * prediction.itemsize if targets == "one_hot" else 0
    assert peak < 4000 + broadcasting < prediction.nbytes / 4
