"""Who sees whom, and what a segment is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.models.layers import dropout, gelu
from ee_jax.tokens import Tokens
from tests.models.golden_models import NAMES, golden_backbone, golden_inputs, run_blocks

# What is the same but for the order of fp32 sums differs by this share of the largest value.
NOISE = 1e-5


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def backbone(name):
    return golden_backbone(name)


@pytest.fixture
def tokens_BT(name):
    return np.asarray(golden_inputs(name)[0][:1])  # a row of 9 tokens without padding


def same(left, right):
    np.testing.assert_allclose(left, right, rtol=0, atol=NOISE * np.abs(right).max())


def test_only_a_causal_backbone_is_blind_to_later_tokens(backbone, tokens_BT):
    changed_BT, at = tokens_BT.copy(), 5
    changed_BT[0, at] += 1
    mask_BT = np.ones(tokens_BT.shape, bool)
    before, after = (run_blocks(backbone, row, mask_BT) for row in (tokens_BT, changed_BT))
    moved_LT = np.abs(before - after).max((1, 3)) > NOISE * np.abs(before).max()
    assert moved_LT[:, at].all()
    assert moved_LT[1:, at + 1 :].all()
    assert moved_LT[1:, :at].all() == (not backbone.config.causal)
    assert moved_LT[1:, :at].any() == (not backbone.config.causal)


def test_padding_does_not_reach_the_tokens(name, backbone):
    tokens_BT, mask_BT = map(np.asarray, golden_inputs(name)[:2])
    hidden = run_blocks(backbone, tokens_BT, mask_BT)
    other = run_blocks(backbone, np.where(mask_BT, tokens_BT, 7), mask_BT)
    np.testing.assert_array_equal(hidden[:, mask_BT], other[:, mask_BT])
    short = run_blocks(backbone, tokens_BT[1:2, :6], mask_BT[1:2, :6])
    same(short[:, 0], hidden[:, 1, :6])


def test_the_examples_of_a_batch_do_not_see_each_other(name, backbone):
    tokens_BT, mask_BT = map(np.asarray, golden_inputs(name)[:2])
    whole, flipped = (
        run_blocks(backbone, tokens_BT[::step], mask_BT[::step]) for step in (1, -1)
    )
    same(whole, flipped[:, ::-1])


def test_segments_one_after_the_other_are_one(backbone, tokens_BT):
    state = backbone.embed(Tokens(jnp.asarray(tokens_BT), jnp.ones(tokens_BT.shape, bool)))
    whole = backbone.segment(state, 0, 4)
    parts = backbone.segment(backbone.segment(state, 0, 3), 3, 4)
    np.testing.assert_array_equal(whole.hidden_BTD, parts.hidden_BTD)
    np.testing.assert_array_equal(backbone.segment(state, 2, 2).hidden_BTD, state.hidden_BTD)


def test_gelu_is_jaxs():
    x = jnp.linspace(-12, 12, 2001)
    # 0.5 + 0.5 erf cancels below 0: erf is right to two units in the last place of 1, 2.4e-7;
    # half of it times |x|, which is below 6 where the sum is not 0 yet, makes 7e-7.
    np.testing.assert_allclose(gelu(x), jax.nn.gelu(x, approximate=False), rtol=1e-6, atol=1e-6)


def test_dropout():
    x, key = jnp.ones((100, 100)), jax.random.key(0)
    np.testing.assert_array_equal(dropout(x, 0.25, None), x)
    np.testing.assert_array_equal(dropout(x, 0.0, key), x)
    dropped = np.asarray(dropout(x, 0.25, key))
    np.testing.assert_allclose(np.unique(dropped), [0, 4 / 3], rtol=1e-6)
    # The standard error of a mean of 10,000 is sqrt(0.25 * 0.75) / 100 = 0.0043.
    assert (dropped == 0).mean() == pytest.approx(0.25, abs=4 * 0.0043)


def test_dropout_differs_between_blocks_and_is_off_without_a_key(backbone, tokens_BT):
    state = backbone.embed(Tokens(jnp.asarray(tokens_BT), jnp.ones(tokens_BT.shape, bool)))
    key = jax.random.key(0)
    plain = backbone.segment(state, 0, 1)
    np.testing.assert_array_equal(backbone.segment(state, 0, 1, 0.5).hidden_BTD, plain[0])
    first, again = (backbone.segment(state, 0, 1, 0.5, key).hidden_BTD for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = backbone.segment(state, 0, 1, 0.5, jax.random.key(1)).hidden_BTD
    assert np.abs(first - other).max() > 0.1
