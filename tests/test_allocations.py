"""A training step makes no arrays, once those that it works in are there."""

from __future__ import annotations

from unittest import mock

import h5py
import numpy as np
import pytest

from microframe import Loss, Model
from microframe.interfaces.callback import Listener
from microframe.registry import Registry
from microframe.standard.layers import (
    ActivationLayer,
    Add,
    BatchNorm,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    LayerNorm,
    MinMax,
    Multiply,
    Reshape,
    Standardize,
)
from microframe.standard.losses import CrossEntropy, Huber, KLDivergence
from microframe.standard.optimizers import SGD, Nadam, RMSprop
from microframe.testing import recorded_allocations
from microframe.testing.allocations import LARGEST_NUMBER

ROWS, FEATURES, CLASSES = 45, 12, 6
BATCH = 8
"""Five batches of 8 and one of 5."""
SGD_STEP = {"type": "sgd", "learning_rate": 1e-3}


class Step(Listener):
    """Notes what each step allocated since the last."""

    def __init__(self, sizes):
        self.sizes = sizes
        self.of_steps = []

    def batch_end(self, run, memory):
        self.of_steps.append([size for size in self.sizes if size > LARGEST_NUMBER])
        self.sizes.clear()


def allocated(layers, x, y, *, dtype="float32", sample_weight=None, **training):
    """The bytes of each array that the steps of two epochs make, by step.

    Those of `Loss.sample_values` are left out, which has to return an array of its own; sample weights need it.
    """
    training = {"loss": "mean_squared_error", "optimizer": SGD_STEP, "batch_size": BATCH, "shuffle": False} | training
    value = Loss.value

    def value_unrecorded(loss, prediction, target, weight=None):
        before = len(sizes)
        result = value(loss, prediction, target, weight)
        if weight is not None:
            del sizes[before:]
        return result

    with recorded_allocations() as sizes, mock.patch.object(Loss, "value", value_unrecorded):
        listener = Step(sizes)
        Model(layers, dtype=dtype).fit(x, y, epochs=2, sample_weight=sample_weight, listeners=[listener], **training)
    return listener.of_steps


def assert_nothing_allocated(steps):
    """Each size of batch may make its arrays the first time, and the start of an epoch its copies and its order."""
    half = len(steps) // 2
    later = steps[1 : half - 1] + steps[half + 1 :]
    assert later == [[]] * len(later)


def inputs(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal((ROWS, *(shape or (FEATURES,)))).astype(np.float32)


def classes(count=CLASSES):
    return np.arange(ROWS) % count


def probabilities():
    rows = np.random.default_rng(1).random((ROWS, CLASSES)).astype(np.float32)
    return rows / rows.sum(axis=1, keepdims=True)


LOSSES = {
    "mean_squared_error": ("mean_squared_error", "linear", inputs(CLASSES)),
    "half_squared_error": ("half_squared_error", "linear", inputs(CLASSES)),
    "squared_error": ("squared_error", "linear", inputs(CLASSES)),
    "mean_absolute_error": ("mean_absolute_error", "linear", inputs(CLASSES)),
    "brier_score": ("brier_score", "softmax", classes()),
    "huber": ("huber", "linear", inputs(CLASSES)),
    "huber, other delta": (Huber(0.3), "linear", inputs(CLASSES)),
    "poisson": ("poisson", "softplus", probabilities()),
    "binary_cross_entropy": ("binary_cross_entropy", "softmax", probabilities()),
    "binary_cross_entropy, fused": ("binary_cross_entropy", "sigmoid", probabilities()),
    "cross_entropy": ("cross_entropy", "sigmoid", classes()),
    "cross_entropy, fused": ("cross_entropy", "softmax", classes()),
    "cross_entropy, fused, weights": (CrossEntropy(0.1, class_weights=(1.0, 2.0) * 3), "softmax", classes()),
    "kl_divergence": ("kl_divergence", "sigmoid", probabilities()),
    "kl_divergence, fused": (KLDivergence(), "softmax", probabilities()),
    "hinge": ("hinge", "linear", classes()),
    "hinge, single score": ("hinge", "linear", classes(2)),
}


weighted_or_not = pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2, ROWS)], ids=["", "weighted"])


@weighted_or_not
@pytest.mark.parametrize(("loss", "activation", "target"), LOSSES.values(), ids=LOSSES)
def test_no_loss_makes_an_array_in_a_step(loss, activation, target, weight):
    units = 1 if set(np.unique(target)) == {0, 1} else CLASSES
    assert_nothing_allocated(allocated([Dense(units, activation)], inputs(), target, loss=loss, sample_weight=weight))


@weighted_or_not
@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
def test_no_loss_makes_an_array_in_a_step_on_sequences(loss, weight):
    target = np.arange(ROWS * 3).reshape(ROWS, 3) % CLASSES
    layers = [Dense(CLASSES, "softmax")]
    assert_nothing_allocated(allocated(layers, inputs(3, FEATURES), target, loss=loss, sample_weight=weight))


