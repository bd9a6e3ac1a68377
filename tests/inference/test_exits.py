"""Decoding with exits: against plain loops, whatever the batch, the window and the ends."""

import numpy as np
import pytest

from ee_jax.exits.layouts import LAYOUTS
from ee_jax.exits.rules import threshold_rule
from ee_jax.exits.stopping import make_limits
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding, StaticDecoding
from ee_jax.inference.rules import Exiting, forced_at
from tests.inference.models import LAYERS, NO_STOPS, PROMPTS, tiny
from tests.inference.plain import PlainLlama

TOKENS = 20
CLOSE = 1e-4  # single against double precision, through 4 blocks
MAX_PROB = Exiting("max_prob")


@pytest.fixture(scope="module")
def decoder():
    return Decoder(tiny(learned=True), stops=NO_STOPS)


@pytest.fixture(scope="module")
def plain():
    return PlainLlama(tiny())


def check_rows(out, plain, prompts, threshold, policy, stops=()):
    depths = []
    for row, prompt in enumerate(prompts):
        ids, exits, confidence = plain.decode(prompt, TOKENS, threshold, policy, stops)
        length = out.length_B[row]
        np.testing.assert_array_equal(out.ids_BN[row, :length], ids)
        np.testing.assert_array_equal(out.exit_BN[row, :length], exits)
        np.testing.assert_allclose(out.confidence_BN[row, :length], confidence, atol=CLOSE)
        assert not out.ids_BN[row, length:].any()
        depths.extend(exits)
    return np.bincount(depths, minlength=len(LAYERS))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", ["propagate", "copy", "recompute"])
@pytest.mark.parametrize("threshold", [0.2, 0.25, 0.3])
def test_every_policy_gives_what_plain_loops_give(decoder, plain, policy, threshold, layout):
    method = EarlyExitDecoding(MAX_PROB.rule_at, policy, layout=layout)
    out = decoder.run(method, threshold, PROMPTS, TOKENS)
    counts = check_rows(out, plain, PROMPTS, threshold, policy)
    assert (counts > 0).all(), "a threshold at which not every exit answers tests little"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("policy", "window"), [("propagate", 1), ("recompute", 3)])
def test_a_window_that_overflows_changes_nothing(decoder, plain, policy, window, layout):
    method = EarlyExitDecoding(MAX_PROB.rule_at, policy, window, layout)
    out = decoder.run(method, 0.2, PROMPTS, TOKENS)
    check_rows(out, plain, PROMPTS, 0.2, policy)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_alone_is_as_in_a_batch(decoder, plain, layout):
    method = EarlyExitDecoding(MAX_PROB.rule_at, layout=layout)
    for prompt in PROMPTS[:2]:
        out = decoder.run(method, 0.2, [prompt], TOKENS)
        check_rows(out, plain, [prompt], 0.2, "propagate")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_end_at_their_own_stop_token(decoder, plain, monkeypatch, layout):
    stops = tuple(plain.decode(PROMPTS[1], TOKENS, 0.2, "propagate")[0][[3, 9]].tolist())
    monkeypatch.setattr(decoder, "stops", stops)
    method = EarlyExitDecoding(MAX_PROB.rule_at, layout=layout)
    out = decoder.run(method, 0.2, PROMPTS, TOKENS)
    check_rows(out, plain, PROMPTS, 0.2, "propagate", stops)
    assert len(set(out.length_B)) > 1
    assert out.length_B.min() < TOKENS


def test_a_threshold_of_1_is_the_static_decoder(decoder):
    static = decoder.run(StaticDecoding(2), None, PROMPTS, TOKENS)
    out = decoder.run(EarlyExitDecoding(MAX_PROB.rule_at), 1.0, PROMPTS, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, static.ids_BN)
    assert (out.exit_BN == 2).all()


def test_all_tokens_at_one_exit_are_the_static_decoder_of_that_depth(decoder):
    static = decoder.run(StaticDecoding(1), None, PROMPTS, TOKENS)
    depth_BN = np.full((len(PROMPTS), TOKENS), LAYERS[1])
    out = decoder.run(EarlyExitDecoding(forced_at), depth_BN, PROMPTS, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, static.ids_BN)
    assert (out.exit_BN == 1).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_forced_depths_differ_from_token_to_token(decoder, layout):
    depth_BN = np.random.default_rng(0).choice(LAYERS, (len(PROMPTS), TOKENS))
    method = EarlyExitDecoding(forced_at, layout=layout)
    out = decoder.run(method, depth_BN, PROMPTS, TOKENS)
    np.testing.assert_array_equal(np.array(LAYERS)[out.exit_BN], depth_BN)
    assert not out.confidence_BN.any()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_rule_that_reads_no_logits_gives_what_it_gives_with_them(decoder, layout):
    def seeing(threshold, layers):
        return lambda count_B: threshold_rule("learned", make_limits(threshold, layers))

    blind = EarlyExitDecoding(Exiting("learned").rule_at, layout=layout)
    blind = decoder.run(blind, 0.7, PROMPTS, TOKENS)
    out = decoder.run(EarlyExitDecoding(seeing, layout=layout), 0.7, PROMPTS, TOKENS)
    for ours, theirs in zip(blind, out, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=CLOSE)
    assert len(np.unique(out.exit_BN)) == len(LAYERS)


def test_tokens_a_few_at_a_time_are_the_same(decoder):
    method = EarlyExitDecoding(MAX_PROB.rule_at)
    whole = decoder.run(method, 0.2, PROMPTS, TOKENS)
    parts = list(decoder.stream(method, 0.2, PROMPTS, TOKENS, every=7))
    assert [part.length_B.max() for part in parts] == [7, 14, 20]
    for a, b in zip(parts[-1], whole, strict=True):
        np.testing.assert_array_equal(a, b)
