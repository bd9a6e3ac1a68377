"""Norms, means and attention against float64, over twelve orders of magnitude."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.models.attention import attend, attention_bias
from ee_jax.models.heads import pool
from ee_jax.models.norms import LayerNorm, RMSNorm

WIDTHS = (1, 2, 48, 384)
SCALES = st.floats(-6, 6).map(lambda power: 10.0**power)
SEEDS = st.integers(0, 99)
# A sum of 384 squares, a root and a product: a few of fp32's units of 6e-8, of outputs that
# reach sqrt(D). Measured: 8e-7 where outputs are of size 1.
TOLERANCE = 4e-6


@cache
def norm(kind, width, eps):
    made = kind(width, eps, rngs=nnx.Rngs(0))
    return jax.jit(lambda x_ND: made(x_ND))


def layer_norm(x_ND, eps):
    center = x_ND - x_ND.mean(-1, keepdims=True)
    return center / np.sqrt((center**2).mean(-1, keepdims=True) + eps)


def rms_norm(x_ND, eps):
    return x_ND / np.sqrt((x_ND**2).mean(-1, keepdims=True) + eps)


def rows(width, seed, scale, mean, outlier=0.0):
    """Four rows; the mean is so many deviations, and the first number an outlier."""
    row_ND = np.random.default_rng(seed).normal(size=(4, width)) + mean
    row_ND[:, 0] += outlier
    return (scale * row_ND).astype(np.float32)


@pytest.mark.parametrize(("mean", "atol"), [(100.0, 1e-5), (1000.0, 1e-4)])
def test_a_mean_far_beyond_the_deviation(mean, atol):
    """E[x^2] - E[x]^2 is wrong by 6e-3 and 0.6 here; torch by 1.2e-5 and 1e-4."""
    x_ND = rows(384, 0, 1.0, mean)
    wanted_ND = layer_norm(x_ND.astype(np.float64), 1e-12)
    got_ND = norm(LayerNorm, 384, 1e-12)(x_ND)
    np.testing.assert_allclose(got_ND, wanted_ND, rtol=0, atol=atol / 10)


@settings(max_examples=100)
@example(384, 0, 1.0, 1e4, 0.0, 1e-12)
@example(384, 0, 1.0, 0.0, 1e6, 1e-12)
@given(
    st.sampled_from(WIDTHS),
    SEEDS,
    SCALES,
    st.floats(-1000, 1000),
    st.floats(-1e6, 1e6),
    st.sampled_from([1e-12, 1e-5]),
)
def test_layer_norm(width, seed, scale, mean, outlier, eps):
    x_ND = rows(width, seed, scale, mean, outlier)
    wanted_ND = layer_norm(exact := x_ND.astype(np.float64), eps)
    # What is left of the mean after the second time: (10 units)^2 of it, 1e-12 of the largest.
    left = 1e-12 * np.abs(exact).max() / np.sqrt(exact.var(-1).min() + eps)
    atol = TOLERANCE * max(1.0, np.abs(wanted_ND).max()) + left
    np.testing.assert_allclose(norm(LayerNorm, width, eps)(x_ND), wanted_ND, rtol=0, atol=atol)


@pytest.mark.parametrize("width", WIDTHS)
@given(SCALES)
def test_a_row_of_equal_numbers_has_no_deviation(width, scale):
    x_ND = np.full((4, width), scale, np.float32)
    # As above; without the second subtraction 1e6 would make outputs of 1.
    atol = 1e-12 * scale / 1e-6
    np.testing.assert_allclose(norm(LayerNorm, width, 1e-12)(x_ND), 0.0, rtol=0, atol=atol)
    # RMSNorm keeps the sign alone.
    wanted = rms_norm(x_ND.astype(np.float64), 1e-5)
    np.testing.assert_allclose(norm(RMSNorm, width, 1e-5)(x_ND), wanted, rtol=TOLERANCE)


@settings(max_examples=100)
@given(
    st.sampled_from(WIDTHS), SEEDS, SCALES, st.floats(-1000, 1000), st.floats(-1e6, 1e6),
    st.sampled_from([1e-12, 1e-5]),
)  # fmt: skip
def test_rms_norm(width, seed, scale, mean, outlier, eps):
    x_ND = rows(width, seed, scale, mean, outlier)
    wanted_ND = rms_norm(x_ND.astype(np.float64), eps)
    got_ND = norm(RMSNorm, width, eps)(x_ND)
    # A product for each number: relative.
    np.testing.assert_allclose(got_ND, wanted_ND, rtol=TOLERANCE, atol=1e-30)


@pytest.mark.parametrize("kind", [LayerNorm, RMSNorm])
def test_squares_hold_up_to_1e18(kind):
    """Their sum overflows beyond 1e19, as in torch."""
    x_ND = rows(384, 0, 1e18, 0.0)
    exact = x_ND.astype(np.float64)
    wanted_ND = layer_norm(exact, 1e-5) if kind is LayerNorm else rms_norm(exact, 1e-5)
    np.testing.assert_allclose(
        norm(kind, 384, 1e-5)(x_ND), wanted_ND, rtol=0, atol=10 * TOLERANCE
    )


def plain_norm(kind, eps, x_D, scale_D, bias_D):
    """The formula; of complex numbers too, so that a complex step gives its derivative."""
    x_D = x_D - x_D.mean() if kind is LayerNorm else x_D
    return x_D / np.sqrt((x_D * x_D).mean() + eps) * scale_D + bias_D


@pytest.mark.parametrize("kind", [LayerNorm, RMSNorm])
@pytest.mark.parametrize("width", [2, 7, 64])
@pytest.mark.parametrize(("scale", "mean"), [(1.0, 0.0), (1.0, 5.0), (1e-3, 2.0), (1e4, -5.0)])
def test_gradients_of_norms(kind, width, scale, mean):
    """Against complex steps in float64, which lose no digits: by x, by scale and by bias."""
    draw, eps = np.random.default_rng(width), 1e-5
    x_D = rows(width, width, scale, mean)[0]
    scale_D, bias_D, g_D = draw.normal(size=(3, width)).astype(np.float32)

    def ours(x_D, scale_D, bias_D):
        module = kind(width, eps, rngs=nnx.Rngs(0))
        module.scale.set_value(scale_D)
        if kind is LayerNorm:
            module.bias.set_value(bias_D)
        return jnp.vdot(g_D, module(x_D))

    given = x_D, scale_D, bias_D
    got = jax.grad(ours, (0, 1, 2))(*map(jnp.asarray, given))
    exact, step = [part.astype(complex) for part in given], 1e-30
    for number in range(2 + (kind is LayerNorm)):
        wanted_D = np.empty(width)
        for d in range(width):
            moved = [part.copy() for part in exact]
            moved[number][d] += 1j * step
            wanted_D[d] = (g_D * plain_norm(kind, eps, *moved)).sum().imag / step
        # Relative to the two sums that each number is a difference of.
        size = np.abs(g_D * scale_D).max() / np.sqrt((exact[0].real ** 2).mean() + eps)
        off = TOLERANCE * max(np.abs(wanted_D).max(), size if number == 0 else 0.0)
        np.testing.assert_allclose(got[number], wanted_D, rtol=0, atol=off)


T, H = 8, 4
MASKS = arrays(np.bool_, (1, T))
pool_mean = jax.jit(lambda hidden_BTD, mask_BT: pool(hidden_BTD, mask_BT, "mean"))


def whole_numbers(seed, power):
    """Query and key of whole numbers and powers of two, whose scores are exact; and a value.

    A score is up to 8^2 * 4 * 2^40 / 2 = 1.4e14 in size.
    """
    random = np.random.default_rng(seed)
    qkv = random.integers(-8, 9, size=(3, 1, T, 1, H)).astype(np.float32)
    return qkv * np.array([2.0**power, 2.0**power, 1.0], np.float32).reshape(3, 1, 1, 1, 1)


@partial(jax.jit, static_argnums=2)
def mixed(qkv_3BTNH, mask_BT, causal):
    query, key, value = qkv_3BTNH
    return attend(query, key, value, attention_bias(mask_BT, causal))[0, :, 0]


def textbook(qkv_3BTNH, seen_TS):
    """Softmax over what is seen, in float64; where nothing is, the mean of all values."""
    query_TH, key_TH, value_TH = qkv_3BTNH[:, 0, :, 0].astype(np.float64)
    score_TS = np.where(seen_TS, query_TH @ key_TH.T / np.sqrt(H), -np.inf)
    score_TS = np.where(seen_TS.any(-1, keepdims=True), score_TS, 0.0)
    weight_TS = np.exp(score_TS - score_TS.max(-1, keepdims=True))
    return weight_TS / weight_TS.sum(-1, keepdims=True) @ value_TH


# Weights in [0, 1] of 8 values of 8 at most: an exponential, a sum and a division, each a few
# units of 6e-8 of 8.
MIXED = 4e-6


@settings(max_examples=100)
@given(SEEDS, st.integers(-20, 20), MASKS, st.booleans())
def test_attention(seed, power, mask_BT, causal):
    qkv = whole_numbers(seed, power)
    seen_TS = mask_BT & (np.tril(np.ones((T, T), bool)) | (not causal))
    got_TH = mixed(qkv, mask_BT, causal)
    np.testing.assert_allclose(got_TH, textbook(qkv, seen_TS), rtol=0, atol=MIXED)


def test_a_score_is_not_seen_through_the_mask():
    """A bias of -1e9 is nothing beside a score of 1e14."""
    qkv, mask_BT = np.full((3, 1, T, 1, H), 2.0**20, np.float32), np.arange(T)[None] < 3
    qkv[1, 0, :3] = 1.0
    qkv[2, 0, :, 0] = np.arange(T)[:, None]
    np.testing.assert_allclose(mixed(qkv, mask_BT, False), 1.0, rtol=0, atol=MIXED)


@settings(max_examples=50)
@given(SEEDS, st.integers(-20, 20), st.integers(1, T), st.booleans())
def test_what_is_padded_is_what_is_not(seed, power, length, causal):
    qkv, mask_1T = whole_numbers(seed, power), np.arange(T)[None] < length
    short_TH = mixed(qkv[:, :, :length], mask_1T[:, :length], causal)
    long_TH = mixed(qkv, mask_1T, causal)
    np.testing.assert_allclose(long_TH[:length], short_TH, rtol=0, atol=MIXED)


@given(SEEDS, SCALES, MASKS)
def test_pooling_counts_what_is_there(seed, scale, mask_BT):
    """A row that pads a batch has no token, and no NaN."""
    random = np.random.default_rng(seed)
    hidden_BTD = (scale * random.normal(size=(1, T, H))).astype(np.float32)
    got = pool_mean(hidden_BTD, mask_BT)
    wanted = hidden_BTD[mask_BT].astype(np.float64).sum(0) / max(1, mask_BT.sum())
    np.testing.assert_allclose(got[0], wanted, rtol=0, atol=1e-6 * np.abs(hidden_BTD).max())
