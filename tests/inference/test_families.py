"""Every family of decoders goes through the cache: positions, norms of heads, RoPE scalings."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.inference.generator import Decoder
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.methods import EarlyExitDecoding, SelfSpeculation, StaticDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.teacher_forcing import teacher_forced
from ee_jax.models.export import with_exits
from ee_jax.models.language import LanguageDesign
from ee_jax.models.transformer import parameters
from ee_jax.tokens import Tokens
from tests.models.golden_models import golden_language

PROMPTS = [[5, 9, 2, 7], [1, 4]]
TOKENS = 6
# At which some tokens stop early and some late.
SURE = {"gpt_neox": 0.22, "olmo2": 0.17, "phi3": 0.17, "gemma2": 0.142, "gemma3": 0.6}


NEW = ["gpt_neox", "olmo2", "phi3", "gemma2", "gemma3"]


@pytest.mark.parametrize("name", ["gpt2", "llama3", "qwen3", "mistral", *NEW])
def test_decoding_says_what_the_whole_text_says(name):
    model = golden_language(name)
    tokens = 30 if model.backbone.config.window else TOKENS  # past the window
    out = Decoder(model).run(StaticDecoding(0), None, PROMPTS, tokens)
    full = jax.jit(lambda ids_BT: model.logits(model.features(whole(ids_BT))[-1]))
    for prompt, ids_N in zip(PROMPTS, np.asarray(out.ids_BN), strict=True):
        text = jnp.asarray([[*prompt, *ids_N]])
        said_T = full(text)[0].argmax(-1)
        np.testing.assert_array_equal(said_T[len(prompt) - 1 : -1], ids_N)


@cache
def exiting(name):
    """The family's decoder with logit lenses after blocks 1 and 2."""
    golden = golden_language(name)
    design = LanguageDesign((1, 2, golden.backbone.config.blocks))
    model = with_exits(golden.backbone.config, parameters(golden), design)
    return model, Decoder(model)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", NEW)
def test_decoding_with_exits_says_what_the_parallel_pass_says(name, policy):
    """Rows of both prompts past every window, with tokens of all depths among those before."""
    (model, decoder), rule_at = exiting(name), Exiting().rule_at
    tokens = 20
    out = decoder.run(EarlyExitDecoding(rule_at, policy), SURE[name], PROMPTS, tokens)
    assert set(np.asarray(out.exit_BN).ravel()) >= {0, 2}
    rows = [[*p, *ids] for p, ids in zip(PROMPTS, out.ids_BN.tolist(), strict=True)]
    ids_BT = jnp.asarray([[*row, 0, 0][: len(PROMPTS[0]) + tokens] for row in rows])
    rule = rule_at(SURE[name], model.design.layers)
    first_B = jnp.asarray([len(prompt) for prompt in PROMPTS])
    run = jax.jit(teacher_forced, static_argnums=(1, 2))
    forced = run(model, POLICIES[policy], rule, ids_BT, first_B)
    for row, prompt in enumerate(PROMPTS):
        span = slice(len(prompt) - 1, len(prompt) - 1 + tokens)
        np.testing.assert_array_equal(forced.exit_BT[row, span], out.exit_BN[row])
        np.testing.assert_array_equal(forced.prediction_BT[row, span], out.ids_BN[row])
        np.testing.assert_allclose(
            forced.confidence_BT[row, span], out.confidence_BN[row], atol=1e-4
        )


@pytest.mark.parametrize("name", NEW)
def test_drafts_change_no_token(name):
    _, decoder = exiting(name)
    plain = decoder.run(StaticDecoding(2), None, PROMPTS, 20)
    draft = decoder.run(SelfSpeculation(1, 3), None, PROMPTS, 20)
    np.testing.assert_array_equal(draft.ids_BN, plain.ids_BN)
    assert 0 < draft.accepted_B.sum() < draft.drafted_B.sum()


def test_drafts_of_rows_at_the_end_of_their_context():
    """A row runs past it while others draft: learned positions that do not exist are no NaN."""
    golden = golden_language("gpt2")
    config = golden.backbone.config
    model = with_exits(config, parameters(golden), LanguageDesign((1, 2, config.blocks)))
    decoder, tokens = Decoder(model), 16
    prompts = [[3] * (config.max_length - tokens), *PROMPTS]
    plain = decoder.run(StaticDecoding(2), None, prompts, tokens)
    draft = decoder.run(SelfSpeculation(0, 8), None, prompts, tokens)
    np.testing.assert_array_equal(draft.ids_BN, plain.ids_BN)


def whole(ids_BT):
    return Tokens(ids_BT, jnp.ones(ids_BT.shape, bool))
