"""Who sees whom, and what a segment is."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.models.layers import dropout, gelu
from ee_jax.models.transformer import Transformer, parameters
from tests.models.golden_models import golden_backbone, golden_inputs, run_blocks

# What is the same but for the order of fp32 sums differs by this share of the largest value.
NOISE = 1e-5


@pytest.fixture(params=["bert", "albert", "llama", "modernbert", "mpnet", "gpt_neox"])
def name(request):
    return request.param


@pytest.fixture
def backbone(name):
    return golden_backbone(name)


@pytest.fixture
def batch(name):
    return golden_inputs(name)


@pytest.fixture
def row(batch):
    return take(batch, slice(1))  # 9 tokens without padding


def take(tokens, *where):
    return jax.tree.map(lambda array: array[where], tokens)


def same(left, right):
    np.testing.assert_allclose(left, right, rtol=0, atol=NOISE * np.abs(right).max())


def test_only_a_causal_backbone_is_blind_to_later_tokens(backbone, row):
    at = 5
    changed = row._replace(ids_BT=row.ids_BT.at[0, at].add(1))
    before, after = (run_blocks(backbone, tokens) for tokens in (row, changed))
    moved_LT = np.abs(before - after).max((1, 3)) > NOISE * np.abs(before).max()
    assert moved_LT[:, at].all()
    # One block's attention may give a token next to no weight; four blocks mix them all.
    assert moved_LT[-1, at + 1 :].all()
    assert moved_LT[-1, :at].all() == (not backbone.config.causal)
    assert moved_LT[1:, :at].any() == (not backbone.config.causal)


def test_padding_does_not_reach_the_tokens(backbone, batch):
    mask_BT = np.asarray(batch.mask_BT)
    hidden = run_blocks(backbone, batch)
    other_BT = jnp.where(mask_BT, batch.ids_BT, 7)
    other = run_blocks(backbone, batch._replace(ids_BT=other_BT))
    np.testing.assert_array_equal(hidden[:, mask_BT], other[:, mask_BT])
    short = run_blocks(backbone, take(batch, slice(1, 2), slice(6)))
    same(short[:, 0], hidden[:, 1, :6])


def test_the_examples_of_a_batch_do_not_see_each_other(backbone, batch):
    whole, flipped = (
        run_blocks(backbone, take(batch, slice(None, None, step))) for step in (1, -1)
    )
    same(whole, flipped[:, ::-1])


def test_segments_one_after_the_other_are_one(backbone, row):
    state = backbone.embed(row)
    whole = backbone.segment(state, 0, 4)
    parts = backbone.segment(backbone.segment(state, 0, 3), 3, 4)
    np.testing.assert_array_equal(whole.hidden_BTD, parts.hidden_BTD)
    np.testing.assert_array_equal(backbone.segment(state, 2, 2).hidden_BTD, state.hidden_BTD)


@pytest.mark.parametrize("name", ["bert", "albert"], indirect=True)
def test_tokens_without_types_are_of_the_first(backbone, row):
    zeros = row._replace(types_BT=jnp.zeros_like(row.ids_BT))
    plain, first, given = (
        backbone.embed(tokens).hidden_BTD
        for tokens in (row._replace(types_BT=None), zeros, row)
    )
    np.testing.assert_array_equal(plain, first)
    same_T = (np.asarray(plain) == np.asarray(given)).all(-1)[0]
    np.testing.assert_array_equal(same_T, row.types_BT[0] == 0)


def test_shared_blocks_have_their_parameters_once():
    config = golden_backbone("albert").config
    alone, together = (
        Transformer(replace(config, shared=shared), rngs=nnx.Rngs(0))
        for shared in (False, True)
    )
    count = {path.split(".")[1] for path in parameters(alone) if path.startswith("blocks.")}
    assert count == {"0", "1", "2", "3"}
    own = {path: value.shape for path, value in parameters(together).items()}
    assert own == {
        path: value.shape
        for path, value in parameters(alone).items()
        if not path.startswith(("blocks.1.", "blocks.2.", "blocks.3."))
    }


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


def test_dropout_differs_between_blocks_and_is_off_without_a_key(backbone, row):
    state = backbone.embed(row)
    key = jax.random.key(0)
    plain = backbone.segment(state, 0, 1)
    np.testing.assert_array_equal(backbone.segment(state, 0, 1, 0.5).hidden_BTD, plain[0])
    first, again = (backbone.segment(state, 0, 1, 0.5, key).hidden_BTD for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = backbone.segment(state, 0, 1, 0.5, jax.random.key(1)).hidden_BTD
    assert np.abs(first - other).max() > 0.1