@pytest.mark.parametrize(
    "activation", [*Registry().standard_names("activation"), {"type": "gelu", "approximate": True}], ids=str
)
def test_no_activation_makes_an_array_in_a_step(activation):
    layers = [Dense(CLASSES, activation), ActivationLayer(activation), Dense(CLASSES)]
    assert_nothing_allocated(allocated(layers, inputs(), inputs(CLASSES)))


OPTIMIZERS = [
    *Registry().standard_names("optimizer"),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(centered=True, momentum=0.5),
    Nadam(l1=1e-4, l2=1e-4, clip_value=1.0, weight_decay=1e-3, average=0.9),
    SGD(l1=1e-4, clip_norm=1e-3),
    SGD(schedule="cosine"),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_no_optimizer_makes_an_array_in_a_step(optimizer):
    assert_nothing_allocated(allocated([Dense(CLASSES)], inputs(), inputs(CLASSES), optimizer=optimizer))


LAYERS = {
    "dense": [Dense(CLASSES, use_bias=False)],
    "dense, sequences": [Reshape((3, -1)), Dense(CLASSES, "relu"), Flatten()],
    "activation": [ActivationLayer("gelu")],
    "dropout": [Dropout(0.3)],
    "gaussian_noise": [GaussianNoise(0.1)],
    "batch_norm": [BatchNorm()],
    "batch_norm, sequences": [Reshape((3, -1)), BatchNorm(), Flatten()],
    "layer_norm": [LayerNorm()],
    "layer_norm, sequences": [Reshape((3, -1)), LayerNorm(), Flatten()],
    "standardize": [Standardize()],
    "min_max": [MinMax(-1, 1)],
    "add": [Add(inputs=("one", "two"))],
    "add, three": [Add(inputs=("one", "two", "one"))],
    "multiply": [Multiply(inputs=("one", "two"))],
    "multiply, three": [Multiply(inputs=("one", "two", "one"))],
    "concatenate": [Concatenate(inputs=("one", "two"))],
}


@pytest.mark.parametrize("middle", LAYERS.values(), ids=LAYERS)
def test_no_layer_makes_an_array_in_a_step(middle):
    layers = [Dense(FEATURES, name="one"), Dense(FEATURES, name="two"), *middle, Dense(CLASSES)]
    assert_nothing_allocated(allocated(layers, inputs(), inputs(CLASSES)))


@pytest.mark.parametrize("stored", ["float32", "float64"])
@pytest.mark.parametrize("first", [Standardize(), MinMax(-1, 1)])
def test_a_layer_that_sees_the_input_in_float64_makes_no_array_in_a_step(first, stored):
    assert_nothing_allocated(allocated([first, Dense(CLASSES)], inputs().astype(stored), inputs(CLASSES)))


EMBEDDING = [Embedding(7, 4), Flatten(name="embedded")]
BESIDE_A_READER_OF_VALUES = [
    Dense(3, name="values", inputs=("input",)),
    Concatenate(inputs=("embedded", "values")),
]


@pytest.mark.parametrize("others", [[], BESIDE_A_READER_OF_VALUES], ids=["integers", "values"])
def test_the_embedding_makes_no_array_in_a_step(others):
    numbers = np.arange(ROWS * FEATURES).reshape(ROWS, FEATURES) % 7
    assert_nothing_allocated(allocated([*EMBEDDING, *others, Dense(CLASSES)], numbers, inputs(CLASSES)))


def test_every_standard_part_is_among_those_above():
    layers = {layer.type for middle in LAYERS.values() for layer in middle}
    assert layers | {"embedding"} == set(Registry().standard_names("layer"))
    losses = {name.partition(",")[0] for name in LOSSES}
    assert losses == set(Registry().standard_names("loss"))


@pytest.mark.parametrize("stored", ["uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("validation", [0.0, 0.4])
@weighted_or_not
def test_no_array_is_made_to_gather_a_batch(stored, shuffle, validation, weight):
    x = np.abs(10 * inputs()).astype(stored)
    steps = allocated(
        [Dense(CLASSES)],
        x,
        inputs(CLASSES),
        shuffle=shuffle,
        validation=validation,
        sample_weight=weight,
        metrics=["mean_absolute_error"],
    )
    assert_nothing_allocated(steps)


@pytest.mark.parametrize("validation", [0.0, 0.4])
@weighted_or_not
def test_a_file_that_is_read_in_one_block_makes_arrays_for_its_first_batch_only(tmp_path, validation, weight):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = inputs().astype(np.float64)
        steps = allocated(
            [Dense(CLASSES)], file["x"], inputs(CLASSES), validation=validation, shuffle=True, sample_weight=weight
        )
    assert_nothing_allocated(steps)


def test_each_array_is_recorded_with_its_size_also_when_it_is_let_go_at_once():
    with recorded_allocations() as sizes:
        np.zeros(10)
        np.empty(3, np.float32)
    np.ones(7)
    assert sizes == [80, 12]
