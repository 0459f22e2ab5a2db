from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from microframe.errors import ConfigError
from microframe.interfaces import Activation
from microframe.registry import registry
from microframe.standard import activations as standard

NAMES = registry.standard_names("activation")
VARIANTS = [
    standard.LeakyReLU(slope=0.3),
    standard.LeakyReLU(slope=0.0),
    standard.ELU(alpha=0.5),
    standard.ELU(alpha=2.0),
    standard.GELU(approximate=True),
]
ALL = [registry.get("activation", name)() for name in NAMES] + VARIANTS
OVER_LAST_AXIS = (standard.Softmax, standard.LogSoftmax)

every_activation = pytest.mark.parametrize("activation", ALL, ids=repr)


@pytest.fixture(autouse=True)
def _as_in_a_network():
    with np.errstate(all="ignore"):
        yield


def forward(activation: Activation, x: np.ndarray) -> np.ndarray:
    y = np.full_like(x, np.nan)
    activation.forward(x, y)
    return y


def backward(activation: Activation, dy: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    out = np.full_like(dy, np.nan)
    activation.backward(dy, x if activation.needs_input else None, y, out)
    return out


def samples(dtype: str = "float64", shape: tuple[int, ...] = (3, 2, 7)) -> tuple[np.ndarray, np.ndarray]:
    """Inputs on both sides of every kink and away from it, and gradients."""
    rng = np.random.default_rng(1)
    x = rng.uniform(0.05, 4, shape) * rng.choice([-1, 1], shape)
    x[np.abs(np.abs(x) - 3) < 0.01] = 1.5
    return x.astype(dtype), rng.standard_normal(shape).astype(dtype)


class ReusingContext:
    """The part of a layer's context that an activation uses: arrays reused from step to step."""

    def __init__(self, dtype: str = "float64") -> None:
        self.dtype = dtype
        self.arrays: list[np.ndarray] = []
        self.next = 0

    def empty(self, shape: tuple[int, ...], dtype: object = None) -> np.ndarray:
        if self.next == len(self.arrays):
            self.arrays.append(np.empty(shape, dtype or self.dtype))
        self.next += 1
        return self.arrays[self.next - 1]

    def step(self, activation: Activation, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.next = 0
        kept, y = activation.apply(self, x)
        return y, activation.pull_back(self, dy, kept, y)


class CountingArray(np.ndarray):
    """An array that counts the ufuncs that are called on it."""

    calls = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **keywords):
        CountingArray.calls += 1
        plain = tuple(np.asarray(value) for value in inputs)
        getattr(ufunc, method)(*plain, out=tuple(np.asarray(value) for value in out) or None, **keywords)
        return out[0]


def ufunc_calls(activation: Activation) -> int:
    x = np.linspace(-1, 1, 10).view(CountingArray)
    out = np.empty(10).view(CountingArray)
    CountingArray.calls = 0
    activation.forward(x, out)
    np.testing.assert_allclose(np.asarray(out), forward(activation, np.asarray(x)))
    return CountingArray.calls


def test_the_standard_names():
    rectifiers = {"relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus"}
    others = {"linear", "sigmoid", "hard_sigmoid", "softsign", "tanh", "softmax", "log_softmax"}
    assert set(NAMES) == rectifiers | others


@every_activation
def test_float32_gives_the_float64_result_to_its_precision(activation):
    x, dy = samples("float32")
    y = forward(activation, x)
    dx = backward(activation, dy, x, y)
    exact = forward(activation, x.astype("float64"))
    exact_dx = backward(activation, dy.astype("float64"), x.astype("float64"), exact)
    assert y.dtype == dx.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(dx, exact_dx, rtol=1e-5, atol=2e-6)


@every_activation
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_training_step_allocates_no_array_after_the_first(activation, dtype):
    x, dy = samples(dtype, (64, 1024))
    context = ReusingContext(dtype)
    context.step(activation, x.copy(), dy)
    own = x.copy()
    tracemalloc.start()
    context.step(activation, own, dy)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy broadcasts a column through a buffer of 8192 elements, whatever the size of the arrays.
    broadcasting = 8192 * x.itemsize if isinstance(activation, OVER_LAST_AXIS) else 0
    assert peak < 4000 + broadcasting < x.nbytes / 4


LIMITS = {
    "linear": (-1e4, 0, 1e4),
    "relu": (0, 0, 1e4),
    "leaky_relu": (-100, 0, 1e4),
    "elu": (-1, 0, 1e4),
    "selu": (-1.0507009873554805 * 1.6732632423543772, 0, 1.0507009873554805e4),
    "gelu": (0, 0, 1e4),
    "silu": (0, 0, 1e4),
    "softplus": (0, math.log(2), 1e4),
    "softsign": (-0.999900009999, 0, 0.999900009999),
    "sigmoid": (0, 0.5, 1),
    "hard_sigmoid": (0, 0.5, 1),
    "tanh": (-1, 0, 1),
    "softmax": (0, 0, 1),
    "log_softmax": (-2e4, -1e4, 0),
}
SLOPES = {
    "linear": (1, 1, 1),
    "relu": (0, 0, 1),
    "leaky_relu": (0.01, 0.01, 1),
    "elu": (0, 1, 1),
    "selu": (0, 1.0507009873554805 * 1.6732632423543772, 1.0507009873554805),
    "gelu": (0, 0.5, 1),
    "silu": (0, 0.5, 1),
    "softplus": (0, 0.5, 1),
    "softsign": (1e-8, 1, 1e-8),
    "sigmoid": (0, 0.25, 0),
    "hard_sigmoid": (0, 1 / 6, 0),
    "tanh": (0, 1, 0),
    "softmax": (0, 0, 0),
    "log_softmax": (1, 1, -2),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_slopes_are_right_at_zero_and_ten_thousand(name, dtype):
    activation = registry.get("activation", name)()
    x = np.array([[-1e4, 0, 1e4]], dtype)
    y = forward(activation, x)
    dx = backward(activation, np.ones_like(x), x, y)
    np.testing.assert_allclose(y[0], LIMITS[name], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(dx[0], SLOPES[name], rtol=1e-3, atol=1e-12)


def test_the_tanh_form_of_gelu_has_the_same_limits():
    x = np.array([-1e4, 0, 1e4], "float32")
    y = forward(standard.GELU(approximate=True), x)
    np.testing.assert_array_equal(y, [0, 0, 1e4])
    np.testing.assert_array_equal(backward(standard.GELU(approximate=True), np.ones_like(x), x, y), [0, 0.5, 1])


GRID = np.linspace(-40, 40, 4001).reshape(1, -1)


@pytest.mark.parametrize(
    ("activation", "oracle"),
    [
        (standard.Sigmoid(), special.expit),
        (standard.Tanh(), np.tanh),
        (standard.Softmax(), lambda x: special.softmax(x, axis=-1)),
        (standard.LogSoftmax(), lambda x: special.log_softmax(x, axis=-1)),
        (standard.Softplus(), lambda x: np.logaddexp(x, 0)),
        (standard.SiLU(), lambda x: x * special.expit(x)),
        (standard.ReLU(), lambda x: np.where(x > 0, x, 0)),
        (standard.LeakyReLU(slope=0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
        (standard.ELU(alpha=2.0), lambda x: np.where(x > 0, x, 2 * special.expm1(np.minimum(x, 0)))),
        (standard.Softsign(), lambda x: x / (1 + np.abs(x))),
        (standard.HardSigmoid(), lambda x: np.clip((x + 3) / 6, 0, 1)),
    ],
)
def test_it_agrees_with_its_formula_relative_to_the_value(activation, oracle):
    np.testing.assert_allclose(forward(activation, GRID), oracle(GRID), rtol=1e-12, atol=1e-300)


def test_gelu_agrees_with_the_normal_distribution():
    np.testing.assert_allclose(forward(standard.GELU(), GRID), GRID * special.ndtr(GRID), rtol=1e-13, atol=1e-13)


def test_the_tanh_form_of_gelu_agrees_with_its_formula():
    expected = 0.5 * GRID * (1 + np.tanh(math.sqrt(2 / math.pi) * (GRID + 0.044715 * GRID**3)))
    np.testing.assert_allclose(forward(standard.GELU(approximate=True), GRID), expected, rtol=1e-12, atol=1e-12)


def test_selu_keeps_the_mean_and_variance_of_normal_inputs():
    y = forward(standard.SELU(), np.random.default_rng(0).standard_normal(400_000))
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1) < 0.01


@given(st.floats(-1e4, 1e4))
def test_erf_agrees_with_the_standard_library(x):
    argument, out, scratch = np.array([x]), np.empty(1), np.empty(1)
    with np.errstate(all="ignore"):
        standard.erf(argument, out, scratch)
    assert abs(out[0] - math.erf(x)) < 3e-15


def test_erf_agrees_with_scipy_on_a_fine_grid():
    x = np.linspace(-7, 7, 100_001)
    for dtype, tolerance in (("float64", 3e-15), ("float32", 5e-7)):
        argument = x.astype(dtype)
        out = np.empty_like(argument)
        standard.erf(argument, out, np.empty_like(argument))
        np.testing.assert_allclose(out, special.erf(argument.astype("float64")), rtol=0, atol=tolerance)
        assert out.dtype == dtype


def test_erf_takes_a_scale():
    x = np.linspace(-7, 7, 101)
    out = np.empty_like(x)
    standard.erf(x, out, np.empty_like(x), 0.25)
    np.testing.assert_allclose(out, special.erf(0.25 * x), rtol=0, atol=3e-15)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=8))
def test_softmax_gives_probabilities_whatever_the_logits(logits):
    with np.errstate(all="ignore"):
        y = forward(standard.Softmax(), np.array([logits]))
        logarithms = forward(standard.LogSoftmax(), np.array([logits]))
    assert math.isclose(y.sum(), 1)
    np.testing.assert_allclose(np.exp(logarithms), y, atol=1e-12)


@given(st.floats(-700, 700))
def test_sigmoid_is_accurate_relative_to_its_value(x):
    y = forward(standard.Sigmoid(), np.array([x]))
    assert math.isclose(y[0], special.expit(x), rel_tol=1e-14)


def test_sigmoid_takes_four_ufunc_calls():
    assert ufunc_calls(standard.Sigmoid()) == 4


def test_linear_takes_no_time_in_a_layer():
    x, dy = samples()
    kept, y = standard.Linear().apply(ReusingContext(), x)
    assert y is x
    assert kept is None
    assert standard.Linear().pull_back(ReusingContext(), dy, kept, y) is dy
    assert ufunc_calls(standard.Linear()) == 0


def test_only_gates_keep_their_input():
    assert {activation.type for activation in ALL if activation.needs_input} == {"gelu", "silu"}


def test_fields_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="slope"):
        standard.LeakyReLU(slope=1.5)
    with pytest.raises(ConfigError, match="alpha"):
        standard.ELU(alpha=0.0)
