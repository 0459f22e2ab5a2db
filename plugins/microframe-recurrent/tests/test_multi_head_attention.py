from __future__ import annotations

import numpy as np
import pytest
from microframe_recurrent import Masking, MultiHeadAttention

import microframe

SHAPE = (6, 4)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((5, *SHAPE))


@pytest.fixture
def padded(x, mask):
    return x * mask[..., None]


def attention(x, weights, heads, is_real=None, *, causal=False):
    """The formula, one query of one head of one sequence at a time."""

    def projected(name, rows):
        return rows @ weights[f"{name}_kernel"] + weights.get(f"{name}_bias", 0)

    width = weights["query_kernel"].shape[1] // heads
    result = np.zeros_like(x)
    for row, sequence in enumerate(x):
        query, key, value = (projected(name, sequence) for name in ("query", "key", "value"))
        read = np.zeros_like(value)
        for head in range(heads):
            columns = slice(head * width, (head + 1) * width)
            for step in range(len(sequence)):
                visible = np.ones(len(sequence), bool) if is_real is None else is_real[row].astype(bool)
                if causal:
                    visible = visible & (np.arange(len(sequence)) <= step)
                if visible.any():
                    scores = np.exp(key[visible, columns] @ query[step, columns] / np.sqrt(width))
                    read[step, columns] = scores / scores.sum() @ value[visible, columns]
        result[row] = projected("output", read)
    return result


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("fields", [{}, {"units": 6}, {"use_bias": False}], ids=["default", "units", "no bias"])
@pytest.mark.parametrize("heads", [1, 2])
def test_each_step_reads_a_weighted_mean_of_the_values(built, x, heads, fields, causal):
    model = built(MultiHeadAttention(heads, causal=causal, **fields), shape=SHAPE)
    expected = attention(x, model.weights["multi_head_attention_1"], heads, causal=causal)
    np.testing.assert_allclose(model(x), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_padding_is_not_read(built, padded, mask, causal):
    model = built(Masking(name="mask"), MultiHeadAttention(2, causal=causal, inputs=("input", "mask")), shape=SHAPE)
    expected = attention(padded, model.weights["multi_head_attention_1"], 2, mask, causal=causal)
    np.testing.assert_allclose(model(padded), expected, rtol=1e-9, atol=1e-12)


def test_a_sequence_of_nothing_but_padding_gives_the_bias(built):
    model = built(Masking(name="mask"), MultiHeadAttention(2, inputs=("input", "mask")), shape=SHAPE)
    y = model(np.zeros((1, *SHAPE)))
    bias = model.weights["multi_head_attention_1"]["output_bias"]
    np.testing.assert_array_equal(y, np.broadcast_to(bias, y.shape))


def test_a_causal_step_does_not_see_what_comes_after_it(built, x):
    model = built(MultiHeadAttention(2, causal=True), shape=SHAPE)
    changed = x.copy()
    changed[:, 4:] += 1
    np.testing.assert_allclose(model(changed)[:, :4], model(x)[:, :4], rtol=1e-12)
    assert not np.allclose(model(changed)[:, 4:], model(x)[:, 4:])


def test_without_a_code_of_positions_the_order_of_steps_makes_no_difference(built, x):
    model = built(MultiHeadAttention(2), shape=SHAPE)
    order = np.random.default_rng(1).permutation(SHAPE[0])
    np.testing.assert_allclose(model(x[:, order]), model(x)[:, order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_it_is_the_attention_of_pytorch(built, padded, mask, causal):
    torch = pytest.importorskip("torch")
    layer = MultiHeadAttention(2, causal=causal, inputs=("input", "mask"))
    model = built(Masking(name="mask"), layer, shape=SHAPE)
    weights = {name: torch.tensor(array) for name, array in model.weights["multi_head_attention_1"].items()}
    other = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    projections = ("query", "key", "value")
    other.load_state_dict(
        {
            "in_proj_weight": torch.cat([weights[f"{name}_kernel"].T for name in projections]),
            "in_proj_bias": torch.cat([weights[f"{name}_bias"] for name in projections]),
            "out_proj.weight": weights["output_kernel"].T,
            "out_proj.bias": weights["output_bias"],
        }
    )
    inputs = torch.tensor(padded)
    later = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1) if causal else None
    expected, _ = other(inputs, inputs, inputs, key_padding_mask=torch.tensor(mask == 0), attn_mask=later)
    some = mask.any(axis=1)  # of a sequence that is all padding PyTorch makes NaN
    np.testing.assert_allclose(model(padded)[some], expected.detach().numpy()[some], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_large_inputs_give_finite_outputs(built, x, value, causal):
    model = built(MultiHeadAttention(2, causal=causal), shape=SHAPE, dtype="float32")
    assert np.isfinite(model((value * x).astype(np.float32))).all()


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (MultiHeadAttention(3), "expected features, or units, that can be divided among 3 heads, not 4"),
        (MultiHeadAttention(2, units=5), "expected units that can be divided among 2 heads, not 5"),
    ],
    ids=["features", "units"],
)
def test_what_does_not_fit_is_refused(layer, expected):
    with pytest.raises(microframe.ConfigError, match=expected):
        microframe.Model([layer]).build(SHAPE)
