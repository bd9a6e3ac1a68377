"""Attention and rotary positions against their textbook forms."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.models.architecture import Rope
from ee_jax.models.attention import (
    MASKED,
    Scores,
    attend,
    attention_bias,
    relative_buckets,
    rope_frequencies,
    rotate,
)

B, T, N, K, H = 2, 5, 4, 2, 6
# fp32 sums of a few products of numbers of size 1.
TOLERANCE = 2e-6


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def textbook(query_BTNH, key_BSNH, value_BSNH, bias_BTS):
    """Vaswani et al. 2017, eq. 1, as it is written."""
    score_BNTS = jnp.einsum("btnh,bsnh->bnts", query_BTNH, key_BSNH)
    score_BNTS = score_BNTS / query_BTNH.shape[-1] ** 0.5 + bias_BTS[:, None]
    return jnp.einsum("bnts,bsnh->btnh", jax.nn.softmax(score_BNTS), value_BSNH)


def inputs(kv_heads, source=T):
    query = random(B, T, N, H, seed=1)
    key, value = (random(B, source, kv_heads, H, seed=seed) for seed in (2, 3))
    mask_BS = jnp.arange(source)[None] < jnp.array([[source], [source - 2]])
    return query, key, value, mask_BS


@pytest.mark.parametrize("causal", [False, True])
def test_the_textbooks_softmax(causal):
    query, key, value, mask_BT = inputs(N)
    bias = attention_bias(mask_BT, causal)
    got, wanted = attend(query, key, value, bias), textbook(query, key, value, bias)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE)


def test_the_textbooks_gradient():
    """Training goes through it, and its softmax's maximum is taken out of the gradient."""
    *given, mask_BT = inputs(N)
    bias, weight = attention_bias(mask_BT, True), random(B, T, N, H, seed=4)

    def gradient(attend):
        def loss(query, key, value):
            return (attend(query, key, value, bias) * weight).sum()

        return jax.grad(loss, argnums=(0, 1, 2))(*given)

    for got, wanted in zip(gradient(attend), gradient(textbook), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=5 * TOLERANCE)


def test_there_may_be_more_keys_than_queries():
    query, key, value, mask_BS = inputs(N, source=7)
    bias = attention_bias(mask_BS, causal=False)
    got, wanted = attend(query, key, value, bias), textbook(query, key, value, bias)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kv_heads", [1, K])
