"""Adaptive speculation: the full model's tokens, whoever drafts, and plain where none gains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from ee_jax.inference.adaptive_drafting import AdaptiveSpeculation, PassCosts
from ee_jax.inference.draft_choice import KEPT, LOSS
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import StaticDecoding
from ee_jax.inference.prompts import pack_prompts
from ee_jax.inference.sampling import Sampling
from tests.inference.models import NO_STOPS, PROMPTS, VOCABULARY, tiny
from tests.inference.test_prompt_lookup import plain_lookup
from tests.inference.test_self_speculation import DRAWS, UNLIKELY, next_token, triples

TOKENS = 28
LOOKUP = AdaptiveSpeculation(drafts=(1, 3))
BOTH = AdaptiveSpeculation(1, drafts=(1, 3))
REPEATING = [[5, 9, 2, 5, 9, 2, 5], [7, 7, 7], [1, 4, 30, 22, 1, 4, 30], [11, 12]]


def costs(*cost_A, only=-1):
    return PassCosts(np.array(cost_A, np.float32), np.int32(only))


def same(method, cost=1.0):
    """Costs of which each is so many times a plain pass's."""
    return costs(1.0, *[cost] * (len(method.drafters) - 1))


@pytest.fixture(scope="module")
def decoder():
    return Decoder(tiny(), stops=NO_STOPS)


@pytest.fixture(scope="module")
def full(decoder):
    return decoder.run(StaticDecoding(2), None, REPEATING, TOKENS)


EACH = [(method, only) for method in (LOOKUP, BOTH) for only in range(len(method.drafters))]


@pytest.mark.parametrize(("method", "only"), EACH)
def test_tokens_are_the_full_models_whoever_drafts(decoder, full, method, only):
    drafters = list(method.drafters.values())
    out = decoder.run(method, same(method)._replace(only=np.int32(only)), REPEATING, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, full.ids_BN)
    np.testing.assert_array_equal(out.rounds_BA[:, only], out.rounds_B)
    assert (out.accepted_B + out.rounds_B == TOKENS).all()
    assert (out.drafted_B <= drafters[only].drafts * out.rounds_B).all()
    assert out.drafted_B.any() == (only > 0)


@pytest.mark.parametrize("method", [LOOKUP, BOTH], ids=["lookup", "both"])
@pytest.mark.parametrize("cost", [0.9, 1.0, 1.2, 5.0])
def test_tokens_are_the_full_models_whatever_is_chosen(decoder, full, method, cost):
    out = decoder.run(method, same(method, cost), REPEATING, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, full.ids_BN)
    assert (out.rounds_BA[:, 1:].sum() > 0) == (cost < 5), "a pass that costs too much is none"


def test_drafting_loses_no_more_than_it_may(decoder):
    """Costs at which a random model's lookups never pay, in a long text."""
    method, dear = LOOKUP, 1.25
    out = decoder.run(method, same(method, dear), PROMPTS, TOKENS)
    in_plain_passes = out.rounds_BA[:, 0] + dear * out.rounds_BA[:, 1:].sum(1)
    assert (in_plain_passes <= TOKENS * (1 + LOSS) + dear - 1).all()


def test_costs_are_measured_where_none_are_given(decoder, full):
    out = decoder.run(LOOKUP, None, REPEATING, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, full.ids_BN)
    (measured,) = [cost for (method, *_), cost in decoder._costs.items() if method == LOOKUP]
    assert measured.cost_A.shape == (3,)
    assert np.all((np.asarray(measured.cost_A) > 0) & np.isfinite(measured.cost_A))


def test_rows_end_at_their_stop_token(decoder, full, monkeypatch):
    monkeypatch.setattr(decoder, "stops", tuple(full.ids_BN[0, [4, 7]].tolist()))
    plain = decoder.run(StaticDecoding(2), None, REPEATING, TOKENS)
    out = decoder.run(BOTH, same(BOTH), REPEATING, TOKENS)
    np.testing.assert_array_equal(out.ids_BN, plain.ids_BN)
    np.testing.assert_array_equal(out.length_B, plain.length_B)


def test_tokens_a_few_at_a_time_are_the_same(decoder, full):
    parts = list(decoder.stream(LOOKUP, same(LOOKUP), REPEATING, TOKENS, every=6))
    assert len(parts) > 2
    np.testing.assert_array_equal(parts[-1].ids_BN, full.ids_BN)


def test_acceptance_is_counted_where_nothing_is_drafted(decoder, full):
    """Plain passes: at each token the first draft of a lookup would have been right, or not."""
    packed = pack_prompts(REPEATING, tiny().backbone.config, TOKENS)
    request = decoder.request(packed, TOKENS)
    at = decoder.start(LOOKUP, request, TOKENS)
    plain = jax.tree.map(jnp.asarray, same(LOOKUP)._replace(only=np.int32(0)))
    at = decoder.go_on(LOOKUP, plain, at, request, TOKENS)
    taken_C, tested_C = np.zeros(5), np.zeros(5)
    for number in range(TOKENS):
        taken_C, tested_C = KEPT * taken_C, KEPT * tested_C
        for prompt, ids_N in zip(REPEATING, full.ids_BN.tolist(), strict=True):
            ids, match = plain_lookup(prompt + ids_N[:number], 1)
            if match:
                taken_C[match - 1] += ids[0] == ids_N[number]
                tested_C[match - 1] += 1
    assert (tested_C > 0).sum() >= 2
    np.testing.assert_allclose(at.acceptance.taken_C, taken_C, rtol=1e-5)
    np.testing.assert_allclose(at.acceptance.tested_C, tested_C, rtol=1e-5)


def found_and_taken(sampling):
    """A prompt whose lookup drafts a token that the full model may draw."""
    prompts = [[5, token, 5] for token in range(VOCABULARY)]
    chance_TV = np.array([next_token(prompt, sampling) for prompt in prompts])
    return prompts[int(np.isfinite(np.diag(chance_TV)).argmax())]


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("only", [1, 2])
def test_sampled_triples_are_distributed_as_the_full_models(only, repeats):
    """Drafts that were found, by a lookup or in an exit's place, and those of the exit."""
    sampling, method = Sampling(temperature=1.5, top_k=3), AdaptiveSpeculation(1, drafts=(2,))
    prompt = found_and_taken(sampling) if repeats else PROMPTS[0]
    decoder, chance = Decoder(tiny(), sampling), triples(sampling, prompt, [])
    forced = same(method)._replace(only=np.int32(only))
    out = decoder.run(method, forced, [prompt] * DRAWS, 3)
    if repeats or only == 2:
        assert out.drafted_B.all()
        assert 0 < out.accepted_B.mean() < 1.9
    drawn, counts = np.unique(out.ids_BN, axis=0, return_counts=True)
    found = {tuple(ids): count for ids, count in zip(drawn.tolist(), counts, strict=True)}
    assert found.keys() <= chance.keys()
    expected = np.array(list(chance.values()))
    expected *= DRAWS / expected.sum()
    assert chisquare([found.get(ids, 0) for ids in chance], expected).pvalue > UNLIKELY
