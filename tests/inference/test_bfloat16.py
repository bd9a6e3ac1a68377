"""Decoding in bfloat16: what is kept in it, and tokens that only a near-tie tells apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.exits.layouts import LAYOUTS
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation, StaticDecoding
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.rules import Exiting
from ee_jax.models.precision import in_precision
from ee_jax.tokens import Tokens
from tests.inference.models import PROMPTS, tiny

TOKENS = 20
# Programs round in different orders, which through three blocks moves a logit by hundredths
# of the largest: what lies nearer than this in the float32 model may change places.
NEAR = 0.05


@pytest.fixture(scope="module")
def decoder():
    return Decoder(in_precision(tiny(), "bfloat16"))


@pytest.fixture(scope="module")
def static(decoder):
    return decoder.run(StaticDecoding(2), None, PROMPTS, TOKENS)


def gap(row, *tokens):
    """How far apart the logits of two tokens after a row are, as a share of the largest."""
    ids_1T = jnp.asarray([row], jnp.int32)
    features = tiny().features(Tokens(ids_1T, jnp.ones(ids_1T.shape, bool)))
    logits_V = np.asarray(tiny().logits(features[-1, 0, -1]))
    return abs(np.subtract(*logits_V[list(tokens)])) / abs(logits_V).max()


def check_same_but_for_near_ties(ids_BN, wanted_BN):
    """From a row's first difference on it is another text."""
    differences = 0
    for prompt, ids_N, wanted_N in zip(PROMPTS, ids_BN, wanted_BN, strict=True):
        for n in np.flatnonzero(ids_N != wanted_N)[:1]:
            differences += 1
            assert gap([*prompt, *wanted_N[:n]], ids_N[n], wanted_N[n]) < NEAR
    assert differences <= len(PROMPTS) // 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_threshold_of_1_is_the_static_decoder(decoder, static, layout):
    method = EarlyExitDecoding(Exiting().rule_at, layout=layout)
    out = decoder.run(method, 1.0, PROMPTS, TOKENS)
    assert (out.exit_BN == 2).all()
    check_same_but_for_near_ties(out.ids_BN, static.ids_BN)


def test_speculation_is_the_static_decoder(decoder, static):
    out = decoder.run(SelfSpeculation(1, 3), None, PROMPTS, TOKENS)
    check_same_but_for_near_ties(out.ids_BN, static.ids_BN)


def test_it_follows_the_decoder_in_float32(static):
    exact = Decoder(tiny()).run(StaticDecoding(2), None, PROMPTS, TOKENS)
    check_same_but_for_near_ties(static.ids_BN, exact.ids_BN)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", ["propagate", "copy", "recompute"])
def test_layouts_give_the_same_exits(decoder, policy, layout):
    """But where a row has gone another way."""
    loops = EarlyExitDecoding(Exiting().rule_at, policy, layout="loops")
    wanted = decoder.run(loops, 0.25, PROMPTS, TOKENS)
    method = EarlyExitDecoding(Exiting().rule_at, policy, layout=layout)
    out = decoder.run(method, 0.25, PROMPTS, TOKENS)
    assert (out.exit_BN == wanted.exit_BN).mean() > 0.8
    assert len(np.unique(out.exit_BN)) == 3


def test_weights_and_cache_take_half(decoder):
    request = decoder.request(pack_prompts(PROMPTS, tiny().backbone.config, TOKENS), TOKENS)
    at = decoder.start(StaticDecoding(2), request, TOKENS)
    assert {leaf.dtype for leaf in jax.tree.leaves(at.memory)} == {jnp.dtype(jnp.bfloat16)}
    exact = sum(value.nbytes for value in Decoder(tiny()).values.values())
    assert sum(value.nbytes for value in decoder.values.values()) < 0.55 * exact