def test_a_shared_key_head_is_one_that_is_repeated(kv_heads):
    query, key, value, mask_BT = inputs(kv_heads)
    bias = attention_bias(mask_BT, causal=True)
    got = attend(query, key, value, bias)
    key, value = (jnp.repeat(array, N // kv_heads, axis=2) for array in (key, value))
    wanted = textbook(query, key, value, bias)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE)


def test_the_bias_by_hand():
    mask_BT = jnp.array([[True, True, False]])
    o, x = 0.0, MASKED
    np.testing.assert_array_equal(attention_bias(mask_BT, causal=False), [[[o, o, x]]])
    np.testing.assert_array_equal(
        attention_bias(mask_BT, causal=True), [[[o, x, x], [o, o, x], [o, o, x]]]
    )


def test_the_bias_of_a_window_to_both_sides_by_hand():
    mask_BT = jnp.array([[True, True, True, False]])
    o, x = 0.0, MASKED
    np.testing.assert_array_equal(
        attention_bias(mask_BT, causal=False, window=2),
        [[[o, o, x, x], [o, o, o, x], [x, o, o, x], [x, x, o, x]]],
    )


def test_scores_of_another_size_and_capped():
    query, key, value, mask_BT = inputs(N)
    bias = attention_bias(mask_BT, causal=True)
    whole = textbook(query * np.sqrt(H / 5.0), key, value, bias)
    got = attend(query, key, value, bias, Scores(size=5.0))
    np.testing.assert_allclose(got, whole, rtol=0, atol=TOLERANCE)
    # A cap far above all scores changes nothing, one of 0 nearly makes all weights the same.
    got = attend(query, key, value, bias, Scores(size=5.0, cap=1e4))
    np.testing.assert_allclose(got, whole, rtol=0, atol=TOLERANCE)
    even = textbook(0 * query, key, value, bias)
    got = attend(query, key, value, bias, Scores(cap=1e-6))
    np.testing.assert_allclose(got, even, rtol=0, atol=TOLERANCE)


def test_a_cap_by_hand():
    """Scores of 2 and 0 capped at 1: weights as of tanh(2) and 0."""
    query, key = jnp.ones((1, 1, 1, 1)), jnp.array([2.0, 0.0]).reshape(1, 2, 1, 1)
    value, bias = jnp.array([1.0, 0.0]).reshape(1, 2, 1, 1), jnp.zeros((1, 1, 2))
    got = attend(query, key, value, bias, Scores(cap=1.0))
    assert got.item() == pytest.approx(1 / (1 + np.exp(-np.tanh(2.0))), rel=1e-6)


@pytest.mark.parametrize("kv_heads", [K, N])
def test_a_bias_of_each_head(kv_heads):
    query, key, value, mask_BT = inputs(kv_heads)
    own_BNTS = random(B, N, T, T, seed=9) + attention_bias(mask_BT, causal=True)[:, None]
    got = attend(query, key, value, own_BNTS)
    group = N // kv_heads
    for head in range(N):
        one, of = slice(head, head + 1), slice(head // group, head // group + 1)
        alone = textbook(query[:, :, one], key[:, :, of], value[:, :, of], own_BNTS[:, head])
        np.testing.assert_allclose(got[:, :, one], alone, rtol=0, atol=TOLERANCE)


def test_buckets_of_distances_by_hand():
    """16 to a side: distances 0 to 7 alone, then 8 to 11, ... and all from 113 on together."""
    bucket_TT = relative_buckets(jnp.arange(300)[None], 300, 32, 128, causal=False)[0]
    assert bucket_TT[0, :8].tolist() == [0, *range(17, 24)]
    assert bucket_TT[:8, 0].tolist() == [*range(8)]
    starts = [8, 12, 16, 23, 32, 46, 64, 91]  # 8 * 16^(k / 8), rounded up
    for number, start in enumerate(starts):
        assert bucket_TT[start, 0] == 8 + number
        assert bucket_TT[start - 1, 0] == 7 + number
        assert bucket_TT[0, start] == 24 + number
    assert (bucket_TT[91:, 0] == 15).all()


def test_buckets_of_what_came_before():
    """16 in all where nothing later is seen: the same distances, and none on the other side."""
    position_12 = jnp.asarray([[150, 3]])
    bucket_2S = relative_buckets(position_12, 300, 16, 128, causal=True)[0]
    both_SS = relative_buckets(jnp.arange(300)[None], 300, 32, 128, causal=False)[0]
    np.testing.assert_array_equal(bucket_2S[0, :151], both_SS[150, :151])
    np.testing.assert_array_equal(bucket_2S[1, :4], both_SS[3, :4])
    assert not bucket_2S[0, 151:].any()


@pytest.mark.parametrize("causal", [False, True])
def test_a_row_with_nothing_to_see_gives_no_nan_and_disturbs_nobody(causal):
    query, key, value, mask_BT = inputs(K)
    whole = attend(query, key, value, attention_bias(mask_BT, causal))
    mask_BT = mask_BT.at[1].set(False)
    bias = attention_bias(mask_BT, causal)
    got, gradient = jax.value_and_grad(lambda q: attend(q, key, value, bias).sum())(query)
    assert np.isfinite(got)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(attend(query, key, value, bias)[0], whole[0])


def test_large_scores_do_not_overflow():
    query, key, value, mask_BT = inputs(N)
    bias = attention_bias(mask_BT, causal=False)
    got = attend(300 * query, 300 * key, value, bias)
    wanted = textbook(300 * query, 300 * key, value, bias)
    # A score of 1e5 has an error of 1e-2 itself, so only where one weight is 1 can they agree.
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=0.1)


def test_rotation_is_that_of_complex_numbers():
    x = random(B, T, N, H)
    left, right = np.split(np.asarray(x, np.float64), 2, axis=-1)
    frequency = 100.0 ** (-2 * np.arange(H // 2) / H)
    turn = np.exp(1j * np.arange(T)[:, None, None] * frequency)
    wanted = (left + 1j * right) * turn
    got = rotate(x, jnp.arange(T)[None], rope_frequencies(Rope(100.0), H))
    np.testing.assert_allclose(
        got, np.concatenate([wanted.real, wanted.imag], -1), rtol=0, atol=TOLERANCE
    )


def test_a_part_of_a_head_turns_and_the_rest_stays():
    x, position_BT = random(B, T, N, 10), jnp.arange(T)[None]
    got = rotate(x, position_BT, rope_frequencies(Rope(100.0, share=0.6), 10))
    whole = rotate(x[..., :6], position_BT, rope_frequencies(Rope(100.0), 6))
    np.testing.assert_array_equal(got[..., :6], whole)
    np.testing.assert_array_equal(got[..., 6:], x[..., 6:])


def test_linear_scaling_is_a_position_divided():
    x, position_BT = random(B, T, N, H), jnp.arange(T)[None]
    plain = rotate(x, position_BT, rope_frequencies(Rope(100.0), H))
    scaled = rope_frequencies(Rope(100.0, "linear", factor=4.0), H)
    got = rotate(x, 4 * position_BT, scaled)
    np.testing.assert_allclose(got, plain, rtol=0, atol=TOLERANCE)


def test_llama3_scaling_by_hand():
    """Turns in `original_length` tokens: above 4 kept, below 1 divided, between 2.5 half."""
    turns = np.array([8.0, 4.0, 2.5, 1.0, 0.5])
    rope = Rope(16.0**5, "llama3", 8.0, 1.0, 4.0, original_length=1)
    plain = rope_frequencies(Rope(rope.theta), 10)  # 1, 16^-1, ... 16^-4
    for frequency, turn in zip(plain, turns, strict=True):
        length = turn * 2 * np.pi / frequency
        got = rope_frequencies(replace(rope, original_length=length), 10)
        share = got[plain == frequency] / frequency
        kept = {8.0: 1, 4.0: 1, 2.5: 0.5, 1.0: 0, 0.5: 0}[turn]
        np.testing.assert_allclose(share, kept + (1 - kept) / 8, rtol=1e-6)


def test_yarn_by_hand():
    """Of a head of 16 and base 2^16 pair i turns 2^(13 - 2 i) / (2 pi) times in 2^13 tokens.

    Just beyond pair 2 it turns `high` times, just before pair 6 `low` times.
    """
    turns_of = {pair: 2.0 ** (13 - 2 * pair) / (2 * np.pi) for pair in (2, 6)}
    rope = Rope(2.0**16, "yarn", 8.0, 1.01 * turns_of[6], 0.99 * turns_of[2], 2**13)
    plain = rope_frequencies(Rope(rope.theta), 16)
    kept = np.array([1, 1, 1, 0.75, 0.5, 0.25, 0, 0])
    got = rope_frequencies(rope, 16)
    np.testing.assert_allclose(got / plain, kept + (1 - kept) / 8, rtol=1e-6)


def test_what_has_turned_is_multiplied_and_nothing_else():
    x, position_BT = random(B, T, N, 10), jnp.arange(T)[None]
    frequency = rope_frequencies(Rope(100.0, share=0.6), 10)
    plain, scaled = (rotate(x, position_BT, frequency, scale) for scale in (1.0, 1.5))
    np.testing.assert_allclose(scaled[..., :6], 1.5 * plain[..., :6], rtol=0, atol=TOLERANCE)
    np.testing.assert_array_equal(scaled[..., 6:], x[..., 6:])


def test_scores_of_rotated_vectors_know_only_the_distance():
    query_H, key_H = random(H, seed=1), random(H, seed=2)
    frequency = rope_frequencies(Rope(100.0), H)
    query, key = (
        rotate(jnp.tile(x_H, (1, T, 1, 1)), jnp.arange(T)[None], frequency)[0, :, 0]
        for x_H in (query_H, key_H)
    )
    score_TS = np.asarray(query @ key.T)
    diagonals = [np.diagonal(score_TS, offset) for offset in range(1 - T, T)]
    for diagonal in diagonals:
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=0, atol=5 * TOLERANCE)
    # Each distance is another number: positions are not ignored.
    assert len({round(float(diagonal[0]), 4) for diagonal in diagonals}) == 2 * T - 1
