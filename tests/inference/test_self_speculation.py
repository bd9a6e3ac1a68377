"""Self-speculation loses nothing: the same tokens, or tokens of the same distribution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import Sampling, log_probabilities
from ee_jax.inference.speculative_sampling import verify
from ee_jax.tokens import Tokens
from tests.inference.models import BLOCKS, NO_STOPS, PROMPTS, tiny

TOKENS = 20
DRAWS = 20_000
UNLIKELY = 1e-3  # a right sampler fails one test in a thousand; the seeds are fixed


SOME = SelfSpeculation(1, 3, Exiting("max_prob").rule_at)
ALL = 0.0  # as the threshold of `SOME`: every draft is made


@pytest.fixture(scope="module")
def decoder():
    return Decoder(tiny(), stops=NO_STOPS)


@pytest.fixture(scope="module")
def full(decoder):
    return decoder.run(StaticDecoding(2), None, PROMPTS, TOKENS)


@pytest.mark.parametrize(("method", "shared"), [(SelfSpeculation(0, 2), None), (SOME, ALL)])
def test_greedy_tokens_are_the_full_models(decoder, full, method, shared):
    out = decoder.run(method, shared, PROMPTS, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, full.ids_BN)
    assert (out.length_B == TOKENS).all()
    assert 0 < out.accepted_B.sum() < out.drafted_B.sum()
    # Each round gives the drafts that were taken and one token more.
    assert (out.accepted_B + out.rounds_B == TOKENS).all()


@pytest.mark.parametrize(("method", "shared"), [(SelfSpeculation(0, 2), None), (SOME, ALL)])
def test_no_draft_is_made_that_could_never_be_taken(decoder, method, shared):
    """A round that begins with n tokens has room for TOKENS - n; the last is no draft."""
    parts = list(decoder.stream(method, shared, PROMPTS, TOKENS, every=1))
    length_BR = np.stack([part.length_B for part in parts], axis=1)
    begun = [{0, *length_R} - {TOKENS} for length_R in length_BR.tolist()]
    drafted_B = [sum(min(method.drafts, TOKENS - n - 1) for n in row) for row in begun]
    np.testing.assert_array_equal(parts[-1].drafted_B, drafted_B)
    assert (parts[-1].drafted_B < method.drafts * parts[-1].rounds_B).any()


def test_a_confidence_ends_the_draft(decoder, full):
    never, sometimes, always = (
        decoder.run(SOME, threshold, PROMPTS, TOKENS) for threshold in (1.0, 0.25, ALL)
    )
    for out in (never, sometimes, always):
        np.testing.assert_array_equal(out.ids_BN, full.ids_BN)
    assert not never.drafted_B.any()
    assert (never.rounds_B == TOKENS).all()
    assert 0 < sometimes.drafted_B.sum() < always.drafted_B.sum()
    rate, all_rate = (o.accepted_B.sum() / o.drafted_B.sum() for o in (sometimes, always))
    assert rate > all_rate, "drafts of which the exit is sure should be right more often"


def test_a_row_does_not_depend_on_its_batch(decoder):
    whole = decoder.run(SOME, 0.25, PROMPTS, TOKENS)
    alone = decoder.run(SOME, 0.25, PROMPTS[:1], TOKENS)
    for one, all_rows in zip(alone, whole, strict=True):
        np.testing.assert_array_equal(one[0], all_rows[0])


def test_rows_end_at_their_stop_token_in_the_middle_of_a_round(decoder, full, monkeypatch):
    monkeypatch.setattr(decoder, "stops", tuple(full.ids_BN[0, [4, 7]].tolist()))
    plain = decoder.run(StaticDecoding(2), None, PROMPTS, TOKENS)
    out = decoder.run(SOME, ALL, PROMPTS, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, plain.ids_BN)
    np.testing.assert_array_equal(out.length_B, plain.length_B)
    assert out.length_B[0] <= 5


def test_no_draft_is_made_after_a_stop_token(decoder, monkeypatch):
    """The first draft that is taken, of a round that has more, is made a stop token."""
    before, after = find_taken_draft(decoder)
    stop = int(after.ids_BN[0, before.length_B[0]])
    assert stop not in after.ids_BN[0, : before.length_B[0]]
    monkeypatch.setattr(decoder, "stops", (stop, stop))
    out = decoder.run(SOME, ALL, PROMPTS[:1], TOKENS)
    assert out.length_B == before.length_B + 1
    assert out.drafted_B == before.drafted_B + 1
    assert out.accepted_B == before.accepted_B + 1


def find_taken_draft(decoder):
    """What there is before and after a round in which a draft is taken, not the first one."""
    parts = list(decoder.stream(SOME, ALL, PROMPTS[:1], TOKENS, every=1))
    pairs = itertools.pairwise(parts)
    return next(pair for pair in pairs if pair[1].accepted_B > pair[0].accepted_B)


def test_tokens_a_few_at_a_time_are_the_same(decoder, full):
    parts = list(decoder.stream(SOME, ALL, PROMPTS, TOKENS, every=6))
    assert len(parts) > 2
    np.testing.assert_array_equal(parts[-1].ids_BN, full.ids_BN)


def test_one_token_of_speculative_sampling_by_counting():
    """Drafts of q, verified against p: the token that comes out is distributed as p."""
    q_V = np.array([0.5, 0.3, 0.2, 0.0, 0.0])
    p_V = np.array([0.1, 0.4, 0.2, 0.3, 0.0])
    after_V = np.array([0.0, 0.0, 0.0, 0.25, 0.75])  # p after a draft that was taken

    def one(key):
        draw_key, key = jax.random.split(key)
        draft = jax.random.categorical(draw_key, jnp.log(q_V))
        log_full = jnp.log(jnp.stack([p_V, after_V]))
        count, token = verify(key, draft[None], jnp.int32(1), jnp.log(q_V)[None], log_full)
        return count, jnp.where(count == 1, draft, token), token

    keys = jax.random.split(jax.random.key(0), DRAWS)
    count_N, first_N, last_N = map(np.asarray, jax.jit(jax.vmap(one))(keys))
    possible = p_V > 0
    counts_V = np.bincount(first_N, minlength=5)
    assert not counts_V[~possible].any()
    assert chisquare(counts_V[possible], DRAWS * p_V[possible]).pvalue > UNLIKELY
    # A draft is taken as often as the distributions overlap: 0.1 + 0.3 + 0.2.
    taken = count_N.sum()
    assert chisquare([taken, DRAWS - taken], [0.6 * DRAWS, 0.4 * DRAWS]).pvalue > UNLIKELY
    after = np.bincount(last_N[count_N == 1], minlength=5)
    assert chisquare(after[3:], taken * after_V[3:]).pvalue > UNLIKELY


@pytest.mark.parametrize(
    "method", [SelfSpeculation(1, 2), StaticDecoding(2)], ids=["speculation", "static"]
)
def test_sampled_triples_are_distributed_as_the_full_models(method):
    """All triples of tokens that three steps of top-3 sampling can give, and how often."""
    sampling = Sampling(temperature=1.5, top_k=3)
    decoder = Decoder(tiny(), sampling)
    prompt = PROMPTS[0]
    chance = triples(sampling, prompt, [])
    out = decoder.run(method, None, [prompt] * DRAWS, 3)
    drawn, counts = np.unique(out.ids_BN, axis=0, return_counts=True)
    found = {tuple(ids): count for ids, count in zip(drawn.tolist(), counts, strict=True)}
    assert found.keys() <= chance.keys()
    counts = [found.get(ids, 0) for ids in chance]
    expected = np.array(list(chance.values()))
    expected *= DRAWS / expected.sum()  # products of float32 sum to 1 but for rounding
    assert chisquare(counts, expected).pvalue > UNLIKELY


def triples(sampling, prompt, drawn):
    """The probability of every continuation to three tokens, from the whole model."""
    if len(drawn) == 3:
        return {tuple(drawn): 1.0}
    log_p_V = next_token([*prompt, *drawn], sampling)
    p_V = np.exp(np.asarray(log_p_V, float))
    p_V /= p_V.sum()  # to double precision
    out = {}
    for token in np.flatnonzero(p_V):
        for ids, p in triples(sampling, prompt, [*drawn, int(token)]).items():
            out[ids] = p * p_V[token]
    return out


@jax.jit
def last_logits(ids_BT, length):
    model = tiny()
    state = model.backbone.embed(Tokens(ids_BT, jnp.arange(8)[None] < length))
    state = model.backbone.segment(state, 0, BLOCKS)
    return model.logits(model.feature(2, state.hidden_BTD[0, length - 1]))


def next_token(ids, sampling):
    padded = jnp.asarray([ids + [0] * (8 - len(ids))])
    return log_probabilities(last_logits(padded, len(ids)), sampling)
